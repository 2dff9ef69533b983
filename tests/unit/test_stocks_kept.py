"""What batteries hold goes over a restart, and what does not is told and adjusted openly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest
from carryover_rig import DEMO, SECOND, Runs, both_methods
from event_log import EventLog

from edgectl._kernel.inventory import StockOpening
from edgectl.controller import stocks
from edgectl.controller.slots import BadSlotError, pack
from edgectl.controller.stocks import (
    AGE_MAX_NS,
    AHEAD_MAX_NS,
    FIRST_START,
    HELD_MAX,
    MAGIC,
    SLOT_BYTES,
    WRITE_EVERY_NS,
    Held,
    Kept,
    pack_slot,
    stocks_file,
    unpack_slot,
)

pytestmark = pytest.mark.untraced  # thousands of simulated scans

NAMES = tuple(each.id for each in DEMO.batteries)
CAPACITY_J = 14.4e9
HELD = Held("BESS-01", 1e9, "weighted average", (9, 5, 4, 0, 0, 5), (1, 2, 3), (500_000, 8), 0, ())
SLICES = ((4, 1, 4, 0, 0, 0), (5, 4, 0, 0, 0, 5))
FIFO = replace(HELD, id="BESS-02", method="fifo", slices=SLICES)
KEPT = Kept(1, 2, 3, (HELD, FIFO))


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> EventLog:
    """What is told; and shared memory in a folder of the test's own."""
    kept = EventLog()
    monkeypatch.setattr(stocks, "log", kept)
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    return kept


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "data")


def declared_ug(mj: Any) -> int:
    """At the demo's initial_stock_g_per_kwh."""
    return int(mj) * 480_000 // 3_600_000


def ran(runs: Runs, seconds: int = 20) -> None:
    runs.start()
    runs.scans(seconds * SECOND)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_next_run_opens_with_what_the_last_second_says_to_the_last_integer(
    runs: Runs, log: EventLog, end: str
) -> None:
    ran(runs)
    getattr(runs, end)()
    before = runs.held()
    assert len(set(before.values())) == 2
    ran(runs)
    assert {name: tuple(runs.openings[name]["held"]) for name in NAMES} == before
    assert {each["opened"] for each in runs.openings.values()} == {"carried"}
    runs.stop()
    said = runs.start_said()
    assert said["stocks_adjusted"] == {}
    assert {name: tuple(of) for name, of in said["stocks_before"]["held"].items()} == before
    result = runs.verified()
    assert (result.restarts_followed, result.seconds_unfollowed) == (1, 0)
    assert log.names == ["stocks.first_declared"] * 2 + ["stocks.carried"] * 2


def test_slices_and_remainders_go_over_a_restart_as_they_were(runs: Runs) -> None:
    ran(runs, 60)
    before = runs.reader.snapshot()
    runs.stop()
    runs.start()
    runs.plant.run(runs.kernel, 1)
    after = runs.reader.snapshot()
    assert int(before["stocks"]["count"][1]) > 1, "several slices"
    assert int(after["stocks"]["count"][1]) == int(before["stocks"]["count"][1])
    last = int(before["stocks"]["count"][1]) - 1
    assert (after["slices"][0][1:last] == before["slices"][0][1:last]).all()
    assert list(after["stocks"]["opening"]) == [StockOpening.OPENING_RESUMED] * 2
    runs.kill()


def test_a_kill_before_the_first_scan_loses_nothing_of_the_run_before(runs: Runs) -> None:
    ran(runs)
    runs.keep()
    runs.scans(5 * SECOND)
    runs.kill()
    before = runs.held()
    runs.start()
    runs.kill()  # its segment says nothing, and that of the run before is gone
    ran(runs, 3)
    assert {name: tuple(runs.openings[name]["held"]) for name in NAMES} == before
    runs.stop()
    assert runs.start_said()["stocks_adjusted"] == {}
    assert runs.verified().restarts_followed == 2


def test_after_a_power_cut_what_the_file_lacks_is_adjusted_openly(runs: Runs) -> None:
    ran(runs, 5)
    runs.keep()
    runs.scans(8 * SECOND)
    runs.kill(power_cut=True)
    before = runs.held()
    ran(runs, 5)
    runs.stop()
    said = runs.start_said()
    assert set(said["stocks_adjusted"]) == set(NAMES)
    for name in NAMES:
        opened, held = runs.openings[name]["held"], before[name]
        assert runs.openings[name]["opened"] == "carried"
        change = said["stocks_adjusted"][name]
        assert [a + b for a, b in zip(held, change, strict=True)] == opened
    assert said["stocks_adjusted"][NAMES[0]][0] > 0, "it gave after the file was written"
    assert said["stocks_adjusted"][NAMES[1]][0] < 0, "it was charged"
    assert runs.verified().restarts_followed == 1


@pytest.mark.parametrize("watts", [9e6, -9e6])
def test_what_moves_while_nobody_books_is_a_true_up_of_the_scan_that_first_knows(
    tmp_path: Path, watts: float
) -> None:
    runs = Runs(tmp_path / "data", both_methods(capacity_j=CAPACITY_J))
    ran(runs)
    soc_ppm = [int(each) for each in runs.reader.snapshot()["stocks"]["soc_ppm"]]
    runs.stop()
    before = runs.held()
    runs.dark(3_000, watts, watts)
    runs.start()
    assert runs.openings[NAMES[0]]["reach_mj"] > 10**9
    image = resumed(runs)
    for at, name in enumerate(NAMES):
        now, opened = image["storages"][at], runs.openings[name]
        assert opened["soc_ppm"] == soc_ppm[at]
        moved_ppm = int(image["stocks"]["soc_ppm"][at]) - soc_ppm[at]
        moved_mj = round(CAPACITY_J) * 1000 // 10**6 * moved_ppm
        assert moved_ppm * watts > 0
        assert now["true_up_mj"] == moved_mj
        assert now["true_ups"] == 1
        assert now["opened_mj"] == 0
        if watts > 0:
            assert now["opened_ug"] == declared_ug(moved_mj), "declared, never clean"
            assert now["lost_ug"] == 0
        else:
            of = before[name]
            assert now["opened_ug"] == 0
            assert now["lost_ug"] == pytest.approx(-moved_mj * of[1] / of[0], rel=0.01)
    runs.scans(3 * SECOND)
    runs.stop()
    assert runs.start_said()["stocks_adjusted"] == {}, "the books open as they were left"
    assert runs.verified().restarts_followed == 1


def test_a_coarse_state_of_charge_moves_no_more_than_the_battery_can_have_moved(
    tmp_path: Path,
) -> None:
    runs = Runs(tmp_path / "data", both_methods(capacity_j=CAPACITY_J))
    ran(runs)
    runs.keep()
    runs.kill(power_cut=True)
    runs.dark(3_000, 9e6, 9e6)
    dark_ns = 3_000 * runs.plant.simulated.period_ns
    runs.start(away_ns=-dark_ns)  # as if it were a restart of no time at all
    image = resumed(runs)
    for at, name in enumerate(NAMES):
        battery, now = DEMO.batteries[at], image["storages"][at]
        reach_mj = runs.openings[name]["reach_mj"]
        away_s = runs.openings[name]["age_ns"] * 1e-9 + 5.0
        most_w = battery.discharge_rating_w / battery.discharge_efficiency
        assert away_s < 6.0
        assert reach_mj == pytest.approx(most_w * 1000 * away_s, rel=1e-3)
        assert now["true_up_mj"] == reach_mj
    runs.kill()


def resumed(runs: Runs) -> Any:
    """The snapshot of the scan in which the batteries' states of charge are first known."""
    for _ in range(3 * SECOND):
        runs.plant.run(runs.kernel, 1)
        image = runs.reader.snapshot()
        if (image["stocks"]["opening"] == StockOpening.OPENING_RESUMED).any():
            return image
    raise AssertionError("states of charge stay unknown")


def changed(**rules: Any) -> Any:
    return lambda: both_methods(**rules)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (changed(capacity_j=150e9), "capacity_j was 1.44e+11 and is 1.5e+11"),
        (changed(carbon_method="fifo"), "carbon_method was weighted average and is fifo"),
    ],
)
def test_another_battery_or_method_is_declared_anew_and_the_old_content_adjusted_away(
    runs: Runs, log: EventLog, model: Any, why: str
) -> None:
    ran(runs)
    runs.stop()
    before = runs.held()
    first = model().batteries[0]
    site = replace(both_methods(), batteries=(first, both_methods().batteries[1]))
    runs.start(site)
    opened = runs.openings[first.id]
    assert (opened["opened"], opened["why"], opened["held"]) == ("declared", why, [0] * 6)
    assert runs.openings[NAMES[1]]["opened"] == "carried", "the other is the same"
    assert ("stocks.declared", {"storage": first.id, "reason": why}) in log.events
    runs.scans(3 * SECOND)
    runs.stop()
    assert runs.start_said()["stocks_adjusted"] == {NAMES[0]: [-each for each in before[NAMES[0]]]}
    assert runs.verified().restarts_followed == 1


def test_a_battery_of_which_nothing_was_kept_is_declared_and_the_others_are_carried(
    runs: Runs,
) -> None:
    ran(runs)
    runs.keep()
    runs.kill(power_cut=True)
    before = runs.held()
    file = stocks_file(runs.path)
    kept = file.read()
    assert kept is not None
    file.write(replace(kept, stocks=kept.stocks[1:]))
    ran(runs, 3)
    assert [each["opened"] for each in runs.openings.values()] == ["declared", "carried"]
    assert runs.openings[NAMES[0]]["why"] == "nothing was kept of a battery of this id"
    runs.stop()
    assert runs.start_said()["stocks_adjusted"] == {NAMES[0]: [-each for each in before[NAMES[0]]]}
    assert runs.verified().restarts_followed == 1


@pytest.mark.parametrize(
    ("away_ns", "why"),
    [
        (AGE_MAX_NS + 10**12, "it is 7.0 days old; at most 7 are carried"),
        (-2 * AHEAD_MAX_NS, "it is of 7200 s after now: the clock was set back"),
    ],
)
def test_what_cannot_be_dated_or_is_too_old_is_declared_anew(
    runs: Runs, away_ns: int, why: str
) -> None:
    ran(runs)
    runs.stop()
    runs.start(away_ns=away_ns)
    for opened in runs.openings.values():
        assert opened["opened"] == "declared"
        assert opened["why"][:20] == why[:20]
    runs.kill()


@pytest.mark.parametrize("away_ns", [AGE_MAX_NS - 10**12, 1 - AHEAD_MAX_NS])
def test_within_a_week_and_with_a_clock_a_little_behind_it_is_carried(
    runs: Runs, away_ns: int
) -> None:
    ran(runs)
    runs.stop()
    runs.start(away_ns=away_ns)
    assert {each["opened"] for each in runs.openings.values()} == {"carried"}
    assert abs(runs.openings[NAMES[0]]["age_ns"] - away_ns) < 10**9
    runs.kill()


def test_a_corrupt_file_after_a_power_cut_is_told_and_everything_declared_anew(
    runs: Runs, log: EventLog
) -> None:
    ran(runs)
    runs.keep()
    runs.kill(power_cut=True)
    before = runs.held()
    raw = bytearray(runs.path.read_bytes())
    for slot in range(2):
        raw[slot * SLOT_BYTES + 100] ^= 1
    runs.path.write_bytes(raw)
    log.events.clear()
    ran(runs, 3)
    assert {each["why"] for each in runs.openings.values()} == {"what was kept cannot be read"}
    assert log.names == ["stocks.lost", "stocks.declared", "stocks.declared"]
    runs.stop()
    adjusted = runs.start_said()["stocks_adjusted"]
    assert adjusted == {name: [-each for each in of] for name, of in before.items()}
    assert runs.verified().restarts_followed == 1


def test_one_torn_slot_costs_one_write_and_is_told(runs: Runs, log: EventLog) -> None:
    ran(runs, 3)
    runs.keep()
    runs.scans(SECOND)
    runs.keep()
    raw = bytearray(runs.path.read_bytes())
    slots = [unpack_slot(bytes(raw[at * SLOT_BYTES :][:SLOT_BYTES]), at) for at in range(2)]
    first, last = sorted(slots, key=lambda each: each.sequence)
    assert first.seq < last.seq
    runs.kill(power_cut=True)
    raw[last.slot * SLOT_BYTES + 50] ^= 1
    runs.path.write_bytes(raw)
    log.events.clear()
    runs.start()
    assert {each["seq"] for each in runs.openings.values()} == {first.seq}
    assert log.names == ["stocks.slot_bad", "stocks.carried", "stocks.carried"]
    runs.kill()


def test_a_corrupt_file_after_a_kill_costs_nothing_as_the_segment_has_it(
    runs: Runs, log: EventLog
) -> None:
    ran(runs)
    runs.kill()
    before = runs.held()
    runs.path.write_bytes(b"edgestk1")
    log.events.clear()
    ran(runs, 3)
    assert {name: tuple(runs.openings[name]["held"]) for name in NAMES} == before
    assert log.names == ["stocks.lost", "stocks.carried", "stocks.carried"]
    runs.stop()
    assert runs.verified().restarts_followed == 1


def test_another_data_directory_begins_anew_whatever_is_in_memory(
    runs: Runs, tmp_path: Path
) -> None:
    ran(runs)
    runs.stop()
    other = Runs(tmp_path / "other")
    other.start()
    assert {each["why"] for each in other.openings.values()} == {FIRST_START}
    other.kill()


def test_a_segment_that_was_torn_by_the_kill_leaves_the_file(runs: Runs) -> None:
    ran(runs, 3)
    runs.keep()
    at = runs.reader.journal_head - 1
    runs.scans(SECOND)
    runs.segment.head["snapshot_seq"] += 1  # killed inside a snapshot
    runs.kill()
    runs.start()
    assert {each["seq"] for each in runs.openings.values()} == {at}
    runs.kill()


def test_a_first_start_declares_and_is_no_warning(runs: Runs, log: EventLog) -> None:
    runs.start()
    assert {each["why"] for each in runs.openings.values()} == {FIRST_START}
    assert log.names == ["stocks.first_declared"] * 2
    runs.plant.run(runs.kernel, 1)
    for at, now in enumerate(runs.reader.snapshot()["storages"]):
        declared_mj = now["opened_mj"]
        soc = now["soc_ratio"]
        assert declared_mj == int(soc * DEMO.batteries[at].capacity_j * 1000)
        assert now["opened_ug"] == declared_ug(declared_mj)
    runs.kill()


def test_it_is_written_every_ten_seconds_and_a_full_disk_is_told_once(
    runs: Runs, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(runs, 25)
    log.events.clear()
    assert runs.retention.file.sequence == 3
    assert WRITE_EVERY_NS == 10 * 10**9
    sound = runs.retention.file.write
    with monkeypatch.context() as patched:

        def refuse(_: Kept) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(runs.retention.file, "write", refuse)
        runs.scans(30 * SECOND)
    assert log.names == ["stocks.write_failed"]
    runs.retention.file.write = sound  # type: ignore[method-assign]
    runs.scans(10 * SECOND)
    assert log.names == ["stocks.write_failed", "stocks.write_restored"]
    runs.kill()


def test_every_single_byte_of_a_slot_is_guarded() -> None:
    slot = pack_slot(7, KEPT)
    assert unpack_slot(slot, 1) == replace(KEPT, sequence=7, slot=1)
    for at in range(len(slot)):
        spoilt = bytearray(slot)
        spoilt[at] ^= 0x10
        with pytest.raises(BadSlotError):
            unpack_slot(bytes(spoilt), 0)


@pytest.mark.parametrize(
    "held",
    [
        replace(HELD, held=(9, 5, 4, 0, 0, 4)),
        replace(HELD, held=(9, -5, 4, 0, 0, 5)),
        replace(HELD, held=(HELD_MAX + 1, 0, HELD_MAX + 1, 0, 0, 0)),
        replace(HELD, held=(9, 5, 4, 0, 5)),
        replace(HELD, held=(9, 5.0, 4, 0, 0, 5)),
        replace(HELD, remainders=(0, 10**9 + 1, 0)),
        replace(HELD, remainders=(0, 0)),
        replace(HELD, soc=(1_000_001, 8)),
        replace(HELD, soc=(1,)),
        replace(HELD, visited=3),
        replace(HELD, slices=SLICES),
        replace(FIFO, slices=SLICES[:1]),
        replace(FIFO, slices=((4, 1, 4, 0, 0, 0), (5, 4, 0, 0, 5))),
        replace(FIFO, held=(257, 0, 257, 0, 0, 0), slices=((1, 0, 1, 0, 0, 0),) * 257),
    ],
)
def test_figures_that_cannot_be_a_batterys_books_are_refused_whatever_their_sum(
    held: Held, tmp_path: Path
) -> None:
    assert held.fault
    with pytest.raises(BadSlotError, match=held.id):
        unpack_slot(pack_slot(1, replace(KEPT, stocks=(held,))), 0)


@pytest.mark.parametrize("payload", [[1, 2, 3], [1, 2, 3, [[1, 2]]], [1, 2, 3, 4], 5])
def test_a_slot_of_another_shape_is_refused(payload: Any) -> None:
    raw = pack(MAGIC, SLOT_BYTES, 1, msgpack.packb(payload))
    with pytest.raises(BadSlotError, match="cannot be read"):
        unpack_slot(raw, 0)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = stocks_file(tmp_path / "any.stocks")
    for seq in range(3):
        file.write(replace(KEPT, seq=seq))
    kept = stocks_file(file.path).read()
    assert kept is not None
    assert (kept.seq, kept.stocks) == (2, (HELD, FIFO))
