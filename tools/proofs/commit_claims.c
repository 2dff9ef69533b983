/* What is proved of ext/commit.pyx. */
#define MODULE 7edgectl_7_kernel_6commit
#include "commit.c"
#include "kernel.h"
#include "claims.h"

#define LONG_NS (INT64_MAX / 4)

static _Bool due(double setpoint, double output, double deadband, int64_t output_ns,
                 int64_t refresh_ns, int64_t now_ns) {
    return F(due)(setpoint, output, deadband, output_ns, refresh_ns, now_ns);
}

/* PROVED of due: a setpoint that was never written is due, and so is one that was written as long
 * ago as its refresh, whatever it is. */
void due_refresh(void) {
    int64_t now_ns = any_long_between(1, LONG_NS), output_ns = any_long_between(0, now_ns);
    int64_t refresh_ns = any_long_between(1, LONG_NS);
    _Bool is_due = due(nondet_double(), nondet_double(), nondet_double(), output_ns, refresh_ns,
                       now_ns);
    CLAIM(output_ns != 0 || is_due, "never written");
    CLAIM(now_ns - output_ns < refresh_ns || is_due, "refresh");
    REACHED(!is_due, "nothing to write");
    REACHED(output_ns > 0 && now_ns - output_ns == refresh_ns, "just due");
}

/* PROVED of due: zero is written in the scan in which it is permitted, however small the step and
 * however wide the deadband. */
void due_zero(void) {
    double output = nondet_double();
    ASSUME(output != 0.0);
    int64_t now_ns = any_long_between(1, LONG_NS), output_ns = any_long_between(0, now_ns);
    CLAIM(due(0.0, output, nondet_double(), output_ns, any_long_between(1, LONG_NS), now_ns),
          "written at once");
    REACHED(output < 1.0 && output > 0.0 && output_ns == now_ns, "a small output, just written");
}

/* PROVED of due: between refreshes a setpoint that equals the output is not written again; one that
 * has moved by more than the deadband is, and one by less is not, unless it is zero; for whole
 * numbers within 2048 either way. */
void due_deadband(void) {
    int32_t setpoint = nondet_int32() >> 20, output = nondet_int32() >> 20;
    int32_t deadband = nondet_uint8();
    int64_t refresh_ns = any_long_between(1, LONG_NS), output_ns = any_long_between(1, LONG_NS);
    int64_t now_ns = any_long_between(output_ns, output_ns + refresh_ns - 1);
    _Bool moved = setpoint - output > deadband || output - setpoint > deadband;
    _Bool zero = setpoint == 0 && output != 0;
    CLAIM(due(setpoint, output, deadband, output_ns, refresh_ns, now_ns) == (moved || zero),
          "moved, or to zero");
    REACHED(!moved && !zero && setpoint != output, "within the deadband");
    REACHED(moved && !zero, "moved");
}
