"""libmodbus as a client of a bench: a context a device, read in turn; the loop is compiled."""

import ctypes
from array import array
from contextlib import ExitStack

from edgectl.cli.bench_child import HOST, Asked, Lap, serve
from edgectl.plant._peers import blocking_run

LIBMODBUS = "libmodbus.so.5"


def libmodbus_client(asked: Asked, stack: ExitStack) -> Lap:
    """Closed loop over devices of one read each."""
    (count,) = asked.sizes
    try:
        library = ctypes.CDLL(LIBMODBUS)
    except OSError as error:
        raise ImportError(str(error)) from None
    library.modbus_new_tcp.restype = ctypes.c_void_p
    contexts = array("Q")
    for port in asked.ports:
        context = ctypes.c_void_p(library.modbus_new_tcp(HOST.encode(), port))
        stack.callback(library.modbus_free, context)
        library.modbus_set_slave(context, 1)
        if library.modbus_connect(context) != 0:
            raise OSError(f"libmodbus could not connect to port {port}")
        stack.callback(library.modbus_close, context)
        assert context.value is not None
        contexts.append(context.value)
    read = ctypes.cast(library.modbus_read_registers, ctypes.c_void_p).value
    assert read is not None

    def lap(seconds: float) -> tuple[int, int]:
        return blocking_run(contexts, read, count, int(seconds * 1e9))

    return lap


if __name__ == "__main__":
    serve(libmodbus_client)
