"""The scan report finds what it is there to find: Python inside a nogil body."""

import subprocess
import sys
from pathlib import Path

import scan_report

CLEAN = '''
"""def in_a_docstring(x) nogil:"""
cdef double ramp(
    double value, double target,   # a bracket ( in a comment
) noexcept nogil:
    """Half way from value to target."""
    return value + (target - value) * 0.5


def half(double value):
    cdef double out
    with nogil:
        out = ramp(value, 0.0)
    return out
'''

YELLOW = """
cdef double first(list values) noexcept nogil:
    with gil:
        return values[0]


def quiet(double value):
    cdef double out
    with nogil:
        out = value * 2.0
        with gil:
            print(out)
    return out
"""


def findings(directory: Path, source: str) -> list[str]:
    module = directory / "sample.pyx"
    module.write_text(source)
    command = [sys.executable, "-m", "cython", "-a", "-3", str(module)]
    subprocess.run(command, check=True, capture_output=True)
    html = module.with_suffix(".html").read_text()
    return [str(f) for f in scan_report.check_annotation(Path("sample.pyx"), source, html)]


def test_a_clean_module_has_no_finding(tmp_path: Path) -> None:
    assert findings(tmp_path, CLEAN) == []


def test_a_yellow_line_in_a_nogil_body_is_named_with_its_line(tmp_path: Path) -> None:
    found = findings(tmp_path, YELLOW)
    assert any(f.startswith("sample.pyx:4: touches Python") and "in first" in f for f in found)
    assert any(f.startswith("sample.pyx:12: ") and "in with nogil" in f for f in found)
    lines = {int(f.split(":")[1]) for f in found}
    assert lines.isdisjoint({7, 8, 9, 13}), "yellow outside the nogil bodies is nobody's concern"


def test_bodies_end_where_their_indent_ends_and_know_whether_they_are_nogil() -> None:
    ramp, half, block = scan_report.bodies(CLEAN)
    assert (ramp.name, ramp.first, ramp.last, ramp.nogil) == ("ramp", 3, 7, True)
    assert (half.name, half.first, half.last, half.nogil) == ("half", 10, 14, False)
    assert (block.name, block.first, block.last, block.nogil) == ("with nogil", 13, 13, True)


def test_a_function_without_an_error_contract_is_refused() -> None:
    source = (
        "cdef double plain(double x) nogil\n"
        "cdef double kept(double x) noexcept nogil\n"
        "cdef int raising(object x) except -1\n"
        "cdef int raising_nogil(int x) except -1 nogil\n"
        "cdef double value = kept(2.0)\n"
        "cdef class Kernel:\n"
        "    cdef double *table(self)\n"
    )
    lines = [f.line for f in scan_report.check_source(Path("x.pxd"), source)]
    assert lines == [1, 4, 7]


def test_a_textual_include_is_refused_and_a_c_header_is_not() -> None:
    source = 'include "other.pxi"\ncdef extern from *:\n    """\n    #include <stdint.h>\n    """\n'
    found = scan_report.check_source(Path("x.pyx"), source)
    assert [(f.line, f.problem.split()[0]) for f in found] == [(1, "include")]
