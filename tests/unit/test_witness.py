"""A stall of the host excuses a failure, and nothing else does."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from witness import STALL_S, TRIES, Witness, tried


def report(outcome: Any) -> pytest.TestReport:
    return pytest.TestReport("test", ("test.py", 1, "test"), {}, outcome, None, "call")


def scripted(*outcomes: str) -> tuple[Callable[[], Sequence[pytest.TestReport]], list[str]]:
    """A test that ends so, one outcome a try, and the tries made."""
    left, made = list(outcomes), []

    def attempt() -> Sequence[pytest.TestReport]:
        made.append(left.pop(0))
        return [report(made[-1])]

    return attempt, made


class OnTime(Witness):
    """Never late, whatever this machine does."""

    def _watch(self) -> None:
        pass


class Late(OnTime):
    """Always late."""

    def __init__(self) -> None:
        super().__init__()
        self.late_s = 2 * STALL_S


def test_a_failure_beside_a_witness_on_time_stands_at_once() -> None:
    attempt, made = scripted("failed", "passed")
    (found,) = tried(attempt, OnTime)
    assert found.failed
    assert made == ["failed"]


def test_a_failure_while_the_host_stalled_is_tried_again() -> None:
    attempt, made = scripted("failed", "failed", "passed")
    (found,) = tried(attempt, Late)
    assert found.passed
    assert made == ["failed", "failed", "passed"]


def test_what_fails_in_every_try_fails_and_says_how_late_the_witness_was() -> None:
    attempt, made = scripted(*["failed"] * TRIES)
    (found,) = tried(attempt, Late)
    assert found.failed
    assert len(made) == TRIES
    assert found.sections == [("witness", f"woke up to 20.0 ms late; this was try {TRIES}")]


@pytest.mark.parametrize("witness", [OnTime, Late])
def test_what_passes_is_run_once(witness: type[Witness]) -> None:
    attempt, made = scripted("passed", "failed")
    assert tried(attempt, witness)[0].passed
    assert made == ["passed"]


def test_a_witness_sees_that_it_was_kept_from_waking() -> None:
    with Witness() as witness:
        end_s = time.monotonic() + 10.0
        while witness.late_s == 0.0 and time.monotonic() < end_s:
            time.sleep(0.001)
    assert 0.0 < witness.late_s < 10.0
