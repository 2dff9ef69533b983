/* The words of a claim, for CBMC. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define ASSUME(holds) __CPROVER_assume(holds)
#define CLAIM(holds, words) __CPROVER_assert(holds, words)
/* Must be refuted: an input exists that gets here, so the claims before it are about something. */
#define REACHED(holds, words) __CPROVER_assert(!(holds), "reached: " words)

double nondet_double(void);
int64_t nondet_int64(void);
int32_t nondet_int32(void);
uint16_t nondet_uint16(void);
uint8_t nondet_uint8(void);
_Bool nondet_bool(void);

static int32_t any_between(int32_t least, int32_t most) {
    int32_t value = nondet_int32();
    ASSUME(value >= least && value <= most);
    return value;
}

static int64_t any_long_between(int64_t least, int64_t most) {
    int64_t value = nondet_int64();
    ASSUME(value >= least && value <= most);
    return value;
}

/* Neither NaN nor infinite, written apart from isfinite. */
static _Bool finite_number(double value) { return value >= -DBL_MAX && value <= DBL_MAX; }

static double any_finite(void) {
    double value = nondet_double();
    ASSUME(finite_number(value));
    return value;
}

/* The same bits, or both no number at all. */
static _Bool same(double a, double b) { return a == b || (a != a && b != b); }
