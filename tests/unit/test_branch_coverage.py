"""What counts as reached, and what is told of what is not."""

from pathlib import Path

import branch_coverage
import pytest
import scan_report
from branch_coverage import CoverageError, Line, Share, attributed, covered, gaps, judge

MODULE = "edgectl._kernel.blocks"
SOURCE = '''cdef int first(int a) noexcept nogil:
    """Says nothing."""
    if a > 0 and a < 9:
        return 1
    return 0


def door(int a):
    return first(a)
'''
C = """
#line 1 "ext/blocks.pyx"
static int __pyx_f_7edgectl_first(int a) {
#line 3 "ext/blocks.pyx"
  if (a > 0) {
  }
}
static int helper(void) {
#line 4 "ext/blocks.pyx"
  return 0;
}
static int __pyx_pf_door(PyObject *a) {
#line 9 "ext/blocks.pyx"
}
"""


def report(*lines: tuple[int, int, list[int]], file: str = "ext/blocks.pyx") -> dict[str, object]:
    """What gcov writes, as far as it is read: number, runs and branches of each line."""
    every = [
        {"line_number": number, "count": runs, "branches": [{"count": b} for b in branches]}
        for number, runs, branches in lines
    ]
    return {"files": [{"file": file, "lines": every}]}


def found(*lines: tuple[int, int, list[int]], file: str = "ext/blocks.pyx") -> list[Line]:
    return covered(MODULE, report(*lines, file=file), scan_report.bodies(SOURCE))


def test_only_c_of_a_body_keeps_its_line_of_the_source() -> None:
    kept = [line for line in attributed(C).split("\n") if "ext/blocks.pyx" in line]
    assert kept == ['#line 3 "ext/blocks.pyx"']
    code = [line for line in attributed(C).split("\n") if not line.startswith("#line")]
    assert code == [line for line in C.split("\n") if not line.startswith("#line")]


def test_a_door_and_another_file_count_for_nothing() -> None:
    assert found((3, 5, [2, 3]), (9, 0, [])) == [Line(3, 5, (2, 3))]
    assert found((3, 5, [2, 3]), file="ext/interlock.pyx") == []


def test_what_no_test_reaches_is_named_with_its_text() -> None:
    lines = found((3, 5, [5, 0, 5, 0]), (4, 5, []), (5, 0, []))
    assert gaps(MODULE, SOURCE, lines) == [
        "ext/blocks.pyx:3: branch 2, 4 of 4 never taken: if a > 0 and a < 9:",
        "ext/blocks.pyx:5: never run: return 0",
    ]


@pytest.mark.parametrize(
    ("lines", "passes"),
    [
        ([(3, 5, [2, 3]), (4, 2, []), (5, 3, [])], True),
        ([(3, 5, [5, 0]), (4, 5, []), (5, 3, [])], False),
        ([(3, 5, [2, 3]), (4, 2, []), (5, 0, [])], False),
    ],
    ids=["all", "branch", "line"],
)
def test_one_gap_is_enough_to_fail(lines: list[tuple[int, int, list[int]]], passes: bool) -> None:
    assert judge(MODULE, SOURCE, found(*lines)) is passes


def test_a_body_that_was_not_counted_is_no_success() -> None:
    with pytest.raises(CoverageError, match="not in gcov's report: first"):
        judge(MODULE, SOURCE, [])


def test_a_share_of_nothing_is_whole() -> None:
    assert Share(0, 0).percent == 100.0
    assert str(Share(1, 3)) == "1/3 (33.3 %)"


def test_every_module_measured_has_tests_that_name_it(root: Path) -> None:
    texts = "".join((root / name).read_text() for name in branch_coverage.reaching_tests())
    assert [module for module in branch_coverage.MODULES if module not in texts] == []
