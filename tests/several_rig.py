"""Devices that do right or wrong by several requests at once, each in its own way."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgectl.plant.fault_server import Received, frame_of, parse

HOST = "127.0.0.1"
RECEIVE_BYTES = 65536
WAIT_S = 0.02
MBAP_BEFORE_LENGTH = 6


@dataclass(slots=True)
class Device:
    """Registers, and what was asked for. A register that is not in `registers` is refused."""

    registers: Mapping[int, int]
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0  # requests of one segment

    def reply(
        self, asked: Received, transaction: int | None = None, at: int | None = None
    ) -> bytes:
        """The reply to one request; under another id, or with the contents of another address."""
        transaction = asked.transaction if transaction is None else transaction
        first = asked.address if at is None else at
        addresses = range(first, first + asked.count)
        if asked.function != 3:
            pdu = bytes([asked.function | 0x80, 1])
        elif any(address not in self.registers for address in addresses):
            pdu = bytes([0x83, 2])
        else:
            words = [self.registers[address] for address in addresses]
            pdu = struct.pack(f">BB{asked.count}H", 3, 2 * asked.count, *words)
        return frame_of(transaction, asked.unit, pdu)


Say = Callable[[bytes], None]
# What a device does with the requests of one segment: sends bytes, or raises to end the connection.
Way = Callable[[Device, Sequence[Received], Say], None]


def all_of_them(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Takes them all and answers in order."""
    say(b"".join(device.reply(each) for each in asked))


def first_only(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Takes the first of a segment and does not look at the rest."""
    say(device.reply(asked[0]))


def up_to_four(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Has room for four."""
    all_of_them(device, asked[:4], say)


def backwards(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Answers the last first."""
    all_of_them(device, asked[::-1], say)


def ids_exchanged(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Has the ids of neighbours mixed up."""
    ids = [each.transaction for each in asked]
    turned = [*ids[1:], ids[0]]
    say(b"".join(device.reply(each, id_) for each, id_ in zip(asked, turned, strict=True)))


def last_id_for_all(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Keeps the id of the request that came last only."""
    say(b"".join(device.reply(each, asked[-1].transaction) for each in asked))


def last_address_for_all(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Right ids and lengths, but the registers of the request that came last."""
    say(b"".join(device.reply(each, at=asked[-1].address) for each in asked))


def closes(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Ends the connection at a second request."""
    if len(asked) > 1:
        raise ConnectionAbortedError
    all_of_them(device, asked, say)


def busy(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Refuses all but the first with exception 6."""
    say(device.reply(asked[0]))
    for each in asked[1:]:
        say(frame_of(each.transaction, each.unit, bytes([each.function | 0x80, 6])))


def twice(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Answers the first of several a second time."""
    all_of_them(device, asked[:1] * (1 + (len(asked) > 1)), say)
    all_of_them(device, asked[1:], say)


def glued(device: Device, asked: Sequence[Received], say: Say) -> None:
    """Sends several replies with the header of the first only."""
    say(device.reply(asked[0]) + b"".join(device.reply(each)[7:] for each in asked[1:]))


def slowly(turn_s: float) -> Way:
    """One after the other, each after so long."""

    def answer(device: Device, asked: Sequence[Received], say: Say) -> None:
        for each in asked:
            time.sleep(turn_s)
            say(device.reply(each))

    return answer


def together(wait_s: float) -> Way:
    """All of a segment after so long, as a device does that takes them side by side."""

    def answer(device: Device, asked: Sequence[Received], say: Say) -> None:
        time.sleep(wait_s)
        all_of_them(device, asked, say)

    return answer


@contextlib.contextmanager
def several(
    way: Way, registers: Mapping[int, int], connections_max: int = 1000
) -> Iterator[tuple[int, Device]]:
    """A device of one connection at a time; gives its port and what it has seen.

    connections_max  after so many it takes no more
    """
    device, stop = Device(registers), threading.Event()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, 0))
    listener.listen(1)
    listener.settimeout(WAIT_S)
    port = listener.getsockname()[1]

    def serve() -> None:
        while not stop.is_set() and device.connections < connections_max:
            with contextlib.suppress(TimeoutError):
                wire, _ = listener.accept()
                device.connections += 1
                with wire, contextlib.suppress(ConnectionError):
                    _converse(wire, way, device, stop)
        listener.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield port, device
    finally:
        stop.set()
        thread.join()


def _converse(wire: socket.socket, way: Way, device: Device, stop: threading.Event) -> None:
    """Serve one connection, segment by segment, until either side ends it."""
    wire.settimeout(WAIT_S)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = b""
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            received = wire.recv(RECEIVE_BYTES)
            if not received:
                return
            stream += received
        asked = []
        while len(stream) >= MBAP_BEFORE_LENGTH:
            size = MBAP_BEFORE_LENGTH + int.from_bytes(stream[4:6], "big")
            if len(stream) < size:
                break
            asked.append(parse(stream[:size].ljust(12, b"\0"), ()))
            stream = stream[size:]
        if asked:
            device.requests += asked
            device.most_at_once = max(device.most_at_once, len(asked))
            way(device, asked, wire.sendall)
