"""What others need for the same requests: a raw epoll client, and pymodbus.

Both ask the responder that the kernel has just asked, with as many requests to
each device in each period. Their CPU time is that of one thread, system calls
included, from the first request to the last reply.
"""

import asyncio
import os
import socket
import struct
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from edgectl.cli.bench_tables import blocks_of
from edgectl.plant._peers import floor_run

HOST = "127.0.0.1"
READ_REPLY_BYTES = 9  # MBAP header, function, byte count
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of a client."""

    transactions: int
    cpu_ns: int

    @property
    def us_per_transaction(self) -> float:
        """CPU time of one request and its reply, us."""
        return self.cpu_ns / self.transactions / 1e3


@dataclass(frozen=True, slots=True)
class Pattern:
    """Who is asked what, and how often."""

    ports: Sequence[int]
    registers: int
    period_ns: int
    seconds: float

    @property
    def periods(self) -> int:
        """Bursts in all."""
        return max(int(self.seconds * 1e9 / self.period_ns), 1)


def floor_cost(pattern: Pattern, fifo_priority: int, cpu: int) -> Cost:
    """What the least possible client needs, scheduled as the kernel's bus thread is.

    fifo_priority  SCHED_FIFO priority wanted, 0 for none
    cpu            processor to stay on, -1 for any

    Where a device takes several requests they are all as large as its mean one.
    """
    rounds = len(blocks_of(pattern.registers))
    count = pattern.registers // rounds
    request = np.frombuffer(struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, count), np.uint8)
    sockets = []
    try:
        for port in pattern.ports:
            sockets.append(socket.create_connection((HOST, port), CONNECT_TIMEOUT_S))
            sockets[-1].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sockets[-1].setblocking(False)
        fds = np.array([each.fileno() for each in sockets], np.int32)
        with ThreadPoolExecutor(1) as thread:  # its scheduling ends with it
            return thread.submit(
                scheduled_floor, fds, request, count, rounds, pattern, fifo_priority, cpu
            ).result()
    finally:
        for each in sockets:
            each.close()


def scheduled_floor(
    fds: np.ndarray[tuple[int], np.dtype[np.int32]],
    request: np.ndarray[tuple[int], np.dtype[np.uint8]],
    count: int,
    rounds: int,
    pattern: Pattern,
    fifo_priority: int,
    cpu: int,
) -> Cost:
    """Run the floor client in the calling thread, with its own scheduling."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    if fifo_priority > 0:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo_priority))
    return Cost(
        *floor_run(
            fds, request, READ_REPLY_BYTES + 2 * count, rounds, pattern.period_ns, pattern.periods
        )
    )


def pymodbus_cost(pattern: Pattern) -> Cost:
    """What pymodbus' asynchronous client needs: one connection a device, gathered each period.

    Raises ImportError where pymodbus is not installed, OSError where a device
    cannot be reached.
    """
    return asyncio.run(ask_with_pymodbus(pattern))


async def ask_with_pymodbus(pattern: Pattern) -> Cost:
    """Connect, ask in every period, and count the CPU time of this thread."""
    from pymodbus.client import AsyncModbusTcpClient  # 80 ms that no other bench needs

    sizes = blocks_of(pattern.registers)
    clients = [
        AsyncModbusTcpClient(HOST, port=port, retries=0, timeout=1.0) for port in pattern.ports
    ]
    answered = 0

    async def ask(client: AsyncModbusTcpClient) -> int:
        replies, address = 0, 0
        for size in sizes:
            reply = await client.read_holding_registers(address, count=size, device_id=1)
            replies += not reply.isError()
            address += size
        return replies

    try:
        if not all(await asyncio.gather(*(client.connect() for client in clients))):
            raise OSError("pymodbus could not connect to every device of the responder")
        deadline_s = time.monotonic()
        cpu_ns = time.thread_time_ns()
        for _ in range(pattern.periods):
            deadline_s += pattern.period_ns * 1e-9
            await asyncio.sleep(max(deadline_s - time.monotonic(), 0.0))
            answered += sum(await asyncio.gather(*(ask(client) for client in clients)))
        return Cost(answered, time.thread_time_ns() - cpu_ns)
    finally:
        for client in clients:
            client.close()
