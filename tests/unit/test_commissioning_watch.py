"""`edgectl watch`: what it remembers of each point, and where it looks for the device."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from device_rig import HOST, holding_of, serve
from rich.text import Text

from edgectl.cli import main as cli
from edgectl.cli import watch as watch_verb
from edgectl.commissioning.client import SerialAddress, TcpAddress
from edgectl.commissioning.reading import Reading
from edgectl.commissioning.watching import Watcher
from edgectl.plant.fault_server import Fault, FaultServer, Step
from edgectl.profiles import load_profile
from edgectl.site_model import load_site
from edgectl.site_model.model import Line as SerialLine

# Python that reads with pymodbus: nothing of ext/ is reached anew
pytestmark = [pytest.mark.untraced, pytest.mark.wire]

METER = "meter/socomec-diris-a14"
S_NS = 1_000_000_000


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", "watch", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


class Script:
    """Values of active_power, one a cycle on a clock of its own; None is a lost reply."""

    def __init__(self, values: Sequence[float | None]) -> None:
        self.values = list(values)
        self.now_ns = 0
        self.profile = load_profile(METER)
        self.watcher = Watcher(self.profile, ["active_power"], self.read, lambda: self.now_ns)
        self.track = self.watcher.tracks["active_power"]

    def read(self) -> list[Reading]:
        self.now_ns += S_NS
        value = self.values.pop(0)
        point = self.profile.point("active_power")
        if value is None:
            return [Reading(point, math.nan, False, "no answer within 60 ms", ())]
        return [Reading(point, value, True, "", (0, int(value)))]

    def cycles(self, count: int) -> None:
        for _ in range(count):
            self.watcher.cycle()


def test_the_range_is_of_good_values_only() -> None:
    script = Script([5.0, 3.0, None, 9.0])
    script.cycles(4)
    assert (script.track.low, script.track.high) == (3.0, 9.0)
    assert (script.track.good, script.track.bad) == (3, 1)


def test_a_lost_reply_makes_the_last_value_older_and_nothing_else() -> None:
    script = Script([5.0, None, None])
    script.cycles(3)
    track, watcher = script.track, script.watcher
    assert track.value == 5.0
    assert watcher.now_ns - (track.good_ns or 0) == 2 * S_NS
    assert watcher.failed == 2


def test_a_change_stands_out_in_the_cycle_it_came_in_and_no_other() -> None:
    script = Script([5.0, 5.0, 6.0, 6.0])
    seen = []
    for _ in range(4):
        script.watcher.cycle()
        seen.append(script.track.changed(script.watcher.now_ns))
    assert seen == [False, False, True, False]


def test_the_live_table_shows_value_range_age_and_reason() -> None:
    script = Script([71_911_100.0, 70_000_000.0, None])
    script.cycles(3)
    table = watch_verb._table(script.watcher)
    cells = [str(next(iter(column.cells))) for column in table.columns]
    assert cells == [
        "active_power", "70 MW", "70 MW", "71.9111 MW", "1.0 s", "no answer within 60 ms"
    ]  # fmt: skip


def no_time_but_in_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's cycles take no time: how many there are does not hang on the machine."""
    now_s = [0.0]

    def sleep(seconds: float) -> None:
        now_s[0] += seconds

    clock = SimpleNamespace(
        monotonic=lambda: now_s[0], monotonic_ns=lambda: int(now_s[0] * S_NS), sleep=sleep
    )
    monkeypatch.setattr(watch_verb, "time", clock)


def test_into_a_pipe_goes_one_line_a_cycle_and_a_summary(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_time_but_in_sleep(monkeypatch)
    with serve({1: holding_of(load_profile(METER))}) as port:
        words = (f"{HOST}:{port}", "--seconds", "0.1", "--every-ms", "40", "--json")
        assert status_of(monkeypatch, *words, "--points", "active_power,frequency") == 0
    heading, *cycles, summary = capsys.readouterr().out.splitlines()
    assert METER in heading
    assert "identity agrees" in heading
    assert all("active_power=0 W" in each for each in cycles)
    said = json.loads(summary)
    assert said["cycles"] == len(cycles) == 3
    assert [each["name"] for each in said["points"]] == ["frequency", "active_power"]


def test_without_a_profile_the_device_is_asked_who_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({1: {0: 1}}) as port:
        assert status_of(monkeypatch, f"{HOST}:{port}", "--seconds", "0") == 3
    assert "Choose one with --profile" in capsys.readouterr().err


def test_a_device_with_another_identity_is_watched_and_said_to_be_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({1: holding_of(load_profile(METER))}) as port:
        words = (f"{HOST}:{port}", "--seconds", "0", "--profile", "meter/abb-b23")
        assert status_of(monkeypatch, *words) == 1, "none of its registers answers"
    assert "identity does NOT agree" in capsys.readouterr().out


def test_a_device_that_never_answers_is_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(reads=[Step(Fault.SILENT)] * 100) as server:
        words = (f"{HOST}:{server.port}", "--seconds", "0", "--timeout-ms", "20")
        assert status_of(monkeypatch, *words, "--profile", METER) == 1
    assert "no answer within 20 ms" in capsys.readouterr().out


def test_a_device_that_comes_back_is_read_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_time_but_in_sleep(monkeypatch)
    profile = load_profile(METER)
    lost = [Step(), Step(), Step(), Step(Fault.CLOSE)]  # identity, then the connection is gone
    with FaultServer(holding_of(profile), reads=lost) as server:
        words = (f"{HOST}:{server.port}", "--seconds", "0.1", "--every-ms", "40")
        assert status_of(monkeypatch, *words, "--profile", METER) == 0
    _, first, *_, last = capsys.readouterr().out.splitlines()
    assert "the device closed the connection" in first
    assert "voltage_l1=0 V" in last


# ---- SITE DEVICE


def test_a_device_of_a_site_is_found_where_its_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], root: Path
) -> None:
    text = (root / "edgectl" / "sites" / "demo.toml").read_text()
    with serve({1: holding_of(load_profile(METER))}) as port:
        site = tmp_path / "site.toml"
        site.write_text(text.replace("15020", str(port), 1))
        words = (str(site), "GRID-01", "--seconds", "0", "--points", "active_power")
        assert status_of(monkeypatch, *words) == 0
    assert f"{HOST}:{port} unit 1  {METER}" in capsys.readouterr().out


def test_a_device_on_a_line_of_a_site_is_watched_on_that_line() -> None:
    line = SerialLine("L1", "/dev/ttyUSB7", 19_200, "none", 2, 1, 1, True)
    device = replace(load_site("demo").devices[0], line=line)
    assert watch_verb._line_of(device, 100).address == SerialAddress(
        "/dev/ttyUSB7", 19_200, "none", 2
    )
    plain = replace(device, line=None)
    assert watch_verb._line_of(plain, 100).address == TcpAddress(HOST, 15020)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "GRID-10"), "Did you mean GRID-01"),
        (("nowhere", "GRID-01"), "no such file"),
        (("demo", "GRID-01", "--unit", "2"), "come from the site file"),
        (("demo", "GRID-01", "--points", "activ_power"), "Did you mean active_power"),
        (("host", "--profile", "meter/nothing"), "no such profile"),
        (("host", "--profile", "nothing.toml"), "nothing.toml: there is no such file"),
        (("demo",), "demo is a site: name a device of it. Known here: AUX-01"),
        (("10.0.0.400",), "is no IP address"),
    ],
)
def test_what_is_not_there_is_refused_before_anyone_is_contacted(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert status_of(monkeypatch, *words) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_a_cycle_longer_than_its_period_is_followed_by_the_next_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cycles: list[int] = []
    slept_s: list[float] = []
    clock_s = count(0.0, 0.3)  # every look at it comes 0.3 s later than the one before
    monkeypatch.setattr(
        watch_verb, "time", SimpleNamespace(monotonic=lambda: next(clock_s), sleep=slept_s.append)
    )
    monkeypatch.setattr(watch_verb, "_line", lambda _: "line")
    watcher: Any = SimpleNamespace(cycle=lambda: cycles.append(1))
    heading: Any = SimpleNamespace(text=lambda _: Text("heading"))
    watch_verb._run(watcher, heading, 40, 2.0)
    assert len(cycles) > 1
    assert set(slept_s) == {0.0}
