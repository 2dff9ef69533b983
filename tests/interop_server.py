"""A Modbus TCP server of another maker, in a process of its own, with contents that a test knows.

    python tests/interop_server.py pymodbus|libmodbus|pyModbusTCP

It prints its port and serves until its standard input closes. What it holds:
coil n is n % 3 == 0, input n is n % 5 == 0, holding register n is 1000 + n, input
register n is 2000 + n; holding register 400 is 50. Nothing lies beyond SIZE.
"""

import asyncio
import ctypes
import os
import sys
import threading
from typing import Any

from free_ports import free_ports

HOST = "127.0.0.1"
SIZE = 600
PERCENT_ADDRESS, PERCENT = 400, 50
LIBMODBUS = "libmodbus.so.5"
NODE_SERVER = f"""
const {{ ServerTCP }} = require("modbus-serial");
const size = {SIZE}, coils = [], holding = [];
for (let n = 0; n < size; n++) {{ coils.push(n % 3 === 0); holding.push(1000 + n); }}
holding[{PERCENT_ADDRESS}] = {PERCENT};
const within = (n, value) => {{
  if (n >= size) {{ const e = new Error("beyond"); e.modbusErrorCode = 2; throw e; }}
  return value;
}};
const vector = {{
  getCoil: n => within(n, coils[n]),
  getDiscreteInput: n => within(n, n % 5 === 0),
  getHoldingRegister: n => within(n, holding[n]),
  getInputRegister: n => within(n, 2000 + n),
  setCoil: (n, value) => {{ coils[n] = within(n, value); }},
  setRegister: (n, value) => {{ holding[n] = within(n, value); }},
}};
const port = Number(process.argv[1]);
const server = new ServerTCP(vector, {{ host: "{HOST}", port: port, unitID: 1 }});
server.on("initialized", () => console.log(port));
process.stdin.on("end", () => process.exit(0)).resume();
"""


def contents() -> tuple[list[bool], list[bool], list[int], list[int]]:
    """Coils, inputs, holding registers, input registers."""
    holding = [1000 + at for at in range(SIZE)]
    holding[PERCENT_ADDRESS] = PERCENT
    return (
        [at % 3 == 0 for at in range(SIZE)],
        [at % 5 == 0 for at in range(SIZE)],
        holding,
        [2000 + at for at in range(SIZE)],
    )


def free_port() -> int:
    """A TCP port that nobody has now."""
    return free_ports(1)[0]


def serve_pymodbus(port: int) -> None:
    """pymodbus' own server, on its simulator's tables."""
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    coils, inputs, holding, registers = contents()
    kinds = (DataType.BITS, DataType.BITS, DataType.REGISTERS, DataType.REGISTERS)
    tables: Any = tuple(
        [SimData(0, values=values, datatype=kind)]
        for values, kind in zip((coils, inputs, holding, registers), kinds, strict=True)
    )

    async def serve() -> None:
        server = ModbusTcpServer(SimDevice(id=1, simdata=tables), address=(HOST, port))
        await server.serve_forever(background=True)
        print(port, flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


class Mapping(ctypes.Structure):
    """modbus_mapping_t of libmodbus 3.1."""

    _fields_ = [
        *((name, ctypes.c_int) for name in (
            "nb_bits", "start_bits", "nb_input_bits", "start_input_bits",
            "nb_input_registers", "start_input_registers", "nb_registers", "start_registers",
        )),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_input_registers", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    ]  # fmt: skip


def serve_libmodbus(port: int) -> None:
    """libmodbus, one connection at a time."""
    library = ctypes.CDLL(LIBMODBUS)
    library.modbus_new_tcp.restype = ctypes.c_void_p
    library.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    context = ctypes.c_void_p(library.modbus_new_tcp(HOST.encode(), port))
    mapping = library.modbus_mapping_new(SIZE, SIZE, SIZE, SIZE)
    held = mapping.contents
    tables = (held.tab_bits, held.tab_input_bits, held.tab_registers, held.tab_input_registers)
    for table, values in zip(tables, contents(), strict=True):
        for at, value in enumerate(values):
            table[at] = int(value)
    listener = ctypes.c_int(library.modbus_tcp_listen(context, 4))
    print(port, flush=True)
    request = (ctypes.c_uint8 * 260)()
    while True:
        library.modbus_tcp_accept(context, ctypes.byref(listener))
        while (length := library.modbus_receive(context, request)) >= 0:
            if length > 0:
                library.modbus_reply(context, request, length, mapping)
        library.modbus_close(context)


def serve_pymodbustcp(port: int) -> None:
    """pyModbusTCP's server, a thread a connection."""
    from pyModbusTCP.server import DataBank, ModbusServer

    bank = DataBank(coils_size=SIZE, d_inputs_size=SIZE, h_regs_size=SIZE, i_regs_size=SIZE)
    coils, inputs, holding, registers = contents()
    bank.set_coils(0, coils)
    bank.set_discrete_inputs(0, inputs)
    bank.set_holding_registers(0, holding)
    bank.set_input_registers(0, registers)
    ModbusServer(HOST, port, no_block=True, data_bank=bank).start()
    print(port, flush=True)
    threading.Event().wait()


SERVERS = {
    "pymodbus": serve_pymodbus,
    "libmodbus": serve_libmodbus,
    "pyModbusTCP": serve_pymodbustcp,
}


def end_with_parent() -> None:
    """Leave when standard input closes, whatever the server's loop is doing."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_parent, daemon=True).start()
    SERVERS[sys.argv[1]](free_port())
