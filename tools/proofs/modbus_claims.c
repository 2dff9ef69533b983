/* What is proved of ext/modbus.pyx. */
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

/* PROVED of modbus_check, check_read, get16; unwind 2001, 900 s: FC 1, any 0 to 260 bytes, count
 * 1 to 2000: no access outside frame and words, at most count words; believed exactly if it
 * answers the request. */
void fc1_reply(void) { reply(1, 2000); }

/* PROVED of modbus_check, check_read, get16; unwind 2001, 900 s: FC 2, any 0 to 260 bytes, count
 * 1 to 2000: no access outside frame and words, at most count words; believed exactly if it
 * answers the request. */
void fc2_reply(void) { reply(2, 2000); }

/* PROVED of modbus_check, check_read, get16; unwind 126: FC 3, any 0 to 260 bytes, count
 * 1 to 125: no access outside frame and words, at most count words; believed
 * exactly if it answers the request. */
void fc3_reply(void) { reply(3, 125); }

/* PROVED of modbus_check, check_read, get16; unwind 126: FC 4, any 0 to 260 bytes, count
 * 1 to 125: no access outside frame and words, at most count words; believed
 * exactly if it answers the request. */
void fc4_reply(void) { reply(4, 125); }

/* PROVED of modbus_check, check_write, get16: FC 5, any 0 to 260 bytes, count 1 to 1: no access
 * outside the frame; believed exactly if it answers the request. */
void fc5_reply(void) { reply(5, 1); }

/* PROVED of modbus_check, check_write, get16: FC 6, any 0 to 260 bytes, count 1 to 1: no access
 * outside the frame; believed exactly if it answers the request. */
void fc6_reply(void) { reply(6, 1); }

/* PROVED of modbus_check, check_write, get16: FC 15, any 0 to 260 bytes, count 1 to 1968: no access
 * outside the frame; believed exactly if it answers the request. */
void fc15_reply(void) { reply(15, 1968); }

/* PROVED of modbus_check, check_write, get16: FC 16, any 0 to 260 bytes, count 1 to 123: no access
 * outside the frame; believed exactly if it answers the request. */
void fc16_reply(void) { reply(16, 123); }

/* PROVED of modbus_check, check_read, get16: FC 1, count 1 to 2000: a reply
 * that is not the answer writes no word. */
void fc1_refused(void) { reply_refused(1, 2000); }

/* PROVED of modbus_check, check_read, get16: FC 2, count 1 to 2000: a reply
 * that is not the answer writes no word. */
void fc2_refused(void) { reply_refused(2, 2000); }

/* PROVED of modbus_check, check_read, get16: FC 3, count 1 to 125: a reply
 * that is not the answer writes no word. */
void fc3_refused(void) { reply_refused(3, 125); }

/* PROVED of modbus_check, check_read, get16: FC 4, count 1 to 125: a reply
 * that is not the answer writes no word. */
void fc4_refused(void) { reply_refused(4, 125); }

/* PROVED of modbus_check, check_write, get16: FC 5, count 1 to 1: a reply
 * that is not the answer writes no word. */
void fc5_refused(void) { reply_refused(5, 1); }

/* PROVED of modbus_check, check_write, get16: FC 6, count 1 to 1: a reply
 * that is not the answer writes no word. */
void fc6_refused(void) { reply_refused(6, 1); }

/* PROVED of modbus_check, check_write, get16: FC 15, count 1 to 1968: a reply
 * that is not the answer writes no word. */
void fc15_refused(void) { reply_refused(15, 1968); }

/* PROVED of modbus_check, check_write, get16: FC 16, count 1 to 123: a reply
 * that is not the answer writes no word. */
void fc16_refused(void) { reply_refused(16, 123); }

/* PROVED of modbus_frame, get16: framing reads nothing beyond what was received. */
void frame_safe(void) {
    int32_t fill = any_between(0, ADU);
    uint8_t *bytes = malloc(fill);
    int32_t length;
    int status = F(modbus_frame)(bytes, fill, &length);
    REACHED(fill == 0, "an empty stream");
    REACHED(status == E(FRAME_WHOLE) && fill == ADU, "a whole frame in a full buffer");
}

/* PROVED of modbus_frame, get16: a stream is whole (9 to 260 bytes), partial or broken by its
 * header. */
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

/* PROVED of modbus_encode, count_max: a request out of bounds gives 0; nothing is written or read.
 * */
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

/* PROVED of modbus_encode, put16: FC 1 to 4: the request has 12 bytes; no words are read. */
void encode_reads(void) {
    uint8_t function = (uint8_t)any_between(1, 4);
    encode_whole(function, count_max(function), 0);
}

/* PROVED of modbus_encode, put16: FC 5 and 6: the request has 12 bytes; no words are read. */
void encode_single_writes(void) { encode_whole((uint8_t)any_between(5, 6), 1, 0); }

/* PROVED of modbus_encode, put16, bits_byte; unwind 248, 300 s: FC 15, 1 to 1968 coils: exact
 * length, within 260 bytes and the words. */
void encode_bits(void) { encode_whole(15, 1968, 1); }

/* PROVED of bits_byte; unwind 9: any eight of 1 to 1968 coils: a bit each, none beyond the count
 * is read. */
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

/* PROVED of modbus_encode, put16; unwind 248: FC 16, 1 to 123 registers: exact length, within 260
 * bytes and words. */
void encode_registers(void) { encode_whole(16, 123, 1); }

/* PROVED of crc_step; unwind 9: one byte into a serial CRC: the standard's step, for every CRC and
 * byte. */
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
