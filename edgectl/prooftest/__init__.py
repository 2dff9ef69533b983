"""Proof tests: a row is made to trip on purpose, is timed, and the result is kept."""

from edgectl.prooftest.plan import NotTestableError, TestPlan, plan_test
from edgectl.prooftest.record import Dues, Result, append, load, overdue, record_path
from edgectl.prooftest.run import Ports, run_test

__all__ = [
    "Dues",
    "NotTestableError",
    "Ports",
    "Result",
    "TestPlan",
    "append",
    "load",
    "overdue",
    "plan_test",
    "record_path",
    "run_test",
]
