/* What a serial line brings, in pieces of any size, against any request. */
#define MODULE 7edgectl_7_kernel_3rtu
#include "rtu.c"
#include "kernel.h"
#include "oracle.h"
#include "fuzz.h"
#include "fuzz_request.h"

#define ADU 260
#define RTU 256
#define MODBUS(kind, name) JOIN(__pyx_##kind##_7edgectl_7_kernel_6modbus_, name)

int door_check(const uint8_t *, int32_t, const Request *, uint16_t *, uint8_t *);
int32_t door_encode(uint8_t *, const Request *, const uint16_t *);
uint16_t door_crc_step(uint16_t, uint8_t);

static uint16_t no_words[2000];

static void check(const uint8_t *frame, int32_t length, const Request *request) {
    uint8_t *exact = malloc(length > 0 ? length : 1);
    uint16_t *words = malloc(2 * request->count);
    uint8_t exception = 0;
    uint8_t adu[ADU] = {(uint8_t)(request->transaction >> 8), (uint8_t)request->transaction};
    memcpy(exact, frame, length);
    int status = F(rtu_check)(exact, length, request, words, &exception);
    _Bool right = length >= 4 && length <= RTU &&
                  (exact[length - 2] | exact[length - 1] << 8) == crc_of(exact, length - 2);
    if (right) memcpy(adu + 6, exact, length - 2);
    MUST((status == MODBUS(e, MODBUS_OK)) == (right && answers(adu, length + 4, request)));
    if (status == MODBUS(e, MODBUS_OK)) must_be_words_of(exact + 3, request, words);
    free(words);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input input = {data, size};
    MODBUS(f, modbus_check) = (void *)door_check;
    MODBUS(f, modbus_encode) = (void *)door_encode;
    MODBUS(f, crc_step) = (void *)door_crc_step;
    Request request = take_request(&input);
    uint8_t piece = take8(&input);
    uint8_t sign = take8(&input); /* odd: the CRC is made right, which chance would never do */
    uint8_t bytes[ADU];
    uint8_t *frame = malloc(RTU);
    int32_t fill = 0, length = 0;
    length = F(rtu_encode)(frame, &request, no_words);
    MUST(length >= 8 && length <= RTU);
    MUST((frame[length - 2] | frame[length - 1] << 8) == crc_of(frame, length - 2));
    free(frame);
    check(input.at, input.left < ADU ? (int32_t)input.left : ADU, &request);
    while (input.left > 0 && fill < ADU) {
        size_t room = (size_t)(ADU - fill);
        size_t count = 1 + (piece = (uint8_t)(piece * 5 + 3)) % 97;
        count = count < room ? count : room;
        count = count < input.left ? count : input.left;
        take(&input, bytes + fill, count);
        fill += (int32_t)count;
        uint8_t *exact = malloc(fill);
        memcpy(exact, bytes, fill);
        int status = F(rtu_frame)(exact, fill, &length);
        free(exact);
        if (status == MODBUS(e, FRAME_BROKEN)) return 0;
        if (status == MODBUS(e, FRAME_PARTIAL)) continue;
        MUST(length >= 5 && length <= RTU && length <= fill);
        if (sign & 1) {
            uint16_t crc = crc_of(bytes, length - 2);
            bytes[length - 2] = (uint8_t)crc;
            bytes[length - 1] = (uint8_t)(crc >> 8);
        }
        check(bytes, length, &request);
        fill = 0; /* ext/link.pyx believes one frame a silence */
    }
    return 0;
}
