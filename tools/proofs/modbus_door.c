/* ext/modbus.pyx for a module that imports it: its functions are static in the generated C. */
#define MODULE 7edgectl_7_kernel_6modbus
#include "modbus.c"
#include "kernel.h"

typedef struct T(Request) Request;

int door_check(const uint8_t *frame, int32_t length, const Request *request, uint16_t *words,
               uint8_t *exception) {
    return F(modbus_check)(frame, length, request, words, exception);
}
int32_t door_encode(uint8_t *frame, const Request *request, const uint16_t *words) {
    return F(modbus_encode)(frame, request, words);
}
uint16_t door_crc_step(uint16_t crc, uint8_t byte) {
    return F(crc_step)(crc, byte);
}
