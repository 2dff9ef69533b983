"""The terminal view fits, says in words what its colours say, and never lies about its age."""

import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fake_controller
import numpy as np
import pytest
import top_sample
from rich.console import Console

from edgectl.cli import top
from edgectl.cli.top_model import Controller, Curves, Level
from edgectl.cli.top_panels import age_text, bucket_of
from edgectl.cli.top_parts import ATTENTION, Area, area_chart, bar, duration, number
from edgectl.cli.top_state import History, mode_of, oldest
from edgectl.cli.top_view import view
from edgectl.errors import SegmentError
from edgectl.image import create_segment


def drawn(columns: int, lines: int, **campus: bool) -> list[str]:
    console = Console(width=columns, height=lines, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(view(top_sample.plant(**campus), columns, lines))
    return captured.get().rstrip("\n").split("\n")


@pytest.mark.parametrize("troubled", [False, True])
@pytest.mark.parametrize(
    "size", [(80, 24), (80, 30), (92, 33), (100, 50), (118, 24), (118, 30), (132, 44), (220, 70)]
)
def test_the_view_fills_the_terminal_and_never_more(size: tuple[int, int], troubled: bool) -> None:
    columns, lines = size
    text = drawn(columns, lines, troubled=troubled)
    assert len(text) <= lines
    assert len(text) >= lines - 2
    assert max(len(line) for line in text) <= columns


@pytest.mark.parametrize("size", [(20, 10), (79, 24), (80, 23)])
def test_a_terminal_that_is_too_small_gets_the_figures_and_is_told(size: tuple[int, int]) -> None:
    text = drawn(*size)
    assert "75.63 MW of 78.00 MW" in "\n".join(text) or size[0] < 25
    assert text[-1].startswith("The full view ne")
    assert max(len(line) for line in text) <= size[0]


def test_the_age_stands_against_its_limit_and_is_amber_beyond() -> None:
    quiet, troubled = (drawn(132, 44, troubled=bad) for bad in (False, True))
    assert any("MTR-07" in line and " 41/500 " in line for line in quiet)
    assert any("MTR-07" in line and " 7041/500 " in line for line in troubled)


def test_the_age_is_of_the_fast_reads_unless_a_slow_one_is_beyond_its_limit() -> None:
    record = np.zeros((), [("time_ns", "<i8")])
    samples = np.zeros(3, [("source_ns", "<i8")])
    snapshot = {"record": record, "samples": samples}
    reads = [(0, 500_000_000), (1, 3_000_000_000), (2, 500_000_000)]
    record["time_ns"] = 10_000_000_000
    samples["source_ns"] = 9_900_000_000, 7_100_000_000, 9_800_000_000
    assert oldest(reads, snapshot) == (200.0, 500.0)
    samples["source_ns"][1] -= 200_000_000
    assert oldest(reads, snapshot) == (3100.0, 3000.0)
    samples["source_ns"][2] = 8_000_000_000
    assert oldest(reads, snapshot) == (2000.0, 500.0), "4 times its limit, and not 1.03"
    samples["source_ns"][2] = 0
    assert math.isnan(oldest(reads, snapshot)[0]), "it has never come"
    assert math.isnan(oldest([], snapshot)[0]), "a device that is only written has no age"


def test_an_age_takes_no_more_room_the_longer_a_device_is_away() -> None:
    shown = [age_text(each) for each in (41.2, 99_999.0, 1e5, 1e9, math.nan)]
    assert shown == ["41", "99999", ">100 s", ">100 s", "–"]


def test_the_worst_poll_stands_against_its_bound_and_is_amber_beyond() -> None:
    quiet, troubled = (drawn(132, 44, troubled=bad) for bad in (False, True))
    assert any("poll ms" in line for line in quiet)
    assert any("GRID-01" in line and " 12/184 " in line for line in quiet)
    assert any("MTR-07" in line and " 203/184 " in line for line in troubled)
    console = Console(width=132, height=44, color_system="truecolor", force_terminal=True)
    with console.capture() as captured:
        console.print(view(top_sample.plant(troubled=True), 132, 44))
    amber = ";".join(str(int(ATTENTION[at : at + 2], 16)) for at in (1, 3, 5))
    assert f"38;2;{amber}m    203/184" in captured.get()
    assert f"38;2;{amber}m     12/184" not in captured.get()


def test_a_quiet_plant_is_said_to_be_quiet() -> None:
    text = "\n".join(drawn(132, 44))
    assert " ARMED " in text
    assert "Nothing asks for attention." in text
    assert "0 of 24 interlocks not clear" in text
    for figure in ("75.63 MW of 78.00 MW", "under the cap", "412 g/kWh", "kg/h", "1.233", "MWh"):
        assert figure in text
    assert "IT from grid 82 %  PV 13 %  battery 4 %" in text
    assert "discharging, set -2.42 MW" in text


def test_trouble_comes_first_and_in_words() -> None:
    text = drawn(132, 44, troubled=True)
    of = {word: next(i for i, line in enumerate(text) if word in line) for word in (
        "MTR-07: silent", "IL-11 Cell temperature high BESS-02", "IL-04 BMS trip",
        "carbon feed lost", "Field bus",
    )}  # fmt: skip
    assert list(of.values()) == sorted(of.values())
    assert "tripped" in text[of["IL-11 Cell temperature high BESS-02"]]
    assert "first out 31 s ago" in text[of["IL-11 Cell temperature high BESS-02"] + 1]
    assert "latched, reset by operator" in text[of["IL-04 BMS trip"]]
    assert "MTR-07" in text[of["Field bus"] + 2], "the sick device leads when not all fit"
    whole = "\n".join(text)
    assert "BMS-01.active_power: frozen" in whole
    assert "held by IL-11" in whole


def test_a_dead_controller_is_not_shown_as_a_healthy_plant() -> None:
    text = "\n".join(drawn(132, 44, alive=False))
    assert "CONTROLLER GONE" in text
    assert "since 21:14:03 UTC" in text
    assert "Start it again: edgectl run demo" in text
    assert " ok " not in text, "no device was read after its death"


def controller(**changes: object) -> Controller:
    known = {"pid": 1, "alive": True, "stopped": False, "start_utc_ns": 0, "now_utc_ns": 0}
    return Controller(**{**known, "now_ns": 100_000_000_000, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "known", "mode", "level"),
    [
        ({"armed": 1}, {}, "ARMED", Level.NORMAL),
        ({"armed": 0}, {}, "NOT ARMED", Level.ATTENTION),
        ({"armed": 1, "dry_run": 1}, {}, "DRY RUN", Level.ATTENTION),
        ({"armed": 1, "safe_state": 1}, {}, "SAFE STATE", Level.TRIP),
        ({"armed": 1}, {"now_ns": 103_000_000_000}, "NO NEW SCAN", Level.TRIP),
        ({"armed": 1}, {"alive": False}, "CONTROLLER GONE", Level.TRIP),
        ({"armed": 1}, {"alive": False, "stopped": True}, "STOPPED", Level.ATTENTION),
    ],
)
def test_the_worst_word_wins(
    record: dict[str, int], known: dict[str, object], mode: str, level: Level
) -> None:
    row = {"time_ns": 100_000_000_000, "utc_ns": 0, "dry_run": 0, "safe_state": 0, **record}
    found = mode_of(row, controller(**known), 100_000_000)
    assert found[:2] == (mode, level)


def test_loads_that_do_not_fit_are_summed_and_not_dropped() -> None:
    text = "\n".join(drawn(80, 24))
    assert "4 more" in text
    assert "26.48 MW" in text, "IT-H, cooling, UPS losses and auxiliaries"


def test_a_young_history_is_stretched_and_an_old_one_is_not_squeezed() -> None:
    curves = Curves(np.arange(20), np.zeros(20), np.zeros(20))
    assert bucket_of(curves, 36) == 1
    assert bucket_of(Curves(np.arange(60), np.zeros(60), np.zeros(60)), 36) == 2
    assert bucket_of(top_sample.plant().curves, 36) == 5
    assert bucket_of(Curves(np.zeros(0), np.zeros(0), np.zeros(0)), 36) == 1


def test_history_forgets_and_means_come_by_the_second() -> None:
    source, history = top_sample.reader(), History()
    for first in range(0, top_sample.RECORDS, 1_000):
        history.add(source.journal(first).records)
    curves = history.curves()
    assert len(curves.utc_s) == 601
    assert float(curves.grid_w.max()) < top_sample.CAP_W
    for _ in range(3):
        history.add(source.journal(0).records)
    assert len(history.heads) == 6_000


@pytest.mark.parametrize(
    ("shares", "shown"),
    [
        ((0.0,), "────────"), ((1.0,), "━━━━━━━━"), ((0.5,), "━━━━────"), ((9.9,), "━━━━━━━━"),
        ((0.56,), "━━━━╸───"), ((math.nan,), "────────"), ((-0.5, 0.25), "━━──────"),
    ],
)  # fmt: skip
def test_a_bar_is_as_long_as_its_share(shares: tuple[float, ...], shown: str) -> None:
    assert bar([(share, "red") for share in shares], 8).plain == shown


def test_an_area_chart_stands_at_the_right_edge_and_draws_its_line() -> None:
    area = Area([0.0, 5.0, 10.0], [0.0, 10.0, 10.0], 7.0, "blue", "magenta")
    rows = [row.plain for row in area_chart(area, 0.0, 10.0, 5, 2)]
    assert rows == ["┄┄┄██", "   ██"]


def test_numbers_are_right_aligned_and_the_unknown_is_a_dash() -> None:
    assert [number(1234567.0, 0), number(2.5, 2, 8), number(math.nan, 2, 5)] == [
        "1 234 567", "    2.50", "    –",
    ]  # fmt: skip
    assert [duration(s) for s in (9, 69, 3_669, 90_061)] == ["9 s", "1:09", "1:01:09", "1 d 01:01"]


# ---- attaching


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fake_controller.FakeController:
    """A controller of the site `fake`, this process, some scans old."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    segment = create_segment("fake", fake_controller.directory(), 0.5, fake_controller.PERIOD_NS)
    made = fake_controller.FakeController(segment, time.time_ns())
    made.run(50)
    return made


def test_the_only_running_site_needs_no_name(running: fake_controller.FakeController) -> None:
    path = top.segment_of(None)
    assert path.name == "edgectl-fake.seg"
    watch = top.Watch(path)
    assert watch.plant().scan == 50
    running.run(7)
    assert watch.plant().scan == 57
    assert len(watch.history.heads) == 57


def test_a_controller_that_was_started_anew_is_found_again(
    running: fake_controller.FakeController,
) -> None:
    watch = top.Watch(top.segment_of("fake"))
    assert watch.plant().scan == 50
    running.segment.close()
    assert watch.plant().mode == "STOPPED"
    segment = create_segment("fake", fake_controller.directory(), 0.5, fake_controller.PERIOD_NS)
    fake_controller.FakeController(segment, time.time_ns()).run(3)
    assert watch.plant().scan == 3
    assert watch.plant().mode == "ARMED"


def test_a_site_file_names_its_segment(tmp_path: Path) -> None:
    file = tmp_path / "plant.toml"
    file.write_text('[site]\nid = "north"\n')
    assert top.site_id_of(str(file)) == "north"
    assert top.site_id_of("anything-else") == "anything-else"
    file.write_text("[site\n")
    with pytest.raises(SegmentError, match="edgectl check"):
        top.site_id_of(str(file))


def test_the_picture_is_an_svg_of_the_view(
    running: fake_controller.FakeController, tmp_path: Path
) -> None:
    top.draw(top.Watch(top.segment_of("fake")).plant(), tmp_path / "top.svg")
    assert "edgectl&#160;" in (tmp_path / "top.svg").read_text()


def run_top(
    directory: Path, scanning: Callable[[], None] = lambda: None
) -> subprocess.CompletedProcess[str]:
    """The command to its end, the controller scanning all the while."""
    code = "import sys; sys.argv[0] = 'edgectl'; from edgectl.cli.main import main; main()"
    words = [sys.executable, "-c", code, "top"]
    environment = {"EDGECTL_SHM_DIR": str(directory), "PATH": "/usr/bin:/bin", **python_path()}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        while True:
            scanning()
            try:
                told, said = command.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            return subprocess.CompletedProcess(words, command.returncode, told, said)


def python_path() -> dict[str, str]:
    """The same edgectl as this process has, whichever that is."""
    import edgectl

    return {"PYTHONPATH": str(Path(edgectl.__file__).parent.parent)}


def test_without_a_controller_top_says_what_to_do_and_exits_with_5(tmp_path: Path) -> None:
    ended = run_top(tmp_path)
    assert ended.returncode == 5
    assert "Start one: edgectl run SITE" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_terminal_top_prints_once(running: fake_controller.FakeController) -> None:
    ended = run_top(top.segment_of("fake").parent, running.scan)
    assert ended.returncode == 0, ended.stderr
    assert " edgectl fake   ARMED " in ended.stdout
