"""One client of a bench, in a process of its own: connects, and asks whenever it is told to.

A process holds what its client's own users would import, and no more: memory that
something else has used and freed changes what the allocator does for the client, and
by that its CPU time. So this module needs the standard library alone.

It prints {"ready": true} once it is connected. Then each line on its standard input is a
number of seconds, answered by one line: `transactions`, `cpu_ns`, `wall_ns`, `page_faults`.
{"missing": why} instead says that the client is not installed, {"error": why} that it
failed; both end the process, as does the end of its input.
"""

import argparse
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

HOST = "127.0.0.1"
READ_REPLY_BYTES = 9  # MBAP header, function, byte count
CONNECT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What every client asks."""

    ports: tuple[int, ...]  # one connection to each
    sizes: tuple[int, ...]  # registers of each read of a device, function 3, from address 0 on
    period_ns: int  # from burst to burst; 0: closed loop, asked again as soon as it is answered
    outstanding: int = 1  # requests to a device on their way at once; only some clients can

    def periods(self, seconds: float) -> int:
        """Bursts in so many seconds."""
        return max(int(seconds * 1e9 / self.period_ns), 1)


Lap = Callable[[float], tuple[int, int]]  # seconds to (transactions, CPU ns of this thread)
Client = Callable[[Asked, ExitStack], Lap]  # ImportError where it is not installed


def words_for(asked: Asked, cpu: int, fifo_priority: int) -> list[str]:
    """The command line from which `options` reads the same again."""
    lists = {"ports": asked.ports, "sizes": asked.sizes}
    words = [f"--{name}={','.join(map(str, each))}" for name, each in lists.items()]
    words += [f"--period-ns={asked.period_ns}", f"--outstanding={asked.outstanding}"]
    return [*words, f"--cpu={cpu}", f"--fifo-priority={fifo_priority}"]


def options() -> tuple[Asked, int, int]:
    """What is asked, the processor to stay on (-1: any), and a SCHED_FIFO priority (0: none)."""
    parser = argparse.ArgumentParser(description="One client of a bench.")
    for name in (
        "--ports", "--sizes", "--period-ns", "--outstanding", "--cpu", "--fifo-priority"
    ):  # fmt: skip
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    ports, sizes = (tuple(map(int, each.split(","))) for each in (given.ports, given.sizes))
    asked = Asked(ports, sizes, int(given.period_ns), int(given.outstanding))
    return asked, int(given.cpu), int(given.fifo_priority)


def say(**answer: object) -> None:
    """One line to whoever started this process."""
    print(json.dumps(answer), flush=True)


def page_faults() -> int:
    """Of this thread so far: each page of memory that was freshly mapped and then used is one."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt


def serve(client: Client) -> None:
    """Be the process of one client until standard input ends."""
    asked, cpu, fifo_priority = options()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, whose end ends this
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    if fifo_priority > 0:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(fifo_priority))
    with suppress(BrokenPipeError), ExitStack() as stack:
        try:
            lap = client(asked, stack)
            say(ready=True)
            for line in sys.stdin:
                faults, start_ns = page_faults(), time.monotonic_ns()
                transactions, cpu_ns = lap(float(line))
                wall_ns, faults = time.monotonic_ns() - start_ns, page_faults() - faults
                if transactions == 0:
                    raise OSError(f"not one reply came in {wall_ns / 1e9:.1f} s")
                say(
                    transactions=transactions, cpu_ns=cpu_ns, wall_ns=wall_ns, page_faults=faults
                )  # fmt: skip
        except ImportError as error:
            say(missing=str(error))
        except BrokenPipeError:
            raise
        except OSError as error:
            say(error=str(error))
