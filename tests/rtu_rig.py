"""A scripted Modbus RTU slave on a pseudo-terminal: its own bytes, one script a unit."""

import contextlib
import os
import select
import struct
import threading
import time
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

REQUEST_BYTES = 8  # of functions 3 and 4
CRC_POLYNOMIAL = 0xA001
NOISE = b"\x55\xaa"
SILENCE_S = 0.02  # more than any line's 3.5 characters
LOOK_S = 0.02


class Say(Enum):
    """What a unit does with one request."""

    RIGHT = auto()
    SILENT = auto()
    BAD_CRC = auto()
    OTHER_UNIT = auto()  # a whole frame, of another unit, then nothing
    LATE = auto()  # right, after delay_s; other units are served meanwhile, its own replies wait
    BYTE_WISE = auto()  # gap_s between bytes
    TRUNCATED = auto()
    NOISE_BEFORE = auto()  # garbage, silence, then right
    NOISE_AFTER = auto()  # right, silence, then garbage
    ECHO = auto()  # the request as it came, then right: an adapter that hears itself
    EXCEPTION = auto()
    FEWER = auto()  # one register less than was asked


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    time_s: float
    unit: int
    function: int
    address: int
    count: int


def crc(content: bytes) -> bytes:
    """CRC-16 of MODBUS over Serial Line V1.02, 6.2.2; written apart from the kernel's."""
    value = 0xFFFF
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (CRC_POLYNOMIAL if value & 1 else 0)
    return value.to_bytes(2, "little")


class RtuSlave:
    """Units on one line; register n of unit u reads n + 1000 * u unless a test set it.

    units    that answer at all
    delay_s  of a late reply
    gap_s    between the bytes of a byte-wise one
    clock    s; by it a late reply's time comes

    `script` has what each unit does next, one a request; used up, it answers right. `asked`
    has the requests as they came. Everything may be changed while the slave runs.
    """

    def __init__(
        self,
        units: set[int],
        delay_s: float = 0.0,
        gap_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.units, self.delay_s, self.gap_s = units, delay_s, gap_s
        self._clock = clock
        self.registers: dict[tuple[int, int], int] = {}
        self.script: dict[int, deque[Say]] = {unit: deque() for unit in units}
        self.asked: list[Asked] = []
        self._master, slave = os.openpty()
        tty.setraw(self._master)
        tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self._late: deque[tuple[float, int, bytes]] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def register(self, unit: int, address: int) -> int:
        """What a register holds."""
        return self.registers.get((unit, address), address + 1000 * unit)

    def _serve(self) -> None:
        held = b""
        while not self._stop.is_set():
            self._send_late()
            if not select.select([self._master], [], [], self._wait_s())[0]:
                continue
            with contextlib.suppress(OSError):
                held += os.read(self._master, 256)
            while len(held) >= REQUEST_BYTES:
                self._answer(held[:REQUEST_BYTES])
                held = held[REQUEST_BYTES:]

    def _wait_s(self) -> float:
        return max(0.0, min([LOOK_S, *(due_s - self._clock() for due_s, _, _ in self._late)]))

    def _send_late(self) -> None:
        """Send the late replies whose time has come."""
        while self._late and self._late[0][0] <= self._clock():
            os.write(self._master, self._late.popleft()[2])

    def _answer(self, request: bytes) -> None:
        unit, function, address, count = struct.unpack(">BBHH", request[:6])
        assert crc(request[:6]) == request[6:], "the master's CRC is wrong"
        self.asked.append(Asked(time.monotonic(), unit, function, address, count))
        if unit not in self.units:
            return
        say = self.script[unit].popleft() if self.script[unit] else Say.RIGHT
        if say == Say.SILENT:
            return
        words = [self.register(unit, address + at) for at in range(count - (say == Say.FEWER))]
        body = struct.pack(f">BBB{len(words)}H", unit, function, 2 * len(words), *words)
        if say == Say.EXCEPTION:
            body = bytes([unit, function | 0x80, 2])
        elif say == Say.OTHER_UNIT:
            body = bytes([unit + 40]) + body[1:]
        frame = body + (b"\0\0" if say == Say.BAD_CRC else crc(body))
        if held := [due_s for due_s, late, _ in self._late if late == unit]:
            # A unit answers in the order it was asked; this one is no faster than the one before.
            due_s = self._clock() + self.delay_s if say == Say.LATE else 0.0
            self._late.append((max(due_s, held[-1]), unit, frame))
        elif say == Say.LATE:
            self._late.append((self._clock() + self.delay_s, unit, frame))
        else:
            self._send(say, request, frame)

    def _send(self, say: Say, request: bytes, frame: bytes) -> None:
        """Put a reply on the line, with what goes wrong around it."""
        match say:
            case Say.BYTE_WISE:
                for byte in frame:
                    os.write(self._master, bytes([byte]))
                    time.sleep(self.gap_s)
            case Say.TRUNCATED:
                os.write(self._master, frame[:-3])
            case Say.NOISE_BEFORE:
                os.write(self._master, NOISE)
                time.sleep(SILENCE_S)
                os.write(self._master, frame)
            case Say.NOISE_AFTER:
                os.write(self._master, frame)
                time.sleep(SILENCE_S)
                os.write(self._master, NOISE)
            case Say.ECHO:
                os.write(self._master, request + frame)
            case _:
                os.write(self._master, frame)

    def close(self) -> None:
        """Pull the plug."""
        self._stop.set()
        self._thread.join()
        for descriptor in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
