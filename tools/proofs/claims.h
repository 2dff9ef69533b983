/* The words of a claim, for CBMC. */
#include <stdlib.h>

#define ASSUME(holds) __CPROVER_assume(holds)
#define CLAIM(holds, words) __CPROVER_assert(holds, words)
/* Must be refuted: an input exists that gets here, so the claims before it are about something. */
#define REACHED(holds, words) __CPROVER_assert(!(holds), "reached: " words)

int32_t nondet_int32(void);
uint16_t nondet_uint16(void);
uint8_t nondet_uint8(void);

static int32_t any_between(int32_t least, int32_t most) {
    int32_t value = nondet_int32();
    ASSUME(value >= least && value <= most);
    return value;
}
