/* Bytes of the fuzzer taken one after the other; 0 once there are no more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(holds)                                                   \
    do {                                                              \
        if (!(holds)) {                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds); \
            abort();                                                  \
        }                                                             \
    } while (0)

typedef struct {
    const uint8_t *at;
    size_t left;
} Input;

static void take(Input *input, void *place, size_t size) {
    size_t given = size < input->left ? size : input->left;
    memset(place, 0, size);
    memcpy(place, input->at, given);
    input->at += given;
    input->left -= given;
}

static uint8_t take8(Input *input) {
    uint8_t value;
    take(input, &value, 1);
    return value;
}

static uint16_t take16(Input *input) {
    uint8_t bytes[2];
    take(input, bytes, 2);
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}
