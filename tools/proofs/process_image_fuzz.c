/* Any words of a block through any row that a checked profile may have, twice over. */
#define MODULE 7edgectl_7_kernel_13process_image
#include "process_image.c"
#include "kernel.h"
#include "fuzz.h"
#include <math.h>

#define QUALITY(kind, name) JOIN(__pyx_##kind##_7edgectl_7_kernel_7quality_, name)

typedef struct T(PointRow) Row;
typedef struct QUALITY(t, Sample) Sample;

void door_judge(Sample *, const struct QUALITY(t, Limits) *, double, uint64_t, int64_t);
void door_lost(Sample *, int);

static int width(uint8_t type) {
    if (type == E(TYPE_U16) || type == E(TYPE_S16) || type == E(TYPE_BIT)) return 1;
    return type == E(TYPE_U32) || type == E(TYPE_S32) || type == E(TYPE_F32) ? 2 : 4;
}

static Row take_row(Input *input, int count) {
    Row row;
    memset(&row, 0, sizeof row);
    row.type = (uint8_t)(1 + take8(input) % 9);
    row.word_order = take8(input) & 1;
    row.bit = take8(input) & 15;
    row.has_sentinel = take8(input) & 1;
    row.word = (int16_t)(take8(input) % (count - width(row.type) + 1));
    row.sf_word = (int16_t)(take8(input) % (count + 1) - 1);
    take(input, &row.scale, 8);
    take(input, &row.offset, 8);
    take(input, &row.sentinel, 8);
    take(input, &row.limits.valid_min, 8);
    take(input, &row.limits.valid_max, 8);
    take(input, &row.limits.slew_max_per_s, 8);
    row.limits.frozen_after_ns = take8(input) ? INT64_MAX : 1000000000;
    return row;
}

/* The bits once more, word by word from the most significant. */
static uint64_t bits_of(const Row *row, const uint16_t *words) {
    int n = width(row->type);
    uint64_t bits = 0;
    for (int at = 0; at < n; at++)
        bits = bits << 16 | words[row->word + (row->word_order ? n - 1 - at : at)];
    return row->type == E(TYPE_BIT) ? bits >> row->bit & 1 : bits;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input input = {data, size};
    QUALITY(f, quality_judge) = (void *)door_judge;
    QUALITY(f, quality_lost) = (void *)door_lost;
    int count = 4 + take8(&input) % 122;
    uint16_t *words = malloc(2 * count); /* the block and not a word more */
    Row row = take_row(&input, count);
    Sample sample;
    memset(&sample, 0, sizeof sample);
    int64_t now_ns = 1 + take16(&input);
    for (int reply = 0; reply < 2; reply++) {
        take(&input, words, 2 * count);
        now_ns += 100000000 + take16(&input);
        MUST(F(point_bits)(&row, words) == bits_of(&row, words));
        F(point_decode)(&row, &sample, words, now_ns);
        MUST(sample.raw == bits_of(&row, words) && sample.source_ns == now_ns);
        if (sample.quality == QUALITY(e, QUALITY_GOOD))
            MUST(isfinite(sample.value) && !(sample.value < row.limits.valid_min) &&
                 !(sample.value > row.limits.valid_max));
    }
    free(words);
    return 0;
}
