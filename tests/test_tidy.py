"""Our own sources, read as text: the rules of the house that no other tool checks.

Each finding is file:line and what is wrong, so that a failing test is a list of work.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import scan_report

ROOT = Path(__file__).resolve().parent.parent
LINES_PER_FILE_MAX = 500
LINES_PER_FUNCTION_MAX = 60
ONE_FILE = {"tools/verify_ledger.py": 1070}  # handed to strangers as one file that needs nothing
COLUMNS_MAX = 100

# Who may import whom, bottom up: a package may use what its row names and itself. One way only.
BASE = {"errors", "events", "_kernel"}
TABLES = BASE | {"profiles", "site_model", "image"}
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "events": {"errors"},
    "_kernel": set(),
    "profiles": BASE,
    "site_model": BASE | {"profiles"},
    "commissioning": BASE | {"profiles", "site_model"},
    "grid_code": BASE | {"profiles", "site_model", "commissioning"},
    "image": BASE | {"profiles", "site_model"},
    "sheets": BASE | {"profiles", "site_model"},
    "explain": TABLES,
    "blackbox": TABLES | {"explain"},
    "prooftest": TABLES | {"explain"},
    "ledger": TABLES,
    "accounting": TABLES | {"ledger"},
    "reports": TABLES | {"ledger", "accounting"},
    "mqtt": TABLES | {"ledger"},
    "alarms": TABLES,
    "controller": TABLES | {"ledger", "mqtt"},
    "services": TABLES | {"ledger", "mqtt", "alarms", "accounting", "blackbox", "prooftest"},
    "plant": TABLES,
    "cli": TABLES
    | {"ledger", "mqtt", "controller", "services", "plant", "commissioning", "alarms"}
    | {"grid_code", "accounting", "reports", "sheets", "explain", "blackbox", "prooftest"},
}

# Units that exist only outside: in profiles, in the site file, in what people read.
FOREIGN_UNITS = re.compile(
    r"(?<!_per)_(kw|kwh|mw|mwh|wh|kva|degc|celsius|percent|pct|hours|kg|tonnes)$"
)
OUTSIDE = ("edgectl/profiles/", "edgectl/site_model/", "edgectl/cli/", "edgectl/plant/")
OUTSIDE += ("edgectl/reports/",)  # what people read and declare is in kWh
OUTSIDE += ("edgectl/accounting/cbam.py",)  # the regulation's formulas are in t and MWh

# A quantity that stands still without a unit in its name is one of these, or it has none.
UNITS = re.compile(
    r"_(w|j|s|ns|k|v|a|hz|deg|ratio|g_per_kwh|mg_per_kwh|w_per_s|per_s|milliwatt|mj|ug)"
    r"(\d|_max|_min)?$"
)

# Distributions whose import name differs from their own.
IMPORT_NAMES = {"paho-mqtt": "paho", "pyserial": "serial", "pysunspec2": "sunspec2"}
IMPORT_NAMES |= {"PyYAML": "yaml"}
# Needed as commands or as build back ends, and therefore never imported.
COMMANDS = {"build", "coverage", "mypy", "pytest-cov", "pytest-xdist", "ruff", "wheel"}
COMMANDS |= {"Cython", "setuptools"}


def sources(*suffixes: str) -> list[Path]:
    """Every file of ours with one of these suffixes; nothing built, nothing fetched."""
    folders = ("edgectl", "ext", "tests", "tools")
    found = [p for folder in folders for s in suffixes for p in (ROOT / folder).rglob(f"*{s}")]
    return sorted([*found, ROOT / "setup.py"] if ".py" in suffixes else found)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def report(findings: list[str]) -> None:
    """Fail with the whole list."""
    if findings:
        pytest.fail("\n".join(["", *findings]), pytrace=False)


# ---- which way imports point


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and the first folder under edgectl of every import of ours, lazy ones included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "edgectl":
            modules = [f"edgectl.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            modules = [node.module or ""]
        else:
            continue
        yield from ((node.lineno, m.split(".")[1]) for m in modules if m.startswith("edgectl."))


def test_imports_point_one_way() -> None:
    findings = []
    for path in sorted((ROOT / "edgectl").rglob("*.py")):
        package = path.relative_to(ROOT / "edgectl").parts[0].removesuffix(".py")
        if package == "__init__":
            package = "errors"  # the root package holds nothing and may import nothing
        if package not in MAY_IMPORT:
            findings.append(f"{name_of(path)}: package {package} has no row in MAY_IMPORT")
            continue
        allowed = MAY_IMPORT[package] | {package}
        findings += [
            f"{name_of(path)}:{line}: {package} must not import {used}"
            for line, used in imports(path)
            if used not in allowed
        ]
    report(findings)


def test_the_kernel_knows_nothing_of_python_packages() -> None:
    findings = []
    for path in sources(".pyx", ".pxd"):
        kernel = "plant" not in path.parts
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            used = re.match(r"\s*(?:from|import|cimport)\s+edgectl\.(\w+)", line)
            if used and used.group(1) not in ({"_kernel"} if kernel else {"_kernel", "plant"}):
                findings.append(f"{name_of(path)}:{number}: imports edgectl.{used.group(1)}")
    report(findings)


def test_every_module_of_ext_is_built() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text())
    tables = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in {"KERNEL", "PLANT"}
    }
    for table, folder in (("KERNEL", ROOT / "ext"), ("PLANT", ROOT / "ext" / "plant")):
        assert sorted(tables[table]) == sorted(p.stem for p in folder.glob("*.pyx"))


# ---- sizes


def functions(path: Path) -> Iterator[tuple[str, int, int]]:
    """Name, first and last line of every function."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, node.lineno, node.end_lineno or node.lineno
    else:
        for body in scan_report.bodies(path.read_text()):
            yield body.name, body.first, body.last


def test_files_and_functions_fit_a_reader() -> None:
    findings = []
    for path in sources(".py", ".pyx", ".pxd", ".pyi"):
        lines = path.read_text().split("\n")
        lines_max = ONE_FILE.get(name_of(path), LINES_PER_FILE_MAX)
        if len(lines) > lines_max + 1:
            findings.append(f"{name_of(path)}: {len(lines)} lines, over {lines_max}")
        findings += [
            f"{name_of(path)}:{number}: {len(line)} columns, over {COLUMNS_MAX}"
            for number, line in enumerate(lines, start=1)
            if len(line) > COLUMNS_MAX
        ]
        if path.suffix in {".py", ".pyx"}:
            findings += [
                f"{name_of(path)}:{first}: {name} has {last - first + 1} lines, over "
                f"{LINES_PER_FUNCTION_MAX}"
                for name, first, last in functions(path)
                if last - first + 1 > LINES_PER_FUNCTION_MAX
            ]
    report(findings)


# ---- leftovers


def test_nothing_is_left_to_do_in_a_comment() -> None:
    marks = re.compile(
        r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]) + r")\b"
    )
    report(
        [
            f"{name_of(path)}:{number}: {line.strip()}"
            for path in [*sources(".py", ".pyx", ".pxd", ".pyi", ".toml"), *tool_scripts()]
            for number, line in enumerate(path.read_text().split("\n"), start=1)
            if marks.search(line)
        ]
    )


def test_no_code_is_commented_out_in_the_kernel() -> None:
    """Ruff's ERA does this for Python; Cython it cannot read."""
    code = re.compile(
        r"^\s*#\s*(cdef |cpdef |def |return\b|if .*:$|for .*:$|while .*:$|\w+(\[.*\])? = \S+$)"
    )
    report(
        [
            f"{name_of(path)}:{number}: {line.strip()}"
            for path in sources(".pyx", ".pxd")
            for number, line in enumerate(path.read_text().split("\n"), start=1)
            if code.match(line)
        ]
    )


def test_no_file_names_the_machine_it_was_written_on() -> None:
    above = f"{ROOT.parent}/"
    files = [*sources(".py", ".pyx", ".pxd", ".pyi", ".toml"), *tool_scripts()]
    files += [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    anybodys = ("/", "/tmp/")  # in every machine, so they name none
    report([name_of(p) for p in files if above not in anybodys and above in p.read_text()])


SCRIPTS = ("setup", "test", "demo", "new_profile", "prove", "fuzz", "tamper", "crash", "peers")


def tool_scripts() -> list[Path]:
    return [ROOT / "tools" / name for name in SCRIPTS]


# ---- names and units


def test_every_name_carries_an_si_unit() -> None:
    """Foreign units stay outside: kW, kWh and degC are words of profiles and reports."""
    findings = []
    for path in sorted((ROOT / "edgectl").rglob("*.py")):
        if name_of(path).startswith(OUTSIDE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            name = (
                node.arg
                if isinstance(node, ast.arg)
                else node.target.id
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
                else node.id
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                else ""
            )
            if FOREIGN_UNITS.search(name.lower()):
                findings.append(f"{name_of(path)}:{getattr(node, 'lineno', 0)}: {name}")
    report(findings)


def test_every_double_of_a_kernel_struct_says_its_unit() -> None:
    """Values of any unit are the exception and stand in this list."""
    of_any_unit = {"value", "on", "off", "out", "scale", "offset", "pue"}
    of_any_unit |= {"level", "base", "from_value"}  # of monitors
    of_any_unit |= {"valid_min", "valid_max", "slew_max_per_s", "raw_min", "raw_max"}
    field = re.compile(r"^    (?:const )?double\*? (\w+)")
    findings = []
    for path in sorted((ROOT / "edgectl" / "_kernel").glob("*.pxd")):
        for number, line in enumerate(path.read_text().split("\n"), start=1):
            found = field.match(line)
            if found and not UNITS.search(found.group(1)) and found.group(1) not in of_any_unit:
                findings.append(f"{name_of(path)}:{number}: {found.group(1)} says no unit")
    report(findings)


# ---- what must be written down


def test_every_profile_is_documented_and_used() -> None:
    folder = ROOT / "firmware_profiles"
    profiles = [str(p.relative_to(folder).with_suffix("")) for p in sorted(folder.rglob("*.toml"))]
    assert profiles, "firmware_profiles has no profile"
    page = (ROOT / "docs" / "profiles.md").read_text()
    tests = "".join(p.read_text() for p in (ROOT / "tests").rglob("*.py"))
    sites = "".join(p.read_text() for p in (ROOT / "edgectl" / "sites").glob("*.toml"))
    findings = [f"{p}: not in docs/profiles.md" for p in profiles if p not in page]
    findings += [f"{p}: in no test and no shipped site" for p in profiles if p not in tests + sites]
    report(findings)


def test_the_pages_made_from_source_are_current() -> None:
    made = subprocess.run([sys.executable, ROOT / "tools" / "make_docs.py", "--check"], check=False)
    assert made.returncode == 0, "docs/ is not what the source says: tools/make_docs.py"


def test_only_declared_events_are_logged() -> None:
    from edgectl.events import EVENTS

    findings = []
    for path in sorted((ROOT / "edgectl").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(
                node.func, ast.Name | ast.Attribute
            ):
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name != "emit" or len(node.args) < 2 or not isinstance(node.args[1], ast.Constant):
                continue
            event = str(node.args[1].value)
            fields = {k.arg for k in node.keywords if k.arg} - set(
                EVENTS[event].fields if event in EVENTS else ()
            )
            if event not in EVENTS:
                findings.append(f"{name_of(path)}:{node.lineno}: {event} is not declared")
            elif fields:
                findings.append(f"{name_of(path)}:{node.lineno}: {event} has no {sorted(fields)}")
    report(findings)


def made_from_parts() -> set[str]:
    """Events whose names are put together where they are said: what happens to an alarm."""
    from edgectl.alarms import book
    from edgectl.alarms.machine import SILENT, Event

    told = {each.value for each in Event} - {each.value for each in SILENT}
    return {f"alarm.{each}" for each in told | {book.RETIRED, book.FLOOD_STARTED, book.FLOOD_ENDED}}


def said(tree: ast.AST) -> Iterator[str]:
    """Words that a source hands on: given to a call, in a tuple, or chosen by an if."""
    for node in ast.walk(tree):
        parts = (
            node.args
            if isinstance(node, ast.Call)
            else node.elts
            if isinstance(node, ast.Tuple)
            else [node.body, node.orelse]
            if isinstance(node, ast.IfExp)
            else []
        )
        yield from (str(each.value) for each in parts if isinstance(each, ast.Constant))


def test_every_declared_event_is_said_somewhere() -> None:
    from edgectl.events import EVENTS

    found = made_from_parts()
    for path in sorted((ROOT / "edgectl").rglob("*.py")):
        if path.name != "events.py":
            found |= set(said(ast.parse(path.read_text())))
    report([f"edgectl/events.py: nothing says {name}" for name in EVENTS.keys() - found])


def test_events_whose_names_are_made_from_parts_are_declared() -> None:
    from edgectl.events import EVENTS

    report([f"{name} is not declared" for name in made_from_parts() - EVENTS.keys()])


# ---- what is asked for is used


@pytest.mark.parametrize("group", ["dependencies", "demo", "report", "test"])
def test_every_dependency_is_imported(group: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = project.get(group) or project["optional-dependencies"][group]
    names = [re.split(r"[<>=!~\[; ]", line)[0] for line in listed]
    folders = ("edgectl", "tests", "tools") if group == "test" else ("edgectl",)
    used = {
        name.split(".")[0]
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        for name in imported(path)
    }
    report(
        [
            f"{name} is a dependency that nothing imports"
            for name in names
            if name not in COMMANDS and IMPORT_NAMES.get(name, name.replace("-", "_")) not in used
        ]
    )


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func
            if getattr(called, "attr", getattr(called, "id", "")) in {
                "import_module",
                "need",
                "importorskip",
            }:
                yield str(node.args[0].value)
