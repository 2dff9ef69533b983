"""Starts the services process and starts it again: an ordinary child, watched by poll().

No signal handler is touched, so nothing here can reach the controller's
real-time threads.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from edgectl.events import emit

BACKOFF_MIN_S, BACKOFF_MAX_S = 0.2, 5.0
HEALTHY_S = 10.0  # a child that lived so long starts again without delay
STOP_S = 5.0
PARENT_VARIABLE = "EDGECTL_PARENT_PID"  # tells a child to end when we are gone
EDGECTL = (sys.executable, "-m", "edgectl.cli.main")


class Supervisor:
    """Keeps one child process running."""

    def __init__(
        self,
        argv: Sequence[str],
        log: Any = None,
        output: Path | None = None,
        program: Sequence[str] = EDGECTL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing runs before start().

        argv     the child's arguments: services SITE ...
        log      structlog logger for declared events
        output   file the child's output is appended to; None: where ours goes
        program  what is started with them; edgectl itself
        clock    s, monotonic
        """
        self.argv = [*program, *argv]
        self.restarts = 0
        self._log = log or structlog.get_logger()
        self._output = output
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._due_s: float | None = None
        self._backoff_s = BACKOFF_MIN_S

    @property
    def pid(self) -> int | None:
        """Pid of the child; None while there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the child. A program that cannot be started counts as one that ended."""
        self._started_s = self._clock()
        try:
            if self._output is None:
                self._process = self._popen(None)
            else:
                with self._output.open("ab") as file:
                    self._process = self._popen(file)
        except OSError as error:
            self._ended(f"{self.argv[0]}: {error.strerror}", None)
            return
        self._due_s = None

    def poll(self) -> None:
        """Look after the child; call it every 100 ms or so. Never waits."""
        if self._process is not None:
            status = self._process.poll()
            if status is not None:
                pid, self._process = self._process.pid, None
                self._ended(status, pid)
        elif self._due_s is not None and self._clock() >= self._due_s:
            self.restarts += 1
            self.start()
            if self._process is not None:
                emit(self._log, "services.restarted", pid=self.pid, restarts=self.restarts)

    def stop(self) -> None:
        """End the child: asked first, then killed."""
        process, self._process, self._due_s = self._process, None, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _popen(self, output: Any) -> subprocess.Popen[bytes]:
        # Its own session: Ctrl-C reaches the controller alone, which then stops this child.
        return subprocess.Popen(
            self.argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
        )

    def _ended(self, status: int | str, pid: int | None) -> None:
        if self._clock() - self._started_s >= HEALTHY_S:
            self._backoff_s = BACKOFF_MIN_S
        self._due_s = self._clock() + self._backoff_s
        emit(self._log, "services.exited", pid=pid, status=status, restart_in_s=self._backoff_s)
        self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)
