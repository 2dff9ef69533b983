"""Four clients for `edgectl bench fieldbus`, each in closed loop over its own connections.

Closed loop: as soon as a connection has its reply, its next request goes out.
Each client keeps its connections open, and runs for a lap when it is told to.
"""

import asyncio
import ctypes
import socket
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from edgectl._kernel.clock import now_ns
from edgectl._kernel.fieldbus import FieldBus, LinkState
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.process_image import PointType
from edgectl.cli.bench_peers import CONNECT_TIMEOUT_S, HOST, READ_REPLY_BYTES
from edgectl.cli.bench_tables import Draft, add_internal, common_arrays, directory_of, tables_of
from edgectl.image import private_segment
from edgectl.plant._peers import blocking_run, floor_run
from edgectl.site_model.tables import KernelTables

BLOCKS_PER_DEVICE = 8  # due again before a link has read them all: it is never idle
PERIOD_PER_CONNECTION_NS = 16_000  # half of what 8 reads of each take at 4 us a read
PERIOD_NS_MIN = 50_000
NEVER_NS = 3_600_000_000_000  # replies wait in the socket while other clients have their laps
LIBMODBUS = "libmodbus.so.5"

Lap = Callable[[float], tuple[int, int]]  # seconds to (transactions, CPU ns of this thread)


@dataclass(frozen=True, slots=True)
class Asked:
    """What every client asks."""

    ports: Sequence[int]  # one connection to each
    registers: int  # of each read, function 3, from address 0


def closed_loop_tables(asked: Asked) -> KernelTables:
    """Devices of BLOCKS_PER_DEVICE equal reads, due again before they are through."""
    period_ns = max(PERIOD_PER_CONNECTION_NS * len(asked.ports), PERIOD_NS_MIN)
    draft = Draft()
    for device, port in enumerate(asked.ports):
        draft.links.append({"first_device": device, "port": port})
        draft.devices.append(
            {
                "link": device, "timeout_ns": NEVER_NS,
                "first_block": len(draft.blocks), "blocks": BLOCKS_PER_DEVICE,
            }
        )  # fmt: skip
        for _ in range(BLOCKS_PER_DEVICE):
            block = {"device": device, "first_point": len(draft.points), "points": 1}
            draft.points.append(
                {"block": len(draft.blocks), "device": device, "type": PointType.TYPE_U16}
            )
            draft.blocks.append(block | {"count": asked.registers})
    first = add_internal(draft, 0)
    arrays = common_arrays(draft, period_ns, loads=0, first_internal=first, meters=[{}])
    return tables_of(arrays, directory_of(draft, period_ns, loads=0, storages=0, interlocks=0))


def edgectl_client(asked: Asked, stack: ExitStack) -> Lap:
    """Our own master, polled in the calling thread.

    A lap raises OSError when any reply before it was late, wrong or an exception.
    """
    tables = closed_loop_tables(asked)
    segment = private_segment(tables.directory, 64)
    kernel = Kernel(tables, segment.buffer)
    bus = FieldBus(kernel, tables.links, tables.devices, tables.probes)
    reader = segment.reader()
    bus.open(now_ns())
    deadline_ns = now_ns() + int(CONNECT_TIMEOUT_S * 1e9)
    while min(bus.link_states()) < LinkState.LINK_READY:
        if now_ns() > deadline_ns:
            raise OSError("the field bus could not connect to every device of the responder")
        bus.poll(now_ns() + PERIOD_NS_MIN)

    def lap(seconds: float) -> tuple[int, int]:
        sent, cpu_ns = bus.transactions, time.thread_time_ns()
        bus.poll(now_ns() + int(seconds * 1e9))
        sent, cpu_ns = bus.transactions - sent, time.thread_time_ns() - cpu_ns
        kernel.step(now_ns(), time.time_ns())  # copies the links' counters out
        links = reader.snapshot()["links"]
        failed = {
            name: int(links[name].sum()) for name in ("timeouts", "bad_replies", "exceptions")
        }
        if any(failed.values()) or int(links["connects"].max()) != 1:
            raise OSError(f"the responder did not answer the field bus as it should: {failed}")
        return sent, cpu_ns

    return lap


def floor_client(asked: Asked, stack: ExitStack) -> Lap:
    """One epoll loop, one prebuilt request, no check of a reply beyond its length."""
    request = np.frombuffer(struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, asked.registers), np.uint8)
    sockets = []
    for port in asked.ports:
        sockets.append(stack.enter_context(socket.create_connection((HOST, port))))
        sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[-1].setblocking(False)
    fds = np.array([each.fileno() for each in sockets], np.int32)

    def turns(rounds: int) -> tuple[int, int]:
        return floor_run(fds, request, READ_REPLY_BYTES + 2 * asked.registers, rounds, 0, 1)

    rounds = 100
    start_s = time.monotonic()
    turns(rounds)
    rounds_per_s = rounds / (time.monotonic() - start_s)

    def lap(seconds: float) -> tuple[int, int]:
        nonlocal rounds_per_s
        rounds = max(int(rounds_per_s * seconds), 1)
        start_s = time.monotonic()
        done = turns(rounds)
        rounds_per_s = rounds / (time.monotonic() - start_s)
        return done

    return lap


def libmodbus_client(asked: Asked, stack: ExitStack) -> Lap:
    """libmodbus with one context a device, read in turn; the loop over them is compiled.

    Raises ImportError where the library is not installed.
    """
    try:
        library = ctypes.CDLL(LIBMODBUS)
    except OSError as error:
        raise ImportError(str(error)) from None
    library.modbus_new_tcp.restype = ctypes.c_void_p
    contexts = []
    for port in asked.ports:
        context = ctypes.c_void_p(library.modbus_new_tcp(HOST.encode(), port))
        stack.callback(library.modbus_free, context)
        library.modbus_set_slave(context, 1)
        if library.modbus_connect(context) != 0:
            raise OSError(f"libmodbus could not connect to port {port}")
        stack.callback(library.modbus_close, context)
        contexts.append(context.value)
    addresses = np.array(contexts, np.uint64)
    read = ctypes.cast(library.modbus_read_registers, ctypes.c_void_p).value
    assert read is not None

    def lap(seconds: float) -> tuple[int, int]:
        return blocking_run(addresses, read, asked.registers, int(seconds * 1e9))

    return lap


def pymodbus_client(asked: Asked, stack: ExitStack) -> Lap:
    """pymodbus' asynchronous client: one task a connection, all of them gathered.

    Raises ImportError where pymodbus is not installed.
    """
    from pymodbus.client import AsyncModbusTcpClient  # may be missing

    clients: list[AsyncModbusTcpClient] = []
    runner = stack.enter_context(asyncio.Runner())

    async def connect() -> None:
        clients.extend(
            AsyncModbusTcpClient(HOST, port=port, retries=0, timeout=CONNECT_TIMEOUT_S)
            for port in asked.ports
        )
        if not all(await asyncio.gather(*(client.connect() for client in clients))):
            raise OSError("pymodbus could not connect to every device of the responder")

    async def close() -> None:
        for client in clients:
            client.close()

    async def ask(client: AsyncModbusTcpClient, end_s: float) -> int:
        replies = 0
        while time.monotonic() < end_s:
            reply = await client.read_holding_registers(0, count=asked.registers, device_id=1)
            if reply.isError():
                raise OSError(f"a device did not answer pymodbus: {reply}")
            replies += 1
        return replies

    async def ask_all(seconds: float) -> int:
        end_s = time.monotonic() + seconds
        return sum(await asyncio.gather(*(ask(client, end_s) for client in clients)))

    def lap(seconds: float) -> tuple[int, int]:
        cpu_ns = time.thread_time_ns()
        replies = runner.run(ask_all(seconds))
        return replies, time.thread_time_ns() - cpu_ns

    runner.run(connect())
    stack.callback(lambda: runner.run(close()))
    return lap


CLIENTS: dict[str, Callable[[Asked, ExitStack], Lap]] = {
    "edgectl": edgectl_client,
    "floor": floor_client,
    "libmodbus": libmodbus_client,
    "pymodbus": pymodbus_client,
}
