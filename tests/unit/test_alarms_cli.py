"""`edgectl alarms`: what a person sees and may do, with and without services."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import typer
from alarm_rig import CLEAR, TRIPPED, Rig
from typer.testing import CliRunner, Result

import edgectl.cli.alarms as verb
from edgectl.alarms import AlarmStore, Health
from edgectl.alarms.machine import State
from edgectl.cli.top_alarms import AlarmLine
from edgectl.cli.top_model import Level
from edgectl.errors import AlarmError

APP = typer.Typer()
APP.command(epilog=verb.EPILOG)(verb.alarms)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    made = Rig(tmp_path)
    made.settle()
    made.plant.fields["first_out_row"] = 4
    made.plant.set("IL-IMPORT", TRIPPED)
    made.run(0.1)
    made.plant.fields["first_out_row"] = -1
    made.plant.set("IL-SOC", TRIPPED)
    made.run(0.1)
    return made


def gone(rig: Rig) -> Rig:
    """The services ended in good order."""
    rig.feed.detach()
    rig.feed.close()
    return rig


def asked(rig: Rig, *words: str) -> Result:
    return CliRunner().invoke(APP, ["fake", *words, "--data-dir", str(rig.directory)])


def said(rig: Rig, *words: str) -> dict[str, Any]:
    result = asked(rig, *words, "--json")
    assert result.exit_code in (0, 1), result.output
    return dict(json.loads(result.stdout.strip().splitlines()[-1]))


def test_the_list_has_the_most_urgent_first_and_says_what_to_do(rig: Rig) -> None:
    listed = said(rig)
    assert [each["id"] for each in listed["list"]] == ["IL-IMPORT", "IL-SOC"]
    assert listed["first_out"] == ["IL-IMPORT"]
    assert (listed["unacknowledged"], listed["newest"], listed["flood"]) == (2, "IL-SOC", False)
    text = asked(rig).output
    assert "2 unacknowledged of 2 alarms" in text
    assert text.index("▶  high      IL-IMPORT") < text.index("●  low       IL-SOC")
    assert "Remove the cause." in text
    assert "Why of IL-IMPORT" in text


def test_acknowledged_ones_go_below_and_name_who_did_it(rig: Rig) -> None:
    gone(rig)
    assert asked(rig, "ack", "IL-IMPORT", "--by", "night shift").output == (
        "IL-IMPORT: acknowledged\n"
    )
    assert [each["id"] for each in said(rig)["list"]] == ["IL-SOC", "IL-IMPORT"]
    assert "acknowledged by night shift" in asked(rig).output


def test_every_action_goes_there_and_back(rig: Rig) -> None:
    gone(rig)
    assert "shelved for 30 min" in asked(
        rig, "shelve", "IL-SOC", "--minutes", "30", "--reason", "cell balancing"
    ).output  # fmt: skip
    assert "shelved by" in asked(rig).output
    assert said(rig, "list", "IL-SOC")["list"][0]["hidden_reason"] == "cell balancing"
    assert said(rig, "unshelve", "IL-SOC")["results"][0]["done"]
    assert said(rig, "out-of-service", "IL-SOC", "--reason", "sensor gone")["results"][0]["done"]
    assert said(rig)["states"]["out_of_service"] == 1
    assert said(rig, "in-service", "IL-SOC")["results"][0]["done"]
    events = [each["event"] for each in said(rig, "history", "IL-SOC")["history"]]
    assert events == ["annunciated", "put_back", "taken_out", "annunciated", "unshelved",
                      "shelved", "annunciated"]  # fmt: skip


def test_a_wrong_id_is_refused_before_anything_is_done(rig: Rig) -> None:
    gone(rig)
    result = asked(rig, "ack", "IL-SOC", "il-inport")
    assert result.exit_code == 2
    flat = " ".join(result.output.replace("│", " ").split())
    assert "no alarm is named 'il-inport'; did you mean IL-IMPORT" in flat
    assert said(rig)["unacknowledged"] == 2
    nothing = asked(rig, "list", "zzz")
    assert "no id is near" in " ".join(nothing.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["ack"], "Name at least one ID"),
        (["shelve", "IL-SOC", "--reason", "long enough"], "shelve needs minutes"),
        (["shelve", "IL-SOC", "--minutes", "30"], "needs a reason"),
        (["shelve", "IL-SOC", "--minutes", "481", "--reason", "x y"], "less than or equal to 480"),
        (["shelve", "IL-SOC", "--minutes", "nan", "--reason", "x y"], "minutes"),
        (["ack", "IL-SOC", "--minutes", "3"], "takes no minutes"),
        (["out-of-service", "IL-SOC"], "needs a reason"),
        (["acknowledge", "IL-SOC"], "acknowledge"),
    ],
)
def test_what_is_incomplete_is_refused_and_says_what_is_missing(
    rig: Rig, words: list[str], part: str
) -> None:
    result = asked(rig, *words)
    assert result.exit_code == 2
    assert part in " ".join(result.output.replace("│", " ").split())


def test_a_request_that_makes_no_sense_ends_with_1(rig: Rig) -> None:
    gone(rig)
    result = asked(rig, "unshelve", "IL-SOC")
    assert result.exit_code == 1
    assert "IL-SOC: refused: it is not shelved" in result.output


def test_running_services_carry_out_what_is_asked(rig: Rig) -> None:
    stop, there = threading.Event(), threading.Event()

    def serve() -> None:
        # SQLite's connection belongs to the thread that opened it.
        rig.feed = rig.started()
        while not stop.is_set():
            rig.feed.pump(Health())
            there.set()
            stop.wait(0.01)
        gone(rig)

    gone(rig)
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert there.wait(10.0), "else the command would find no services, and do it itself"
        assert said(rig, "ack", "IL-IMPORT")["results"][0]["done"]
    finally:
        stop.set()
        thread.join()
    with AlarmStore.reader("fake", rig.directory) as store:
        assert store.book().states["IL-IMPORT"].shown is State.ACKNOWLEDGED


def test_services_that_hang_are_said_to(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgectl.alarms.desk.ANSWER_S", 0.0)
    monkeypatch.setattr("edgectl.alarms.desk.request.__defaults__", (0.0,))
    result = asked(rig, "ack", "IL-IMPORT")
    assert isinstance(result.exception, AlarmError)
    assert "did not answer within 0 s" in str(result.exception)


def test_a_site_without_alarms_says_how_to_get_some(tmp_path: Path) -> None:
    result = CliRunner().invoke(APP, ["fake", "--data-dir", str(tmp_path)])
    assert isinstance(result.exception, AlarmError)
    assert result.exception.exit_code == 10
    assert "edgectl run SITE" in str(result.exception)
    assert list(tmp_path.iterdir()) == [], "looking makes no file"


def test_a_file_that_nobody_writes_is_said_to_be_old(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb.time, "time_ns", lambda: rig.book.now_ns + 90 * 10**9)
    assert "This is 1:30 old" in asked(rig).output


def test_nothing_to_do_is_said_in_one_line(rig: Rig) -> None:
    for row in ("IL-IMPORT", "IL-SOC"):
        rig.plant.set(row, CLEAR)
    rig.run(0.1)
    gone(rig)
    asked(rig, "ack", "IL-IMPORT", "IL-SOC")
    assert "Nothing asks for attention" in asked(rig).output
    assert len(said(rig, "--all")["list"]) == said(rig)["alarms"]


def test_the_history_leaves_out_what_made_no_sound(rig: Rig) -> None:
    loud = said(rig, "history")["history"]
    assert {each["event"] for each in loud} == {"annunciated"}
    rig.plant.silent = {"BMS-01"}
    rig.run(3.0)
    events = {each["event"] for each in said(rig, "history", "--all")["history"]}
    assert {"suppressed", "annunciated"} <= events
    assert "IL-IMPORT" in asked(rig, "history").output
    assert len(said(rig, "history", "--all", "--limit", "1")["history"]) == 1


def test_the_figures_name_what_is_too_much(rig: Rig) -> None:
    for _ in range(12):
        rig.plant.set("IL-SOC", CLEAR)
        rig.run(0.1)
        rig.plant.set("IL-SOC", TRIPPED)
        rig.run(0.1)
    found = said(rig, "kpi")
    assert found["chattering"] == {"IL-SOC": 13}
    assert found["annunciations"] == 14
    assert found["most_frequent"][0] == {"id": "IL-SOC", "annunciations": 13}
    assert not found["good"]["chattering"]
    text = asked(rig, "kpi").output
    assert "too much" in text
    assert "Title of IL-SOC  chatters" in text
    assert said(rig)["flood"] is True
    assert "FLOOD for" in asked(rig).output


def test_the_terminal_view_has_one_line_of_them_while_they_are_fresh(rig: Rig) -> None:
    gone(rig)
    seconds = [0.0]
    late_ns = [0]
    line = AlarmLine(rig.directory, lambda: seconds[0], lambda: saved_ns(rig) + late_ns[0])
    (notice,) = line.notices("fake")
    assert notice.level is Level.TRIP
    assert notice.text == ("Alarms: 2 unacknowledged of 2 alarms, worst high; first out IL-IMPORT")
    asked(rig, "ack", "IL-IMPORT")
    assert line.notices("fake") == (notice,), "it is not read for every picture"
    seconds[0] = 1.0
    (notice,) = line.notices("fake")
    assert notice.level is Level.ATTENTION
    late_ns[0] = 31 * 10**9
    seconds[0] = 2.0
    assert line.notices("fake") == (), "nobody writes it: it is not the plant of now"
    assert AlarmLine(rig.directory / "elsewhere").notices("fake") == ()


def saved_ns(rig: Rig) -> int:
    with AlarmStore.reader("fake", rig.directory) as store:
        return store.book().now_ns
