"""The supervisor: a child that ends is started again, and none keeps us waiting."""

import os
import sys
import time
from pathlib import Path

import pytest
from event_log import EventLog

from edgectl.services import Supervisor
from edgectl.services.supervisor import PARENT_VARIABLE


class Clock:
    """Time that is told, not waited for."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def ended(supervisor: Supervisor) -> None:
    """Wait until the child is noticed to have ended."""
    while supervisor.pid is not None:
        supervisor.poll()


def test_a_child_that_ends_is_started_again_ever_later() -> None:
    clock, log = Clock(), EventLog()
    supervisor = Supervisor(["-c", ""], log, program=[sys.executable], clock=clock)
    supervisor.start()
    waits = []
    for restart in range(7):
        ended(supervisor)
        waits.append(log.events[-1][1]["restart_in_s"])
        supervisor.poll()
        assert supervisor.pid is None, "not before its time"
        clock.now_s += waits[-1]
        supervisor.poll()
        assert supervisor.restarts == restart + 1
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    clock.now_s += 60.0
    ended(supervisor)
    assert log.events[-1][1]["restart_in_s"] == 0.2, "it had been healthy"
    supervisor.stop()


def test_a_program_that_is_missing_is_retried_not_raised() -> None:
    clock, log = Clock(), EventLog()
    supervisor = Supervisor([], log, program=["/nowhere/edgectl"], clock=clock)
    supervisor.start()
    clock.now_s = 1.0
    supervisor.poll()
    assert log.names == ["services.exited", "services.exited"]
    supervisor.stop()


def test_a_child_that_ignores_the_request_to_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("edgectl.services.supervisor.STOP_S", 0.2)
    ready = tmp_path / "ready"
    program = (
        "import signal, sys, time, pathlib; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "pathlib.Path(sys.argv[1]).touch(); time.sleep(60)"
    )
    supervisor = Supervisor(["-c", program, str(ready)], EventLog(), program=[sys.executable])
    supervisor.start()
    while not ready.exists():
        time.sleep(0.01)
    supervisor.stop()
    assert supervisor.pid is None


def test_a_child_is_told_who_its_parent_is_and_writes_where_it_should(tmp_path: Path) -> None:
    program = f"import os; print(os.environ['{PARENT_VARIABLE}'])"
    output = tmp_path / "out.log"
    supervisor = Supervisor(["-c", program], EventLog(), output, program=[sys.executable])
    supervisor.start()
    ended(supervisor)
    supervisor.stop()
    assert output.read_text() == f"{os.getpid()}\n"
