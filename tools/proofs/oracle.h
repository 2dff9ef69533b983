/* What a reply must be, written apart from the code that is proved and fuzzed with it. */
typedef struct __pyx_t_7edgectl_7_kernel_6modbus_Request Request;

static int word_at(const uint8_t *place) { return place[0] << 8 | place[1]; }

/* The length of the only reply that may be believed. */
static int32_t reply_bytes(const Request *request) {
    if (request->function <= 2) return 9 + (request->count + 7) / 8;
    if (request->function <= 4) return 9 + 2 * request->count;
    return 12;
}

/* Written apart from modbus_check: every byte that must be what was asked. */
static _Bool answers(const uint8_t *frame, int32_t length, const Request *request) {
    uint8_t function = request->function;
    if (length != reply_bytes(request)) return 0;
    if (word_at(frame) != request->transaction) return 0;
    if (frame[6] != request->unit && !request->any_unit) return 0;
    if (frame[7] != function) return 0;
    if (function <= 4) return frame[8] == length - 9;
    if (word_at(frame + 8) != request->address) return 0;
    return word_at(frame + 10) ==
           (function == 5 || function == 6 ? request->value : request->count);
}

/* The CRC once more, bit by bit over the whole message as one shift register. */
static uint16_t crc_of(const uint8_t *bytes, int32_t length) {
    uint16_t crc = 0xFFFF;
    for (int32_t bit = 0; bit < 8 * length; bit++) {
        int fed = (bytes[bit / 8] >> (bit % 8)) & 1;
        int out = (crc & 1) ^ fed;
        crc = (uint16_t)(crc >> 1);
        if (out) crc = (uint16_t)(crc ^ 0xA001);
    }
    return crc;
}
