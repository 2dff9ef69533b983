"""A Modbus TCP device that does wrong on command, for tests of the master.

Raw sockets on purpose: a Modbus library on this side would repair the frames
that the test wants broken. Each request takes the next step of a script, reads
and writes apart; when a script is used up the device answers as it should. It takes
as many requests at once as come, and answers them one after the other.
The faults are those that masters in the field were measured to accept or to trip over.
"""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Self

HOST = "127.0.0.1"
START_TIMEOUT_S = 5.0
REQUEST_BYTES_MIN = 12
WRITES = (5, 6, 15, 16)


class Fault(Enum):
    """What one reply has wrong with it."""

    NONE = auto()
    FEWER_REGISTERS = auto()  # one less than asked, in a frame that is right in itself
    MORE_REGISTERS = auto()
    OTHER_FUNCTION = auto()  # 4 for 3, 3 for 4, 6 for 16
    ID_ZERO = auto()
    ID_WRONG = auto()  # an id that no request ever had
    ID_EARLIER = auto()  # the id of the request before, answered or not
    OTHER_UNIT = auto()
    PROTOCOL_NOT_ZERO = auto()
    LATE = auto()  # right, after delay_s
    SPLIT = auto()  # at_byte bytes, delay_s, and the rest
    BYTE_WISE = auto()  # a segment a byte
    HELD = auto()  # sent in one segment with the reply to the next request, before it
    BEHIND_NEXT = auto()  # the same, behind it
    ID_SWAPPED = auto()  # has the id of the next request, whose reply has this one's
    TWICE = auto()  # the same reply twice in one segment
    BYTE_COUNT_WRONG = auto()  # says two bytes more than it carries
    LENGTH_SHORT = auto()  # MBAP length under the standard's least
    LENGTH_LONG = auto()  # MBAP length over the standard's most
    TRUNCATED = auto()  # at_byte bytes, and then the connection is closed
    EXCEPTION = auto()  # exception `code`
    RESET = auto()  # RST in place of a reply
    CLOSE = auto()  # FIN in place of a reply
    SILENT = auto()  # nothing at all
    ECHO_WRONG = auto()  # a write reply that repeats another value or count
    GARBAGE = auto()  # bytes that are no Modbus


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a script: what happens to one request."""

    fault: Fault = Fault.NONE
    delay_s: float = 0.0
    at_byte: int = 7
    code: int = 4


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    time_ns: int
    transaction: int
    unit: int
    function: int
    address: int
    count: int  # registers or bits; for functions 5 and 6 the value
    words: tuple[int, ...] = ()  # written
    beside: tuple[int, ...] = ()  # functions of the requests whose replies were LATE then


@dataclass(slots=True)
class _Connection:
    """What the server keeps of one connection."""

    writer: asyncio.StreamWriter
    held: bytes = b""
    behind: bytes = b""
    swapped: bytes = b""
    transaction_before: int = 0
    late: dict[asyncio.Task[None], int] = field(default_factory=dict)  # and its function

    def outgoing(self, reply: bytes) -> bytes:
        """A reply and what waited for it, which waits no longer."""
        if self.swapped:
            reply = reply[:2] + self.swapped[2:] + self.swapped[:2] + reply[2:]
        whole = self.held + reply + self.behind
        self.held = self.behind = self.swapped = b""
        return whole


def parse(frame: bytes, beside: Iterable[int]) -> Received:
    """Take one whole request apart."""
    transaction, _, _, unit, function, address, count = struct.unpack_from(">HHHBBHH", frame)
    words: tuple[int, ...] = ()
    if function == 16:
        words = struct.unpack_from(f">{count}H", frame, 13)
    elif function in (5, 6):
        words = (count,)
    return Received(
        time.monotonic_ns(), transaction, unit, function, address, count, words, tuple(beside)
    )  # fmt: skip


def frame_of(transaction: int, unit: int, pdu: bytes) -> bytes:
    """Put the MBAP header before a PDU."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


class FaultServer:
    """One scripted device on a loopback port, in a thread of its own.

    registers  address to word; a register that is not there reads as its address
    reads      steps for reads, one a request; then every read is right
    writes     the same for writes
    port       0: any free port

    `requests` and `connections` say what the master did. Everything may be
    changed from the test's thread while the device runs.
    """

    def __init__(
        self,
        registers: dict[int, int] | None = None,
        reads: Iterable[Step] = (),
        writes: Iterable[Step] = (),
        port: int = 0,
    ) -> None:
        self.registers: dict[int, int] = registers if registers is not None else {}
        self.reads: deque[Step] = deque(reads)
        self.writes: deque[Step] = deque(writes)
        self.requests: list[Received] = []
        self.connections = 0
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((HOST, port))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._talks: dict[asyncio.Task[None], _Connection] = {}
        self._thread = threading.Thread(target=self._run, name=f"fault-server-{self.port}")

    def start(self) -> Self:
        """Listen; returns itself. Raises TimeoutError when the thread does not come up."""
        self._thread.start()
        if not self._started.wait(START_TIMEOUT_S):
            raise TimeoutError(f"fault server on port {self.port} did not start in 5 s")
        return self

    def stop(self) -> None:
        """Close everything and wait for the thread; once it has ended this does nothing."""
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def written(self) -> list[Received]:
        """The writes among the requests, as they came."""
        return [request for request in self.requests if request.function in WRITES]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accepted, sock=self._socket)
        self._started.set()
        await self._stop.wait()
        await self._all_accepted()
        server.close()
        await self._end()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection stands; noted at once, so that it is closed however soon we stop."""
        self.connections += 1
        connection = _Connection(writer)
        talk = self._loop.create_task(self._converse(reader, connection))
        self._talks[talk] = connection

    async def _all_accepted(self) -> None:
        """Wait until what was only being accepted as we were stopped stands.

        asyncio leaves a socket open whose server is closed in that instant.
        """
        own = asyncio.current_task()
        while accepting := asyncio.all_tasks() - {own, *self._talks, *self._late()}:
            await asyncio.wait(accepting)

    async def _end(self) -> None:
        """Close every connection."""
        for task in (*self._talks, *self._late()):
            task.cancel()
        await asyncio.gather(*self._talks, *self._late(), return_exceptions=True)
        for connection in self._talks.values():
            connection.writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await connection.writer.wait_closed()

    def _late(self) -> set[asyncio.Task[None]]:
        return {task for connection in self._talks.values() for task in connection.late}

    async def _converse(self, reader: asyncio.StreamReader, connection: _Connection) -> None:
        """Serve one connection until either side closes it."""
        writer = connection.writer
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # pieces leave when written
        try:
            while True:
                head = await reader.readexactly(6)
                frame = head + await reader.readexactly(int.from_bytes(head[4:6], "big"))
                request = parse(frame, connection.late.values())
                self.requests.append(request)
                await self._respond(connection, request)
                connection.transaction_before = request.transaction
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            for task in tuple(connection.late):
                task.cancel()
            writer.close()

    def _pdu(self, request: Received, registers: int) -> bytes:
        """The reply's PDU with so many registers; writes take effect here."""
        if request.function in (3, 4):
            addresses = range(request.address, request.address + registers)
            words = [self.registers.get(address, address) & 0xFFFF for address in addresses]
            return struct.pack(f">BB{registers}H", request.function, 2 * registers, *words)
        if request.function in (1, 2):
            size = (request.count + 7) // 8
            return bytes([request.function, size]) + bytes(size)
        for offset, word in enumerate(request.words):
            self.registers[request.address + offset] = word
        return struct.pack(">BHH", request.function, request.address, request.count)

    async def _respond(self, connection: _Connection, request: Received) -> None:
        """Do to one request what its script says."""
        script = self.writes if request.function in WRITES else self.reads
        step = script.popleft() if script else Step()
        if step.fault is Fault.RESET:
            raw = connection.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.writer.transport.abort()
            raise ConnectionResetError
        if step.fault is Fault.CLOSE:
            raise ConnectionAbortedError
        if step.fault is Fault.SILENT:
            return
        reply = self._reply(connection, request, step)
        match step.fault:
            case Fault.HELD:
                connection.held += reply
            case Fault.BEHIND_NEXT:
                connection.behind = reply + connection.behind
            case Fault.ID_SWAPPED:
                connection.swapped = reply
            case _:
                await self._send(connection, connection.outgoing(reply), request.function, step)

    def _reply(self, connection: _Connection, request: Received, step: Step) -> bytes:
        """The reply's bytes, with what a step puts wrong in the header or the PDU."""
        transaction, unit = request.transaction, request.unit
        registers = request.count
        if step.fault is Fault.FEWER_REGISTERS:
            registers -= 1
        elif step.fault is Fault.MORE_REGISTERS:
            registers += 3
        pdu = bytearray(self._pdu(request, registers))
        match step.fault:
            case Fault.OTHER_FUNCTION:
                pdu[0] = {3: 4, 4: 3, 6: 16, 16: 6}[request.function]
            case Fault.ID_ZERO:
                transaction = 0
            case Fault.ID_WRONG:
                transaction ^= 0x4000
            case Fault.ID_EARLIER:
                transaction = connection.transaction_before
            case Fault.OTHER_UNIT:
                unit ^= 0xFF
            case Fault.BYTE_COUNT_WRONG:
                pdu[1] += 2
            case Fault.EXCEPTION:
                pdu = bytearray([request.function | 0x80, step.code])
            case Fault.ECHO_WRONG:
                pdu[-1] ^= 0x01
        reply = bytearray(frame_of(transaction, unit, bytes(pdu)))
        match step.fault:
            case Fault.PROTOCOL_NOT_ZERO:
                reply[3] = 1
            case Fault.LENGTH_SHORT:
                reply[4:6] = (2).to_bytes(2, "big")
            case Fault.LENGTH_LONG:
                reply[4:6] = (255).to_bytes(2, "big")
            case Fault.GARBAGE:
                reply = bytearray(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            case Fault.TWICE:
                reply *= 2
        return bytes(reply)

    async def _send(self, connection: _Connection, reply: bytes, function: int, step: Step) -> None:
        """Put a reply on the wire, with what a step puts wrong in its timing."""
        match step.fault:
            case Fault.LATE:
                task = asyncio.create_task(self._send_later(connection, reply, step.delay_s))
                connection.late[task] = function
                task.add_done_callback(connection.late.pop)
            case Fault.SPLIT:
                connection.writer.write(reply[: step.at_byte])
                await asyncio.sleep(step.delay_s)
                connection.writer.write(reply[step.at_byte :])
            case Fault.BYTE_WISE:
                for offset in range(len(reply)):
                    connection.writer.write(reply[offset : offset + 1])
                    await asyncio.sleep(0)
            case Fault.TRUNCATED:
                connection.writer.write(reply[: step.at_byte])
                await connection.writer.drain()
                raise ConnectionAbortedError
            case _:
                connection.writer.write(reply)

    @staticmethod
    async def _send_later(connection: _Connection, reply: bytes, delay_s: float) -> None:
        """Send one reply late, while later requests are already being served."""
        await asyncio.sleep(delay_s)
        with contextlib.suppress(ConnectionError):
            connection.writer.write(reply)
