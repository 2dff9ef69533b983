"""The clients of a bench from outside: each a child process that has its laps when it is told."""

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from edgectl.cli.bench_child import Asked, words_for
from edgectl.errors import EdgectlError

ANSWER_TIMEOUT_S = 30.0  # beyond a lap's own time; a client gives up far sooner
STOP_S = 2.0

# glibc maps a block of 128 KiB or more afresh and gives it back at once, unless its heap has a
# hole of that size or a larger block was freed before (mallopt(3), M_MMAP_THRESHOLD). This is
# the state after that, whatever the heap.
WARM_HEAP = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}

# Module of each client in edgectl.cli, and its environment beyond ours.
CLIENTS: dict[str, tuple[str, dict[str, str]]] = {
    "edgectl": ("bench_child_edgectl", {}),
    "edgectl_several": ("bench_child_edgectl", {}),
    "floor": ("bench_child_floor", {}),
    "floor_several": ("bench_child_floor", {}),
    "libmodbus": ("bench_child_libmodbus", {}),
    "pymodbus": ("bench_child_pymodbus", {}),
    "pymodbus_warm_heap": ("bench_child_pymodbus", WARM_HEAP),
}


class MissingClientError(EdgectlError):
    """A client is not installed."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a client did, and what it took."""

    transactions: int
    cpu_ns: int
    wall_ns: int
    page_faults: int

    @property
    def cpu_us(self) -> float:
        """CPU time of one request and its reply, us."""
        return self.cpu_ns / self.transactions / 1e3

    @property
    def per_s(self) -> float:
        """Transactions per second."""
        return self.transactions / self.wall_ns * 1e9


class ClientProcess:
    """One client as a child process, connected when this is made.

    name           of CLIENTS
    asked          what it asks
    cpu            processor to stay on, -1 for any that its parent may use
    fifo_priority  SCHED_FIFO priority wanted, 0 for none

    Raises MissingClientError where it is not installed, EdgectlError where it cannot connect.
    """

    def __init__(self, name: str, asked: Asked, cpu: int = -1, fifo_priority: int = 0) -> None:
        module, environment = CLIENTS[name]
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"edgectl.cli.{module}", *words_for(asked, cpu, fifo_priority)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
        )
        try:
            self._answer(0.0)
        except BaseException:
            self.stop()
            raise

    def lap(self, seconds: float) -> Cost:
        """Let it ask for so many seconds; EdgectlError where it failed."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{seconds}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._failed(self._end()) from None
        return Cost(**self._answer(seconds))

    def stop(self) -> None:
        """Close its standard input and wait; one that does not end is ended by SIGKILL."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()

    def _answer(self, seconds: float) -> dict[str, Any]:
        """Its next line, at most ANSWER_TIMEOUT_S after so many seconds."""
        output = self.process.stdout
        assert output is not None
        if not select.select([output], [], [], seconds + ANSWER_TIMEOUT_S)[0]:
            raise self._failed(f"it did not answer within {seconds + ANSWER_TIMEOUT_S:g} s")
        line = output.readline()
        if not line:
            raise self._failed(self._end())
        answer: dict[str, Any] = json.loads(line)
        if "missing" in answer:
            raise MissingClientError(
                where=f"bench client {self.name}",
                problem=answer["missing"],
                because="Its figures are null.",
                remedy="Install it with: pip install 'edgectl[demo]', or tools/peers.",
            )
        if "error" in answer:
            raise self._failed(answer["error"])
        return answer

    def _end(self) -> str:
        """How its process ended, with the last line that it left."""
        assert self.process.stderr is not None
        lines = self.process.stderr.read().decode(errors="replace").strip().splitlines()
        code = self.process.wait(STOP_S)
        how = f"killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"its process was {how}" + (f": {lines[-1]}" if lines else "")

    def _failed(self, problem: str) -> EdgectlError:
        return EdgectlError(
            where=f"bench client {self.name}",
            problem=problem,
            because="A bench whose client fails has measured nothing.",
            remedy="Run it again on a quieter machine; if it repeats, with fewer connections.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
