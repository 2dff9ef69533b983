/* One reply parser, for any bytes: FC is its function, MOST the greatest count that is asked.
   Compiled together with the generated C of modbus.pyx; REACH asks whether the claim is empty. */
#include "modbus.c"
#include <stdlib.h>

uint8_t nondet_u8(void);
uint16_t nondet_u16(void);
int nondet_int(void);
typedef struct __pyx_t_7edgectl_7_kernel_6modbus_Request Request;

static Request any_request(void)
{
    Request request;
    request.transaction = nondet_u16();
    request.address = nondet_u16();
    request.count = nondet_u16();
    request.value = nondet_u16();
    request.unit = nondet_u8();
    request.any_unit = nondet_u8();
    request.function = FC;
    __CPROVER_assume(request.count >= 1 && request.count <= MOST);
    return request;
}

void p_reply(void)
{
    int length = nondet_int();
    __CPROVER_assume(length >= 0 && length <= 260);
    uint8_t *frame = malloc(length); /* as large as the frame: a byte beyond it is an error */
    Request request = any_request();
    uint16_t *words = malloc(2 * (size_t)request.count); /* likewise */
    uint8_t exception = 0;
    int status = __pyx_f_7edgectl_7_kernel_6modbus_modbus_check(
        frame, length, &request, words, &exception);
    if (status == MODBUS_OK_VALUE) {
        int bytes = FC <= 2 ? (request.count + 7) / 8 : 2 * request.count;
        int echo = FC == 5 || FC == 6 ? request.value : request.count;
        __CPROVER_assert(length == (FC <= 4 ? 9 + bytes : 12), "length is what was asked");
        __CPROVER_assert(frame[7] == FC, "function is what was asked");
        __CPROVER_assert(frame[0] == request.transaction >> 8
                         && frame[1] == (request.transaction & 255), "transaction");
        __CPROVER_assert(request.any_unit || frame[6] == request.unit, "unit");
        if (FC <= 4)
            __CPROVER_assert(frame[8] == bytes, "byte count");
        else
            __CPROVER_assert(frame[8] == request.address >> 8
                             && frame[9] == (request.address & 255)
                             && frame[10] == echo >> 8 && frame[11] == (echo & 255), "echo");
#ifdef REACH
        __CPROVER_assert(0, "reached");
#endif
    }
}

void p_frame(void)
{
    int fill = nondet_int();
    __CPROVER_assume(fill >= 0 && fill <= 260);
    uint8_t *bytes = malloc(fill);
    int32_t length = -1;
    int status = __pyx_f_7edgectl_7_kernel_6modbus_modbus_frame(bytes, fill, &length);
    __CPROVER_assert(status >= 0 && status <= 2, "partial, whole or broken");
    if (status == FRAME_WHOLE_VALUE) {
        __CPROVER_assert(length >= 9 && length <= fill, "a whole frame lies within what came");
#ifdef REACH
        __CPROVER_assert(0, "reached");
#endif
    }
}
