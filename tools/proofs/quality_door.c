/* ext/quality.pyx for a module that imports it: its functions are static in the generated C. */
#define MODULE 7edgectl_7_kernel_7quality
#include "quality.c"
#include "kernel.h"

void door_judge(struct T(Sample) *sample, const struct T(Limits) *limits, double value,
                uint64_t raw, int64_t source_ns) {
    F(quality_judge)(sample, limits, value, raw, source_ns);
}
void door_lost(struct T(Sample) *sample, int reason) {
    F(quality_lost)(sample, (enum T(Reason))reason);
}
