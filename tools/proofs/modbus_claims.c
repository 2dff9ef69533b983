/* What is proved of ext/modbus.pyx. The table is claims.py. */
#define MODULE 7edgectl_7_kernel_6modbus
#include "modbus.c"
#include "kernel.h"
#include "claims.h"
#include "oracle.h"

#define ADU 260

static Request any_request(uint8_t function, int32_t most) {
    Request request;
    request.transaction = nondet_uint16();
    request.address = nondet_uint16();
    request.count = (uint16_t)any_between(1, most);
    request.unit = nondet_uint8();
    request.any_unit = nondet_uint8();
    request.value = nondet_uint16();
    request.function = function;
    return request;
}

/* The frame ends where its object ends, and so do the words: one byte or word more is refuted. */
static void reply(uint8_t function, int32_t most) {
    Request request = any_request(function, most);
    int32_t length = any_between(0, ADU);
    uint8_t *frame = malloc(length);
    uint16_t *words = malloc(2 * request.count);
    uint8_t exception;
    int status = F(modbus_check)(frame, length, &request, words, &exception);
    CLAIM((status == E(MODBUS_OK)) == answers(frame, length, &request), "believed if it answers");
    CLAIM(status >= E(MODBUS_OK) && status <= E(MODBUS_BAD_ECHO), "a status of the list");
    CLAIM(exception == 0 || status == E(MODBUS_EXCEPTION), "a code comes with an exception only");
    CLAIM(status != E(MODBUS_EXCEPTION) || (length == 9 && frame[7] == (function | 0x80)),
          "an exception has its exact form");
    REACHED(status == E(MODBUS_OK) && request.count == most, "the greatest reply is believed");
    REACHED(status == E(MODBUS_EXCEPTION) && exception != 0, "an exception reply");
    REACHED(status == (function <= 4 ? E(MODBUS_BAD_COUNT) : E(MODBUS_BAD_ECHO)), "a refusal");
    REACHED(length == 0, "no byte at all");
}

/* There is no place for words at all: a single write would be refuted. */
static void reply_refused(uint8_t function, int32_t most) {
    Request request = any_request(function, most);
    int32_t length = any_between(0, ADU);
    uint8_t frame[ADU];
    uint8_t exception;
    ASSUME(!answers(frame, length, &request));
    int status = F(modbus_check)(frame, length, &request, NULL, &exception);
    CLAIM(status != E(MODBUS_OK), "never believed");
    REACHED(length == reply_bytes(&request) && frame[7] == function, "a near miss");
}

#define REPLY(function, most)                                   \
    void fc##function##_reply(void) { reply(function, most); }  \
    void fc##function##_refused(void) { reply_refused(function, most); }

REPLY(1, 2000)
REPLY(2, 2000)
REPLY(3, 125)
REPLY(4, 125)
REPLY(5, 1)
REPLY(6, 1)
REPLY(15, 1968)
REPLY(16, 123)

void frame_safe(void) {
    int32_t fill = any_between(0, ADU);
    uint8_t *bytes = malloc(fill);
    int32_t length;
    int status = F(modbus_frame)(bytes, fill, &length);
    REACHED(fill == 0, "an empty stream");
    REACHED(status == E(FRAME_WHOLE) && fill == ADU, "a whole frame in a full buffer");
}

void frame_exhaustive(void) {
    int32_t fill = any_between(0, ADU);
    uint8_t bytes[ADU];
    int32_t length;
    int status = F(modbus_frame)(bytes, fill, &length);
    int rest = word_at(bytes + 4);
    _Bool broken = fill >= 6 && (word_at(bytes + 2) != 0 || rest < 3 || rest > 254);
    _Bool whole = fill >= 6 && !broken && fill >= 6 + rest;
    CLAIM((status == E(FRAME_BROKEN)) == broken, "broken by its header and by nothing else");
    CLAIM((status == E(FRAME_WHOLE)) == whole, "whole when all of it is there");
    CLAIM((status == E(FRAME_PARTIAL)) == (!broken && !whole), "else partial");
    CLAIM(length == (whole ? 6 + rest : 0), "the length is the header's, 0 unless whole");
    CLAIM(!whole || (length >= 9 && length <= ADU && length <= fill), "9 to 260, and received");
    REACHED(broken, "broken");
    REACHED(whole && length == 9, "the shortest frame");
    REACHED(whole && length == ADU, "the longest frame");
    REACHED(!broken && !whole && fill > 6, "partial");
}

static int32_t count_max(uint8_t function) {
    return function == 1 || function == 2   ? 2000
           : function == 3 || function == 4 ? 125
           : function == 5 || function == 6 ? 1
           : function == 15                 ? 1968
           : function == 16                 ? 123
                                            : 0;
}

/* Nowhere to write and nothing to read: what is out of bounds touches neither. */
void encode_refused(void) {
    Request request = any_request(nondet_uint8(), 65535);
    if (nondet_uint8()) request.count = 0;
    ASSUME(request.count == 0 || request.count > count_max(request.function));
    CLAIM(F(modbus_encode)(NULL, &request, NULL) == 0, "refused with 0");
    REACHED(request.function == 3 && request.count == 126, "a read of 126 registers");
    REACHED(request.function == 7 && request.count == 1, "a function that is not ours");
}

static void encode_whole(uint8_t function, int32_t most, int32_t words_read) {
    Request request = any_request(function, most);
    uint8_t frame[ADU];
    uint16_t *words = words_read ? malloc(2 * request.count) : NULL;
    int32_t after = function == 15   ? 1 + (request.count + 7) / 8
                    : function == 16 ? 1 + 2 * request.count
                                     : 0;
    int32_t length = F(modbus_encode)(frame, &request, words);
    CLAIM(length == 12 + after && length <= ADU, "the length the standard says, within 260");
    REACHED(request.count == most, "the greatest request");
}

void encode_reads(void) {
    uint8_t function = (uint8_t)any_between(1, 4);
    encode_whole(function, count_max(function), 0);
}
void encode_single_writes(void) { encode_whole((uint8_t)any_between(5, 6), 1, 0); }
void encode_bits(void) { encode_whole(15, 1968, 1); }

/* No word beyond count is there to be read. */
void bits_exact(void) {
    int32_t count = any_between(1, 1968);
    int32_t first = 8 * any_between(0, 245);
    uint16_t *words = malloc(2 * count);
    uint8_t byte = F(bits_byte)(words, count, first);
    for (int32_t bit = 0; bit < 8; bit++) {
        _Bool set = first + bit < count && words[first + bit] != 0;
        CLAIM((byte >> bit & 1) == set, "a bit a word, lowest first, none beyond the count");
    }
    REACHED(byte == 0xFF && first == 1960, "the last eight coils");
    REACHED(byte == 0 && first >= count, "nothing");
}
void encode_registers(void) { encode_whole(16, 123, 1); }

void crc_step(void) {
    uint16_t crc = nondet_uint16();
    uint8_t byte = nondet_uint8();
    uint16_t next = F(crc_step)(crc, byte);
    uint16_t whole = crc ^ byte; /* MSL 6.2.2, steps 2 to 5 */
    for (int bit = 0; bit < 8; bit++) {
        _Bool carry = whole & 1;
        whole >>= 1;
        if (carry) whole ^= 0xA001;
    }
    CLAIM(next == whole, "the standard's, for every CRC and byte");
    REACHED(next == 0, "no rest");
}
