"""Does a device take several requests at once on one connection, and how does it fail if not?

Requests go out as the field bus sends them (ext/link.pyx): the first of a round in one segment,
then one more for each that was answered. Frames are made and judged by the kernel's own code, so
what is believed here is believed in the scan. Reads only.
"""

import itertools
import select
import socket
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from edgectl._kernel.modbus import FrameStatus, ModbusStatus, check, encode, frame
from edgectl.commissioning.client import (
    EXCEPTIONS,
    NS_PER_MS,
    DeviceError,
    TcpAddress,
    connect,
)
from edgectl.commissioning.identify import printed_read, printed_words
from edgectl.commissioning.outstanding_reads import Sample

NUMBERS = (1, 2, 4, 8)  # one at a time is what the others are held against
ROUNDS = 40
ROUNDS_MIN, SECONDS_MAX = 10, 30.0  # of a number: a slow device has fewer rounds
ROUNDS_FAILED_MAX = 3  # that show how a number fails
REQUESTS_A_PLACE = 2  # in a round: the one that goes at once, and one behind it
FRAME_BYTES_MAX = 260  # MAP 4.1
RECEIVE_BYTES = 65536
PRINTED_WORDS_MAX = 4
LATE_TIMES = 2  # timeouts, from the last request on, in which a late reply is waited for
NS_PER_S = 1e9


class Trouble(Enum):
    """What can go wrong with requests that are on their way together."""

    LOST = "lost replies"
    LATE = "late replies"
    MIXED = "replies mixed up"  # under the id of one request what another one asked for
    UNASKED = "replies to no request"  # an id that nothing waits for
    REFUSED = "refused"  # with an exception, where it is answered singly
    BROKEN = "broken replies"
    CLOSED = "connection closed"


@dataclass(frozen=True, slots=True)
class Conditions:
    """How to ask.

    any_unit  the profile believes a reply of another unit
    settle_s  to wait after connecting
    """

    address: TcpAddress
    unit: int
    timeout_ms: int
    connect_timeout_ms: int
    any_unit: bool = False
    settle_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """What came of so many requests at once.

    answered      in time, with its own id, its own length and its own constant words
    out_of_order  replies that came before the reply to an earlier request
    slowest_ns    of all replies, late ones too
    times_ns      of each round in which all went well, a read
    troubles      how often each was seen, in the order in which they were
    first         the first one, in words; "" where nothing went wrong
    """

    at_once: int
    rounds: int = 0
    failed: int = 0
    asked: int = 0
    answered: int = 0
    out_of_order: int = 0
    slowest_ns: int = 0
    times_ns: list[float] = field(default_factory=list)
    troubles: dict[Trouble, int] = field(default_factory=dict)
    first: str = ""

    @property
    def passed(self) -> bool:
        """Every request was answered as it must be."""
        return self.rounds > 0 and not self.troubles

    @property
    def kind(self) -> Trouble:
        """Of the first trouble. Only of a number that did not pass."""
        return next(iter(self.troubles))

    @property
    def read_ns(self) -> float:
        """What a read took in the middle one of the rounds; 0.0 where none went well."""
        return statistics.median(self.times_ns) if self.times_ns else 0.0

    def note(self, trouble: Trouble, what: str) -> None:
        """Count one trouble; the first is kept in words."""
        self.troubles[trouble] = self.troubles.get(trouble, 0) + 1
        self.first = self.first or what


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request on its way. place: in the order of the round, from 0."""

    sample: Sample
    fields: dict[str, int]
    place: int
    sent_ns: int

    @property
    def named(self) -> str:
        """The read as people name it."""
        return printed_read(self.sample.function, self.sample.address, self.sample.count)

    @property
    def which(self) -> str:
        """Where in the round it stood."""
        return f"request {self.place + 1} of the round"


class _Round:
    """Some requests at once on one connection, up to the last reply or until none can come."""

    def __init__(self, wire: socket.socket, asking: Conditions, tally: Tally) -> None:
        self.wire = wire
        self.asking = asking
        self.tally = tally
        self.awaited: dict[int, _Asked] = {}
        self.sent: list[_Asked] = []
        self.came: list[int] = []  # places of the right replies
        self.stream = b""
        self.clean = True
        self.open = True

    def run(self, turns: Iterator[tuple[int, Sample]]) -> bool:
        """Whether all was well; otherwise the connection is of no more use."""
        tally, start_ns = self.tally, time.monotonic_ns()
        self._send(itertools.islice(turns, tally.at_once))
        while self.awaited and self.open and (wait_ns := self._wait_ns()) > 0:
            good = self._receive(wait_ns)
            room = tally.at_once * REQUESTS_A_PLACE - len(self.sent)
            if self.clean and good and room:
                self._send(itertools.islice(turns, min(good, room)))
        for each in self.awaited.values() if self.open else ():
            self._note(Trouble.LOST, f"no reply to {each.named}, {each.which}")
        for at, place in enumerate(self.came):
            tally.out_of_order += place > min(self.came[at:])
        if self.clean:
            tally.times_ns.append((time.monotonic_ns() - start_ns) / len(self.sent))
        return self.clean

    def _send(self, turns: Iterator[tuple[int, Sample]]) -> None:
        """Put requests on the wire, all of them in one segment."""
        frames = b""
        for transaction, sample in turns:
            fields = {
                "transaction": transaction, "unit": self.asking.unit,
                "function": sample.function, "address": sample.address, "count": sample.count,
                "any_unit": self.asking.any_unit,
            }  # fmt: skip
            asked = _Asked(sample, fields, len(self.sent), time.monotonic_ns())
            self.awaited[transaction] = asked
            self.sent.append(asked)
            self.tally.asked += 1
            frames += encode(fields)
        try:
            self.wire.sendall(frames)
        except OSError:
            self._closed()

    def _wait_ns(self) -> int:
        """How long a reply, be it a late one, may still come to what was sent last."""
        last_ns = max(each.sent_ns for each in self.awaited.values())
        late_ns = LATE_TIMES * self.asking.timeout_ms * NS_PER_MS
        return last_ns + late_ns - time.monotonic_ns()

    def _receive(self, wait_ns: int) -> int:
        """Wait for bytes and judge every whole frame; how many replies were right."""
        if not select.select([self.wire], [], [], wait_ns / NS_PER_S)[0]:
            return 0
        try:
            received = self.wire.recv(RECEIVE_BYTES)
        except OSError:
            received = b""
        if not received:
            self._closed()
            return 0
        now_ns = time.monotonic_ns()
        self.stream += received
        good = 0
        while self.stream:
            status, length = frame(self.stream[:FRAME_BYTES_MAX])
            if status == FrameStatus.FRAME_PARTIAL:
                break
            if status == FrameStatus.FRAME_BROKEN:
                self._note(Trouble.BROKEN, f"no Modbus TCP: {self.stream[:12].hex(' ')}")
                self.open = False
                break
            reply, self.stream = self.stream[:length], self.stream[length:]
            good += self._judge(reply, now_ns)
        return good

    def _judge(self, reply: bytes, now_ns: int) -> bool:
        """Hold one frame against the request whose id it has."""
        (transaction,) = struct.unpack_from(">H", reply)
        asked = self.awaited.pop(transaction, None)
        if asked is None:
            self._note(Trouble.UNASKED, f"a reply with id {transaction}, which nothing waits for")
            return False
        took_ns = now_ns - asked.sent_ns
        self.tally.slowest_ns = max(self.tally.slowest_ns, took_ns)
        status, words, code = check(reply, asked.fields)
        if status != ModbusStatus.MODBUS_OK:
            self._note(*self._wrong(asked, reply, status, code))
            return False
        if not asked.sample.agrees(words):
            said = printed_words(words[:PRINTED_WORDS_MAX])
            singly = printed_words(asked.sample.words[:PRINTED_WORDS_MAX])
            what = f"{asked.named} begins with {said}; read singly, with {singly}"
            self._note(Trouble.MIXED, what)
            return False
        if took_ns > self.asking.timeout_ms * NS_PER_MS:
            late = f"{asked.named}, {asked.which}, came after {took_ns / NS_PER_MS:.0f} ms"
            self._note(Trouble.LATE, late)
            return False
        self.came.append(asked.place)
        self.tally.answered += 1
        return True

    def _wrong(
        self, asked: _Asked, reply: bytes, status: ModbusStatus, code: int
    ) -> tuple[Trouble, str]:
        """What a frame is that the kernel does not take for the reply."""
        if status == ModbusStatus.MODBUS_EXCEPTION:
            name = EXCEPTIONS.get(code, "unknown")
            return Trouble.REFUSED, f"exception {code}, {name}, to {asked.named}; fine singly"
        if status == ModbusStatus.MODBUS_OTHER_UNIT:
            return Trouble.BROKEN, f"a reply of unit {reply[6]} to {asked.named}"
        for other in self.sent:
            fields = {**other.fields, "transaction": asked.fields["transaction"]}
            if check(reply, fields)[0] == ModbusStatus.MODBUS_OK:
                what = f"the id of {asked.named} came with as many registers as {other.named} has"
                return Trouble.MIXED, what
        what = f"{len(reply)} bytes with function {reply[7]}"
        return Trouble.BROKEN, f"{what} to {asked.named}"

    def _closed(self) -> None:
        self.open = False
        here = f"with {len(self.awaited)} of {len(self.sent)} requests unanswered"
        self._note(Trouble.CLOSED, f"the device closed the connection {here}")

    def _note(self, trouble: Trouble, what: str) -> None:
        self.clean = False
        self.tally.note(trouble, what)


def tallies(
    asking: Conditions, reads: Sequence[Sample], told: Callable[[], None] = lambda: None
) -> list[Tally]:
    """Every number of requests at once, up to the first that fails.

    told  called after each round

    Raises DeviceError when a connection is not to be had at the first of a number's rounds.
    """
    ids = itertools.count(1)
    turns = ((next(ids) & 0xFFFF, each) for each in itertools.cycle(reads))
    found: list[Tally] = []
    for at_once in NUMBERS:
        found.append(_number(Tally(at_once), asking, turns, told))
        if not found[-1].passed:
            break
    return found


def _number(
    tally: Tally, asking: Conditions, turns: Iterator[tuple[int, Sample]], told: Callable[[], None]
) -> Tally:
    """The rounds of one number, on one connection for as long as nothing goes wrong."""
    began_s = time.monotonic()
    wire = _connected(asking)
    while tally.rounds < ROUNDS and tally.failed < ROUNDS_FAILED_MAX:
        if tally.rounds >= ROUNDS_MIN and time.monotonic() - began_s > SECONDS_MAX:
            break
        well = _Round(wire, asking, tally).run(turns)
        tally.rounds += 1
        told()
        if well:
            continue
        tally.failed += 1
        wire.close()
        try:
            wire = _connected(asking)
        except DeviceError as error:
            tally.note(Trouble.CLOSED, f"it takes no new connection: {error.problem}")
            break
    wire.close()
    return tally


def _connected(asking: Conditions) -> socket.socket:
    """A connection of its own, to a device that has settled."""
    wire = connect(asking.address, asking.connect_timeout_ms)
    time.sleep(asking.settle_s)
    return wire
