/* What is proved of ext/rtu.pyx.
 *
 * modbus_check and modbus_encode are proved by themselves (modbus_claims.c); here they are any
 * functions that keep what is proved there, and their callers are held to what they ask.
 */
#define MODULE 7edgectl_7_kernel_3rtu
#include "rtu.c"
#include "kernel.h"
#include "claims.h"
#include "oracle.h"

#define RTU 256
#define ADU 260
#define MODBUS(kind, name) JOIN(__pyx_##kind##_7edgectl_7_kernel_6modbus_, name)
#define CHECK_DOOR MODBUS(f, modbus_check) /* pointers that importing the module would set */
#define ENCODE_DOOR MODBUS(f, modbus_encode)
#define STEP_DOOR MODBUS(f, crc_step)

static int32_t handed_over; /* bytes of the frame that modbus_check was given; -1: not called */
static uint8_t handed[2];

static enum MODBUS(t, ModbusStatus) any_check(
    uint8_t const *frame, int32_t length, Request const *request, uint16_t *words,
    uint8_t *exception) {
    CLAIM(length >= 8 && length <= ADU, "modbus_check is handed a frame of at most 260 bytes");
    CLAIM(__CPROVER_r_ok(frame, length), "and all of it is there");
    for (int32_t at = 0; at < 2; at++) handed[at] = frame[at];
    handed_over = length;
    return (enum MODBUS(t, ModbusStatus))any_between(0, 6);
}

static int32_t any_encode(uint8_t *frame, Request const *request, uint16_t const *words) {
    CLAIM(__CPROVER_w_ok(frame, ADU), "modbus_encode is handed room for 260 bytes");
    int32_t length = any_between(0, ADU);
    ASSUME(length == 0 || length >= 12);
    return length;
}

static Request any_request(void) {
    Request request;
    request.transaction = nondet_uint16();
    request.count = (uint16_t)any_between(1, 2000);
    request.function = nondet_uint8();
    return request;
}

/* PROVED of rtu_frame: RTU framing reads nothing beyond what was received. */
void rtu_frame_safe(void) {
    int32_t fill = any_between(0, ADU);
    uint8_t *bytes = malloc(fill);
    int32_t length;
    int status = F(rtu_frame)(bytes, fill, &length);
    REACHED(fill == 0, "an empty line");
    REACHED(status == MODBUS(e, FRAME_WHOLE) && fill == RTU, "a whole frame of 256 bytes");
}

/* PROVED of rtu_frame: a line's bytes are whole (5 to 256), partial or broken. */
void rtu_frame_exhaustive(void) {
    int32_t fill = any_between(0, ADU);
    uint8_t bytes[ADU];
    int32_t length;
    int status = F(rtu_frame)(bytes, fill, &length);
    int function = bytes[1];
    int32_t end = function >= 0x80                      ? 5
                  : function >= 1 && function <= 4      ? 5 + bytes[2]
                  : function == 5 || function == 6      ? 8
                  : function == 15 || function == 16    ? 8
                                                        : 0;
    _Bool broken = fill >= 3 && (end == 0 || end > RTU);
    _Bool whole = fill >= 3 && !broken && fill >= end;
    CLAIM((status == MODBUS(e, FRAME_BROKEN)) == broken, "broken by function or byte count only");
    CLAIM((status == MODBUS(e, FRAME_WHOLE)) == whole, "whole when all of it is there");
    CLAIM((status == MODBUS(e, FRAME_PARTIAL)) == (!broken && !whole), "else partial");
    CLAIM(length == (whole ? end : 0), "the length follows from the function, 0 unless whole");
    CLAIM(!whole || (length >= 5 && length <= RTU && length <= fill), "5 to 256, and received");
    REACHED(broken, "broken");
    REACHED(whole && length == 5, "the shortest frame");
    REACHED(whole && length == RTU, "the longest frame");
    REACHED(!broken && !whole && fill > 3, "partial");
}

static uint16_t some_step(uint16_t crc, uint8_t byte) { return nondet_uint16(); }

/* PROVED of rtu_check, rtu_crc; unwind 262: RTU check, any 0 to 260 bytes: in bounds, and so is
 * what it hands on. */
void rtu_check_safe(void) {
    int32_t length = any_between(0, ADU);
    uint8_t *frame = malloc(length);
    Request request = any_request();
    uint8_t exception;
    CHECK_DOOR = any_check;
    STEP_DOOR = some_step;
    handed_over = -1;
    int status = F(rtu_check)(frame, length, &request, NULL, &exception);
    CLAIM(handed_over == -1 || handed_over == length + 4, "the header for the CRC, no byte more");
    CLAIM(status != MODBUS(e, MODBUS_OK) || handed_over >= 0, "only modbus_check believes");
    REACHED(handed_over == RTU + 4, "the longest frame is handed on");
    REACHED(status == MODBUS(e, MODBUS_BAD_CRC), "a wrong CRC");
}

static const uint8_t *summed;
static int32_t steps;
static uint16_t last;

/* Any step, held to what it is handed; crc_step itself is proved in modbus_claims.c. So a frame of
 * any length is handed on exactly if its CRC is the standard's. */
static uint16_t any_step(uint16_t crc, uint8_t byte) {
    CLAIM(crc == (steps == 0 ? 0xFFFF : last), "from 0xFFFF, then from the step before");
    CLAIM(byte == summed[steps], "each byte once and in order");
    steps++;
    last = nondet_uint16();
    return last;
}

/* PROVED of rtu_crc; unwind 256, 300 s: a CRC of any 0 to 254 bytes is that step, byte by byte. */
void rtu_crc_fold(void) {
    int32_t length = any_between(0, RTU - 2);
    uint8_t bytes[RTU - 2];
    STEP_DOOR = any_step;
    summed = bytes;
    steps = 0;
    uint16_t crc = F(rtu_crc)(bytes, length);
    CLAIM(steps == length, "every byte");
    CLAIM(crc == (length == 0 ? 0xFFFF : last), "and nothing after the last step");
    REACHED(length == RTU - 2, "the longest frame");
    REACHED(length == 0, "no byte");
}

/* PROVED of rtu_check, rtu_crc; unwind 256, 300 s: frames of 4 to 256 bytes: handed on exactly if
 * that CRC is theirs. */
void rtu_check_crc(void) {
    int32_t length = any_between(4, RTU);
    uint8_t frame[RTU];
    Request request = any_request();
    uint8_t exception;
    CHECK_DOOR = any_check;
    STEP_DOOR = any_step;
    handed_over = -1;
    summed = frame;
    steps = 0;
    F(rtu_check)(frame, length, &request, NULL, &exception);
    _Bool right = frame[length - 2] == (last & 0xFF) && frame[length - 1] == last >> 8;
    CLAIM(steps == length - 2, "the CRC of all bytes before it");
    CLAIM((handed_over >= 0) == right, "handed on if its CRC is right and never else");
    CLAIM(handed_over < 0 || (handed[0] << 8 | handed[1]) == request.transaction,
          "under the request's own transaction");
    REACHED(handed_over == RTU + 4, "the longest frame");
    REACHED(handed_over == -1, "a wrong CRC");
}

/* PROVED of rtu_encode, rtu_crc; unwind 260: an RTU request has 8 to 256 bytes, or is 0 and
 * refused. */
void rtu_encode_safe(void) {
    uint8_t *frame = malloc(RTU);
    Request request = any_request();
    ENCODE_DOOR = any_encode;
    STEP_DOOR = some_step;
    int32_t length = F(rtu_encode)(frame, &request, NULL);
    CLAIM(length == 0 || (length >= 8 && length <= RTU), "0, or 8 to 256 bytes");
    REACHED(length == RTU, "the longest frame");
    REACHED(length == 0, "a refusal");
}

/* PROVED of rtu_reply_bytes: the reply waited for has 6 to 256 bytes. */
void rtu_reply_length(void) {
    Request request = any_request();
    ASSUME(request.function >= 1 && (request.function <= 2 || request.count <= 125));
    int32_t bytes = F(rtu_reply_bytes)(&request);
    CLAIM(bytes >= 6 && bytes <= RTU, "6 to 256 bytes are waited for");
    REACHED(bytes == 255, "the greatest reply");
}
