/* What is proved of ext/clock.pyx. */
#define MODULE 7edgectl_7_kernel_5clock
#include "clock.c"
#include "kernel.h"
#include "claims.h"

#define DAY_NS (86400 * 1000000000LL)

/* index  of the period that ends
 * now_ns  after its start */
static void advance(int64_t origin_ns, int64_t period_ns, int64_t index, int64_t after_ns) {
    struct T(Cadence) cadence = {origin_ns, period_ns, index, nondet_uint16(), nondet_uint16()};
    struct T(Cadence) before = cadence;
    int64_t now_ns = F(cadence_deadline_ns)(&cadence) + after_ns;
    int status = F(cadence_advance)(&cadence, now_ns);
    int64_t skipped = cadence.index - before.index - 1;
    int64_t start_ns = F(cadence_deadline_ns)(&cadence);
    CLAIM(cadence.origin_ns == before.origin_ns && cadence.period_ns == period_ns,
          "the phase is kept");
    CLAIM(skipped >= 0, "never the same period again");
    CLAIM(start_ns >= now_ns, "never a period whose start is past: no burst");
    CLAIM(skipped == 0 || start_ns - now_ns < period_ns, "the first that is not past");
    CLAIM(cadence.overruns == before.overruns + skipped, "every period skipped is counted");
    CLAIM((status == E(CADENCE_ON_TIME)) == (skipped == 0), "on time exactly if none was");
    CLAIM(cadence.in_row == (skipped == 0 ? 0 : before.in_row + 1), "overruns in a row");
    REACHED(after_ns == period_ns && skipped == 0, "a period that starts just now is run");
    REACHED(skipped > 1, "several are skipped");
}

/* PROVED of cadence_advance, cadence_deadline_ns: at 100 ms, in the first period and in the last of
 * 20 years, for an end up to 268 ms after its start: phase kept, no burst, the first start not yet
 * past, every skipped period counted. */
void cadence_100_ms(void) {
    int64_t after_ns = nondet_int32() & 0xFFFFFFF;
    advance(nondet_uint16(), 100000000, nondet_bool() ? 0 : 6324480000, after_ns);
}

/* PROVED of cadence_advance, cadence_deadline_ns: the same for a period of 7 ns and an end up to 255
 * ns after its start, 36 periods too late. */
void cadence_many_skipped(void) { advance(nondet_uint8(), 7, nondet_uint8(), nondet_uint8()); }
