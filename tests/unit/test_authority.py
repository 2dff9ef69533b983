"""A person resets, bypasses and enters maintenance by the rules, and the kernel confirms it."""

import json
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgectl._kernel.interlock import InterlockStatus
from edgectl._kernel.kernel import Kernel
from edgectl.cli import interlocks, page
from edgectl.cli.interlocks_live import left_text
from edgectl.events import EVENTS
from edgectl.image import Mailbox, SegmentReader, create_segment
from edgectl.image.authority import (
    BYPASS_S_MAX,
    MAINTENANCE_S_MAX,
    Person,
    RefusedError,
    current_note,
    last_note,
    notes_path,
)
from edgectl.image.changes import Changes
from edgectl.site_model import compile_tables, load_site

SITE = load_site("demo")
TABLES = compile_tables(SITE)
START_NS, UTC_NS = 1_000_000_000, 1_690_000_000_000_000_000
AT = {row.id: at for at, row in enumerate(SITE.interlocks)}


class Running:
    """A kernel on its own: nothing was ever heard of a device, time passes when asked."""

    def __init__(self) -> None:
        self.segment = create_segment("demo", TABLES.directory, 10, SITE.scan.period_ns)
        self.kernel = Kernel(TABLES, self.segment.buffer)
        self.period = 0
        self.run(0.5)
        self.reader: SegmentReader = self.segment.reader()
        assert self.segment.path is not None
        self.mailbox = Mailbox(self.segment.path)
        self.person = Person(self.reader, self.mailbox, "J. Doe", self.run)

    def run(self, seconds: float) -> None:
        """Let the kernel scan for so long, once at least."""
        period_ns = SITE.scan.period_ns
        for _ in range(max(1, round(seconds * 1e9 / period_ns))):
            now_ns = START_NS + self.period * period_ns
            self.kernel.step(now_ns, UTC_NS + self.period * period_ns, self.period, 0)
            self.period += 1

    def status(self, row: str) -> InterlockStatus:
        return InterlockStatus(int(self.reader.snapshot()["interlocks"][AT[row]]["status"]))

    def bypassed(self, row: str) -> bool:
        return bool(self.reader.snapshot()["interlocks"][AT[row]]["bypassed"])


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    made = Running()
    yield made
    made.mailbox.close()
    made.segment.close(unlink=True)


def test_the_bounds_are_those_of_the_kernel(root: Path) -> None:
    text = (root / "edgectl" / "_kernel" / "authority.pxd").read_text()
    bounds = dict(re.findall(r"(\w+_S_MAX) = (\d+)", text))
    assert int(bounds["BYPASS_S_MAX"]) == BYPASS_S_MAX
    assert int(bounds["MAINTENANCE_S_MAX"]) == MAINTENANCE_S_MAX


def test_a_latch_whose_cause_is_gone_is_reset_and_confirmed(running: Running) -> None:
    assert running.status("IL-OVERRUN") == InterlockStatus.INTERLOCK_LATCHED
    assert running.person.reset("IL-OVERRUN") == ["IL-OVERRUN"]
    assert running.status("IL-OVERRUN") == InterlockStatus.INTERLOCK_CLEAR
    assert last_note(running.reader.path, "reset", "IL-OVERRUN")["by"] == "J. Doe"


def test_all_that_may_be_are_reset_at_once(running: Running) -> None:
    cleared = running.person.reset(None)
    assert "IL-OVERRUN" in cleared
    assert "IL-ESTOP" not in cleared
    assert running.person.reset(None) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("IL-ESTOP", "its cause stands: IO-01.estop_channel_a, IO-01.estop_channel_b"),
        ("IL-TABLES", "it is not tripped"),
        ("IL-CLOCK", "it is reset by its own off-delay only"),
        ("IL-OVERUN", "there is no such interlock"),
    ],
)
def test_a_reset_that_may_not_be_says_why(running: Running, row: str, message: str) -> None:
    with pytest.raises(RefusedError, match=re.escape(message)):
        running.person.reset(row)


def test_a_bypass_takes_effect_ends_by_itself_and_is_noted(running: Running) -> None:
    left_s = running.person.bypass("IL-METERS", 60.0, "meter exchange")
    assert 59.0 < left_s <= 61.0
    assert running.bypassed("IL-METERS")
    note = last_note(running.reader.path, "bypass", "IL-METERS")
    assert (note["by"], note["reason"]) == ("J. Doe", "meter exchange")
    running.run(61.0)
    assert not running.bypassed("IL-METERS")


def test_a_bypass_is_ended_by_hand(running: Running) -> None:
    running.person.bypass("IL-METERS", 3600.0, "meter exchange")
    assert running.person.bypass("IL-METERS", 0.0, "") == 0.0
    assert not running.bypassed("IL-METERS")
    assert running.person.bypass("IL-METERS", 0.0, "") == 0.0, "ending none is no error"


@pytest.mark.parametrize(
    ("row", "hours", "reason", "message"),
    [
        ("IL-ESTOP", 1, "work", "it may never be bypassed"),
        ("IL-FIRE", 1, "work", "it may never be bypassed"),
        ("IL-BESS-01-BMS", 1, "work", "it may never be bypassed"),
        ("IL-METERS", 8.1, "work", "8.1 h; at most 8 h are allowed"),
        ("IL-METERS", 1, "  ", "the reason is empty"),
        ("IL-METER", 1, "work", "there is no such interlock"),
    ],
)
def test_a_bypass_that_may_not_be_says_why(
    running: Running, row: str, hours: float, reason: str, message: str
) -> None:
    with pytest.raises(RefusedError, match=re.escape(message)) as caught:
        running.person.bypass(row, hours * 3600, reason)
    assert caught.value.exit_code == 1
    assert not any(running.reader.snapshot()["interlocks"]["bypassed"])


def test_only_one_row_of_a_group_is_bypassed(running: Running) -> None:
    running.person.bypass("IL-BESS-01-T-WARN", 60.0, "sensor")
    with pytest.raises(RefusedError, match="IL-BESS-01-T-WARN of the same group BESS-01"):
        running.person.bypass("IL-BESS-01-FOLLOW", 60.0, "meter")
    running.person.bypass("IL-BESS-02-FOLLOW", 60.0, "meter")


def test_maintenance_mode_is_entered_and_left_and_lasts_an_hour_at_most(running: Running) -> None:
    running.person.maintenance(600.0, "proof test")
    assert running.reader.snapshot()["record"]["maintenance"]
    running.person.maintenance(0.0, "")
    assert not running.reader.snapshot()["record"]["maintenance"]
    with pytest.raises(RefusedError, match="90 min; at most 60 are allowed"):
        running.person.maintenance(5400.0, "long work")


def test_a_controller_that_takes_nothing_is_not_believed_to_have(running: Running) -> None:
    idle = Person(running.reader, running.mailbox, "J. Doe", lambda _seconds: None)
    for ask in (
        lambda: idle.reset("IL-OVERRUN"),
        lambda: idle.bypass("IL-METERS", 60.0, "work"),
        lambda: idle.maintenance(60.0, "work"),
    ):
        with pytest.raises(RefusedError, match="within 2 s"):
            ask()


def test_nobody_asks_a_controller_that_has_stopped(running: Running) -> None:
    running.segment.head["stopped"] = 1
    with pytest.raises(RefusedError, match="its controller does not run"):
        Person(running.reader, running.mailbox, "J. Doe")


def test_bypass_and_maintenance_are_events_with_who_and_why(running: Running) -> None:
    running.person.bypass("IL-METERS", 5.0, "meter exchange")
    running.person.maintenance(5.0, "proof test")
    running.run(8.0)
    told = {
        name: fields
        for name, fields in Changes(
            running.reader.directory, notes=partial(last_note, running.reader.path)
        ).scans(running.reader.journal(0).records)
        if not name.startswith("interlock.cleared")
    }
    assert told["interlock.bypassed"]["by"] == "J. Doe"
    assert told["interlock.bypassed"]["reason"] == "meter exchange"
    assert told["interlock.bypass_ended"]["interlock"] == "IL-METERS"
    assert told["maintenance.entered"]["reason"] == "proof test"
    assert "maintenance.left" in told
    for name, fields in told.items():
        assert set(fields) <= set(EVENTS[name].fields), name


def test_a_reset_is_an_event_with_who_asked(running: Running) -> None:
    told: list[tuple[str, Any]] = []
    changes = Changes(running.reader.directory, notes=partial(current_note, running.reader.path))
    seq = 0

    def run(seconds: float) -> None:
        nonlocal seq
        running.run(seconds)
        batch = running.reader.journal(seq)
        seq = batch.next_seq
        told.extend(changes.scans(batch.records))

    run(0.1)
    Person(running.reader, running.mailbox, "J. Doe", run).reset("IL-OVERRUN")
    ((name, fields),) = [each for each in told if each[1].get("interlock") == "IL-OVERRUN"]
    assert (name, fields["by"]) == ("interlock.reset", "J. Doe")
    assert set(fields) <= set(EVENTS[name].fields)


def test_a_reset_that_was_not_done_is_not_the_next_ones(running: Running) -> None:
    deaf = Person(running.reader, running.mailbox, "J. Doe", lambda _: None)
    with pytest.raises(RefusedError, match="no row was cleared"):
        deaf.reset("IL-OVERRUN")
    assert current_note(running.reader.path, "reset", "IL-OVERRUN") == {}


def test_a_discrepancy_is_told_once_when_it_begins(running: Running) -> None:
    records = running.reader.journal(0).records[:3].copy()
    records["interlock_flags"][1:, AT["IL-ESTOP"]] |= 16
    told = list(Changes(running.reader.directory).scans(records))
    names = [name for name, _ in told]
    assert names.count("interlock.discrepancy") == 1
    (fields,) = [fields for name, fields in told if name == "interlock.discrepancy"]
    assert (fields["interlock"], fields["priority"]) == ("IL-ESTOP", "critical")


def test_a_note_that_was_cut_off_is_passed_over(running: Running) -> None:
    path = running.reader.path
    assert path is not None
    assert last_note(path, "bypass", "IL-METERS") == {}
    running.person.bypass("IL-METERS", 60.0, "first")
    with notes_path(path).open("a") as file:
        file.write('{"action": "byp')
    assert last_note(path, "bypass", "IL-METERS")["reason"] == "first"
    assert last_note(None, "bypass", "IL-METERS") == {}
    assert current_note(path, "bypass", "IL-METERS")["reason"] == "first"


def test_a_note_whose_time_is_over_is_about_another_bypass(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.person.bypass("IL-METERS", 60.0, "first")
    later_s = time.time() + 61.0
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert current_note(running.reader.path, "bypass", "IL-METERS") == {}


CLI = CliRunner()


def app() -> typer.Typer:
    return interlocks.app


def test_the_status_shows_what_is_not_clear_with_bypass_and_who(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "WIDTH_OF_A_FILE", 300)
    running.person.bypass("IL-METERS", 7200.0, "meter exchange")
    running.person.maintenance(600.0, "proof test")
    shown = CLI.invoke(app(), ["status", "demo"])
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.output.split())
    assert "MAINTENANCE MODE J. Doe, proof test" in text
    assert "IL-METERS" in text
    assert "BYPASSED, 2 h 0 min left" in text
    assert "estop_channel_a bad" in text
    assert "IL-TABLES" not in text, "it is clear"
    assert "IL-TABLES" in CLI.invoke(app(), ["status", "demo", "--all"]).output
    told = json.loads(CLI.invoke(app(), ["status", "demo", "--json"]).output)
    row = told["interlocks"][AT["IL-METERS"]]
    assert row["bypass_left_s"] == pytest.approx(7200.0, abs=5)
    assert told["maintenance"] is True


def test_the_commands_ask_and_answer(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interlocks, "_person", lambda _site, _by: running.person)
    done = CLI.invoke(app(), ["reset", "IL-OVERRUN"])
    assert done.output.startswith("cleared: IL-OVERRUN\n")
    assert "IL-ESTOP: its cause stands" in CLI.invoke(app(), ["reset", "--all"]).output
    asked = ["bypass", "IL-METERS", "--hours", "1.5", "--reason", "exchange"]
    assert "IL-METERS is bypassed for 1 h 30 min" in CLI.invoke(app(), asked).output
    assert CLI.invoke(app(), ["bypass", "IL-METERS", "--off"]).output == "IL-METERS acts again\n"
    on = CLI.invoke(app(), ["maintenance", "on", "--minutes", "10", "--reason", "test"])
    assert on.output == "maintenance mode is on for 10 min\n"
    assert CLI.invoke(app(), ["maintenance", "off"]).output == "maintenance mode is off\n"


@pytest.mark.parametrize(
    "words",
    [["reset"], ["reset", "IL-A", "--all"], ["bypass", "IL-A"], ["maintenance", "maybe"],
     ["bypass", "IL-A", "--off", "--hours", "1"], ["matrix", "demo"]],
)  # fmt: skip
def test_half_a_command_is_refused(words: list[str]) -> None:
    assert CLI.invoke(app(), words).exit_code == 2


def test_time_left_reads_as_a_clock() -> None:
    assert [left_text(s) for s in (0.0, 59.0, 3540.0, 7200.0, 28_800.0)] == [
        "0 min", "1 min", "59 min", "2 h 0 min", "8 h 0 min",
    ]  # fmt: skip
