"""The floor of a bench: one epoll loop, one prebuilt request, no check beyond a reply's length."""

import socket
import struct
import time
from array import array
from contextlib import ExitStack

from edgectl.cli.bench_child import CONNECT_TIMEOUT_S, HOST, READ_REPLY_BYTES, Asked, Lap, serve
from edgectl.plant._peers import floor_run

TRIAL_ROUNDS = 100


def floor_client(asked: Asked, stack: ExitStack) -> Lap:
    """Where a device takes several requests they are all as large as its mean one."""
    rounds = len(asked.sizes)
    count = sum(asked.sizes) // rounds
    requests = struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, count) * asked.outstanding
    fds = array("i")
    for port in asked.ports:
        each = stack.enter_context(socket.create_connection((HOST, port), CONNECT_TIMEOUT_S))
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        each.setblocking(False)
        fds.append(each.fileno())

    def turns(rounds: int, period_ns: int, periods: int) -> tuple[int, int]:
        reply_bytes = READ_REPLY_BYTES + 2 * count
        return floor_run(
            fds, requests, asked.outstanding, reply_bytes, rounds, period_ns, periods
        )  # fmt: skip

    def paced_lap(seconds: float) -> tuple[int, int]:
        return turns(rounds, asked.period_ns, asked.periods(seconds))

    if asked.period_ns > 0:
        return paced_lap
    start_s = time.monotonic()
    turns(TRIAL_ROUNDS, 0, 1)
    rounds_per_s = TRIAL_ROUNDS / (time.monotonic() - start_s)

    def closed_lap(seconds: float) -> tuple[int, int]:
        nonlocal rounds_per_s
        rounds = max(int(rounds_per_s * seconds), 1)
        start_s = time.monotonic()
        done = turns(rounds, 0, 1)
        rounds_per_s = rounds / (time.monotonic() - start_s)
        return done

    return closed_lap


if __name__ == "__main__":
    serve(floor_client)
