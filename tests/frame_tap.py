"""What goes over a connection or a line, recorded by a tap in it, and a capture file of it.

No right to capture is needed: the tap passes bytes on, and the capture file is written from
what it saw, as a TCP conversation. Serial frames go into one as well, for Modbus RTU over TCP.
"""

import os
import select
import socket
import struct
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import serial

HOST = "127.0.0.1"
MASTER_PORT = 40_000
SNAP_BYTES, RAW_IP = 65_535, 101  # LINKTYPE_RAW
SYN, PUSH, ACK = 0x02, 0x08, 0x10


@dataclass
class Recording:
    """Bytes of one connection in the order they passed: (s, from the master, bytes)."""

    passed: list[tuple[float, bool, bytes]] = field(default_factory=list)

    def add(self, from_master: bool, data: bytes) -> None:
        """Note what passes now."""
        self.passed.append((time.time(), from_master, data))


@contextmanager
def tcp_tap(to_port: int, port: int = 0) -> Iterator[tuple[int, list[Recording]]]:
    """A port that passes connections on to another one; with a recording of each connection.

    port   of the tap; 0 takes any
    """
    recordings: list[Recording] = []
    listener = socket.create_server((HOST, port))
    ends: list[socket.socket] = [listener]

    def accept() -> None:
        with suppress(OSError):
            while True:
                ours, _ = listener.accept()
                theirs = socket.create_connection((HOST, to_port))
                recordings.append(Recording())
                for end in (ours, theirs):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    ends.append(end)
                for parts in ((ours, theirs, True), (theirs, ours, False)):
                    threading.Thread(
                        target=_pass_on, args=(*parts, recordings[-1]), daemon=True
                    ).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1], recordings
    finally:
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _pass_on(
    source: socket.socket, sink: socket.socket, from_master: bool, recording: Recording
) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            recording.add(from_master, data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def line_tap(to_port: str) -> Iterator[tuple[str, Recording]]:
    """A serial port that passes everything on to another one; with its recording."""
    recording = Recording()
    device = serial.Serial(to_port, 19_200, timeout=0)
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            for ready in select.select([ours, device.fileno()], [], [], 0.02)[0]:
                data = os.read(ready, 4096)
                recording.add(ready == ours, data)
                os.write(device.fileno() if ready == ours else ours, data)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield os.ttyname(theirs), recording
    finally:
        stop.set()
        thread.join()
        device.close()
        os.close(ours)
        os.close(theirs)


def frames(recording: Recording) -> Iterator[tuple[float, bool, bytes]]:
    """Bytes of one direction up to the next of the other, joined: a serial line's frames."""
    held: tuple[float, bool, bytes] | None = None
    for time_s, from_master, data in recording.passed:
        if held is not None and held[1] == from_master:
            held = (held[0], from_master, held[2] + data)
            continue
        if held is not None:
            yield held
        held = (time_s, from_master, data)
    if held is not None:
        yield held


def write_capture(
    path: Path, port: int, conversations: list[list[tuple[float, bool, bytes]]]
) -> None:
    """Write conversations as TCP connections to a port, each from a port of its own.

    Source: the pcap file format, draft-ietf-opsawg-pcap; RFC 791, 9293.
    """
    packets: list[tuple[float, bytes]] = []
    for number, conversation in enumerate(conversations):
        master, sequence = MASTER_PORT + number, {True: 1, False: 1}
        first_s = conversation[0][0]
        packets.append((first_s, _packet(master, port, 0, 0, SYN, b"")))
        packets.append((first_s, _packet(port, master, 0, 1, SYN | ACK, b"")))
        packets.append((first_s, _packet(master, port, 1, 1, ACK, b"")))
        for time_s, from_master, data in conversation:
            ends = (master, port) if from_master else (port, master)
            numbers = (sequence[from_master], sequence[not from_master])
            packets.append((time_s, _packet(*ends, *numbers, PUSH | ACK, data)))
            sequence[from_master] += len(data)
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, SNAP_BYTES, RAW_IP))
        for time_s, packet in sorted(packets, key=lambda each: each[0]):
            microseconds = round(time_s * 1e6)
            file.write(struct.pack("<II", *divmod(microseconds, 1_000_000)))
            file.write(struct.pack("<II", len(packet), len(packet)) + packet)


def _packet(
    source: int, target: int, sequence: int, acknowledged: int, flags: int, data: bytes
) -> bytes:
    """IPv4 and TCP around data; checksums are 0, which a capture of an offloading card has too."""
    address = socket.inet_aton(HOST)
    tcp = struct.pack(
        ">HHIIBBHHH", source, target, sequence, acknowledged, 0x50, flags, 65_535, 0, 0
    )
    length = 20 + len(tcp) + len(data)
    head = struct.pack(">BBHHHBBH", 0x45, 0, length, 0, 0x4000, 64, socket.IPPROTO_TCP, 0)
    return head + address + address + tcp + data
