/* A Modbus TCP stream in pieces of any size against any request, as ext/link.pyx takes it. */
#define MODULE 7edgectl_7_kernel_6modbus
#include "modbus.c"
#include "kernel.h"
#include "oracle.h"
#include "fuzz.h"
#include "fuzz_request.h"

#define ADU 260

/* Heap blocks of the exact size: the sanitizer sees one byte or one word too many. */
static void check(const uint8_t *frame, int32_t length, const Request *request) {
    uint8_t *exact = malloc(length);
    uint16_t *words = malloc(2 * request->count);
    uint8_t exception = 0;
    memcpy(exact, frame, length);
    int status = F(modbus_check)(exact, length, request, words, &exception);
    MUST((status == E(MODBUS_OK)) == answers(exact, length, request));
    MUST(exception == 0 || status == E(MODBUS_EXCEPTION));
    if (status == E(MODBUS_OK)) must_be_words_of(exact + 9, request, words);
    free(words);
    free(exact);
}

static void encode(Input input, const Request *request) {
    uint8_t *frame = malloc(ADU);
    uint16_t *words = malloc(2 * request->count);
    take(&input, words, 2 * request->count);
    int32_t length = F(modbus_encode)(frame, request, words);
    int32_t whole;
    MUST(length >= 12 && length <= ADU && word_at(frame + 4) == length - 6);
    MUST(F(modbus_frame)(frame, length, &whole) == E(FRAME_WHOLE) && whole == length);
    free(words);
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input input = {data, size};
    Request request = take_request(&input);
    uint8_t piece = take8(&input);
    uint8_t bytes[ADU];
    int32_t fill = 0, length;
    encode(input, &request);
    check(input.at, input.left < ADU ? (int32_t)input.left : ADU, &request);
    while (input.left > 0) {
        size_t room = (size_t)(ADU - fill);
        size_t count = 1 + (piece = (uint8_t)(piece * 5 + 3)) % 97;
        count = count < room ? count : room;
        count = count < input.left ? count : input.left;
        MUST(count > 0); /* a full buffer always holds a whole or a broken frame */
        take(&input, bytes + fill, count);
        fill += (int32_t)count;
        while (fill > 0) {
            uint8_t *exact = malloc(fill);
            memcpy(exact, bytes, fill);
            int status = F(modbus_frame)(exact, fill, &length);
            free(exact);
            if (status == E(FRAME_BROKEN)) return 0;
            if (status == E(FRAME_PARTIAL)) break;
            MUST(length >= 9 && length <= fill);
            check(bytes, length, &request);
            fill -= length;
            memmove(bytes, bytes + length, fill);
        }
    }
    return 0;
}
