/* What is proved of ext/integrity.pyx. */
#define MODULE 7edgectl_7_kernel_9integrity
#include "integrity.c"
#include "kernel.h"
#include "claims.h"

/* PROVED of fold_words: one step of the sum is a bijection: different sums before, or different
 * words, give different sums after. So one changed word changes the sum of a whole table. */
void fold_is_a_bijection(void) {
    uint64_t one = nondet_int64(), other = nondet_int64(), word = nondet_int64();
    uint64_t changed = nondet_int64();
    uint64_t sum = F(fold_words)(one, (const uint8_t *)&word, 1);
    CLAIM(one == other || F(fold_words)(other, (const uint8_t *)&word, 1) != sum, "other before");
    CLAIM(word == changed || F(fold_words)(one, (const uint8_t *)&changed, 1) != sum, "other word");
    REACHED(word == (changed ^ 1), "one bit");
    REACHED(one != other, "another sum");
}
