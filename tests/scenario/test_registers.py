"""The campus in process: what its meters' own counters say comes into the ledger and the books."""

import json
from pathlib import Path

import alarm_rig
import pytest
import verify_ledger as stranger
from register_rig import BEGIN_S, RegisterRig

from edgectl.accounting.gaps import Grade
from edgectl.alarms import Health
from edgectl.alarms.machine import State
from edgectl.ledger import Kind, Ledger
from edgectl.ledger.keys import load_public
from edgectl.ledger.verify import verify
from edgectl.plant.wiring import WiringFault
from edgectl.reports.receipt import make_receipt
from edgectl.services.alarm_feed import AlarmFeed

pytestmark = pytest.mark.untraced
MJ_PER_J = 1_000
ROLL_OVER_J = 2**32 * 36_000.0  # of the connection's meter


@pytest.fixture
def rig(tmp_path: Path) -> RegisterRig:
    return RegisterRig(tmp_path)


def counted_mj(rig: RegisterRig, tag: str) -> int:
    """What the plant's counter has behind it, without the meter's step."""
    return round(rig.signal(tag)[1] * MJ_PER_J)


def test_a_lost_meter_is_recovered_from_its_counter_and_no_total_changes_but_by_that(
    rig: RegisterRig,
) -> None:
    rig.run(299)
    rig.silence("MTR-01", on=True)
    before_mj = counted_mj(rig, "MTR-01.energy_import")
    rig.run(180)
    through_mj = counted_mj(rig, "MTR-01.energy_import") - before_mj
    rig.silence("MTR-01", on=False)
    rig.run(480)
    rig.finish()
    (gap,) = [each for each in rig.of("IT-A") if each.gaps]
    measured_mj = gap.booked_mj - gap.gap_mj
    assert gap.energy_mj - measured_mj == pytest.approx(through_mj, rel=0.01)
    assert gap.booked_mj > 1.3 * gap.energy_mj, "the worst credible power was booked"
    ((first_s, last_s, estimated, substituted),) = gap.gaps
    assert last_s - first_s == pytest.approx(180, abs=3)
    assert 18 <= estimated <= 21, "hold_ms is 2 s"
    assert estimated + substituted == pytest.approx(1800, abs=25)
    for length_s in (60, 900):
        booked, corrected = 0, 0
        recovered = 0
        for each in rig.intervals(length_s):
            fixed = each.as_corrected()
            assert min(fixed.energy_mj.values()) >= 0
            booked += sum(mj for (_, to), mj in each.energy_mj.items() if to == "IT-A")
            corrected += sum(mj for (_, to), mj in fixed.energy_mj.items() if to == "IT-A")
            recovered += fixed.counts[Grade.RECOVERED]
            assert fixed.coverage.counts.keys() == each.coverage.counts.keys()
            assert sum(fixed.counts.values()) == sum(each.counts.values())
        due_mj = sum(each.difference_mj for each in rig.of("IT-A"))
        assert corrected == booked + due_mj, length_s
        assert recovered == pytest.approx(estimated + substituted, abs=2)
    assert [each["of"] for each in rig.said("meter.recovered")] == ["IT-A"]
    assert not rig.said("meter.disagreed")


def test_over_a_quarter_of_an_hour_power_and_counter_agree_within_a_scan(rig: RegisterRig) -> None:
    rig.run(920)
    rig.finish()
    found = [each for each in rig.corrections() if each.last_s == BEGIN_S + 899]
    assert {each.margin[0] for each in found} >= {"grid", "IT-A", "IT-F", "COOLING", "HOUSE"}
    for each in found:
        assert abs(each.difference_mj) < each.booked_mj // 1000, each.margin
    with Ledger("demo", rig.where) as ledger:
        rows = {row.seq: row for row in ledger.rows()}
        refers = [(rows[row.public["refers_to"]], row) for row in rows.values()
                  if row.kind is Kind.CORRECTION]  # fmt: skip
    for of, row in refers:
        assert of.kind is Kind.SECOND
        assert of.utc_s == row.content()["figures"]["last_s"], "the last that it corrects"


def test_services_that_start_again_go_on_with_the_open_windows(rig: RegisterRig) -> None:
    rig.run(400)
    rig.ledger.close()
    rig.run_scans(1000)  # 100 s that nobody reads yet
    rig.open()
    rig.run(420)
    rig.finish()
    windows = [each for each in rig.of("IT-B") if each.margin == ("IT-B", False)]
    assert (windows[0].first_s - BEGIN_S, windows[0].last_s - BEGIN_S) == (1, 899)
    assert abs(windows[0].difference_mj) < windows[0].booked_mj // 1000


def test_a_crash_after_a_correction_was_written_does_not_book_it_twice(rig: RegisterRig) -> None:
    rig.run(890)
    kept = rig.registers.path.read_bytes()
    rig.run(30)
    once = rig.registers.path.read_bytes()
    assert once != kept
    rig.ledger.close()
    rig.registers.path.write_bytes(kept)  # killed before it was kept
    rig.open()
    rig.run(20)
    rig.finish()
    quarter = [each["figures"] for each in rig.contents()
               if each["figures"]["last_s"] == BEGIN_S + 899]  # fmt: skip
    names = [each.get("sink") or each.get("source") for each in quarter]
    assert names.count("IT-A") == 2, "it is in the ledger twice"
    held = [each for each in rig.of("IT-A") if each.last_s == BEGIN_S + 899]
    assert len(held) == 1, "and is taken once"


def test_a_ledger_with_corrections_verifies_and_a_receipt_shows_a_tenant_his_own(
    rig: RegisterRig,
) -> None:
    rig.run(200)
    rig.finish()
    key = load_public(rig.where / "demo.key.pub")
    (result,) = verify(rig.where, key)
    assert result.good, result
    path = rig.where / "receipt.gz"
    with Ledger("demo", rig.where, read_only=True) as ledger:
        corrections = list(ledger.rows(Kind.CORRECTION))
        path.write_bytes(make_receipt(ledger, "aurora", BEGIN_S, BEGIN_S + 300))
    shown = stranger.verify_receipt(path, key)
    own = {"IT-A": 1, "IT-B": 1, "IT-C": 2}  # aurora's two, and the one of borealis
    for row in corrections:
        name = row.content()["figures"].get("sink")
        assert [bool(part) for part in row.parts].index(True) == own.get(name, 0), name
    assert len(corrections) > 8
    assert shown["seconds"] == 201
    assert {each["figures"]["sink"] for each in shown["corrections"]} == {"IT-A", "IT-B"}
    added = [each["figures"]["energy_mj"] - each["figures"]["booked_mj"]
             for each in shown["corrections"]]  # fmt: skip
    assert shown["change"]["energy_mj"] == sum(added) != 0


def test_while_the_ledger_takes_nothing_corrections_wait_and_nothing_is_kept(
    rig: RegisterRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.run(890)
    monkeypatch.setattr(rig.ledger, "correct", lambda _corrections: False)
    kept = rig.registers.path.read_bytes()
    rig.run(30)
    assert rig.registers.path.read_bytes() == kept
    monkeypatch.undo()
    rig.run(10)
    assert len([each for each in rig.read("IT-A") if each.last_s == BEGIN_S + 899]) == 1
    assert rig.registers.path.read_bytes() != kept
    rig.finish()


def test_a_note_of_where_the_counters_stood_that_cannot_be_read_is_said_and_left(
    rig: RegisterRig,
) -> None:
    rig.run(100)
    rig.ledger.close()
    said = json.loads(rig.registers.path.read_text())
    for broken in ("{", json.dumps(said | {"books": [{}]}), json.dumps({"version": 1})):
        rig.registers.path.write_text(broken)
        rig.open()
        rig.run(10)
        rig.ledger.close()
    assert len(rig.said("meter.state_failed")) == 1, "the others are of no run of ours"
    rig.open()
    rig.run(20)
    rig.finish()
    assert rig.of("IT-A")


def test_seconds_that_the_journal_lost_are_not_confirmed(rig: RegisterRig) -> None:
    rig.run(300)
    rig.run_scans(8_300)  # more than the journal holds, with no services
    rig.run(100)
    rig.finish()
    with Ledger("demo", rig.where) as ledger:
        assert len(ledger.gaps()) == 1
    windows = rig.of("IT-A")
    assert [each.first_s - BEGIN_S > 300 for each in windows] == [True] * len(windows)
    assert windows
    for each in windows:
        assert abs(each.difference_mj) <= each.booked_mj // 100


def test_a_roll_over_is_an_advance(rig: RegisterRig) -> None:
    index, _ = rig.signal("GRID-01.energy_import")
    rig.plant.plant.force(index, ROLL_OVER_J - 30e9)  # in about eight minutes at 60 MW
    rig.run(30)
    rig.log.events.clear()
    rig.run(890)
    rig.finish()
    assert rig.signal("GRID-01.energy_import")[1] > ROLL_OVER_J
    (window,) = [each for each in rig.of("grid") if each.last_s == BEGIN_S + 899]
    assert window.first_s < BEGIN_S + 60
    assert abs(window.difference_mj) < window.booked_mj // 1000
    assert not rig.said("meter.register_broken")


@pytest.mark.parametrize(
    ("shown_j", "found"),
    [
        (0.0, "reset: what it counted before the reset is lost"),
        (7e14, "meter or transformer ratio changed"),
    ],
)
def test_a_counter_that_was_reset_or_changed_confirms_nothing_before_it(
    rig: RegisterRig, shown_j: float, found: str
) -> None:
    index, _ = rig.signal("MTR-02.energy_import")
    rig.plant.plant.force(index, 5e14)
    rig.run(300)
    rig.plant.plant.force(index, shown_j)
    rig.run(620)
    rig.finish()
    (broken,) = rig.said("meter.register_broken")[-1:]
    assert (broken["meter"], broken["found"]) == ("MTR-02.energy_import", found)
    after = [each for each in rig.of("IT-B") if each.last_s == BEGIN_S + 899]
    (window,) = after
    assert window.first_s > BEGIN_S + 299, "what came before stands as it was booked"
    assert abs(window.difference_mj) < window.booked_mj // 1000, "no huge energy, no negative one"


def test_a_meter_whose_power_is_not_what_it_counts_is_an_event_and_an_alarm(
    tmp_path: Path,
) -> None:
    rig = RegisterRig(tmp_path, 1, WiringFault("MTR-06", "x10", None))
    rig.run(920)
    assert rig.registers.devices == ("MTR-06",)
    rig.finish()
    said = [each for each in rig.said("meter.disagreed") if each["last_s"] == BEGIN_S + 899]
    assert [(each["meter"], each["of"]) for each in said] == [("MTR-06.energy_import", "IT-F")]
    assert said[0]["booked_mj"] == pytest.approx(10 * said[0]["register_mj"], rel=0.01)
    counted_mj = sum(each.energy_mj for each in rig.of("IT-F") if each.last_s < BEGIN_S + 900)
    (fixed,) = [each.as_corrected() for each in rig.intervals(900)[:1]]
    had_mj = sum(mj for (_, to), mj in fixed.energy_mj.items() if to == "IT-F")
    assert had_mj == pytest.approx(counted_mj, rel=0.02), "the counter is booked"


def test_a_counter_that_no_power_can_explain_confirms_nothing_and_is_said_once(
    tmp_path: Path,
) -> None:
    rig = RegisterRig(tmp_path, 1, WiringFault("AUX-02", "energy_x1000", None))
    rig.run(120)
    rig.finish()
    assert rig.of("HOUSE") == []
    assert [each["meter"] for each in rig.said("meter.register_broken")] == [
        "AUX-02.energy_import",
        "AUX-02.energy_import",
    ]
    assert rig.registers.devices == ("AUX-02",)


def test_a_meter_that_disagrees_with_its_counter_is_an_alarm_until_a_window_fits(
    tmp_path: Path,
) -> None:
    site = alarm_rig.alarm_directory()
    site["devices"] = [each | {"booked": each["id"] == "MTR-01"} for each in site["devices"]]
    rig = alarm_rig.Rig(tmp_path, alarm_rig.Plant(site=site))
    rig.settle()
    assert "MTR-02.REGISTER" not in rig.book.states, "its energy is not booked"
    rig.run(1, Health(disagreeing=("MTR-01",)))
    assert "MTR-01.REGISTER" in rig.asking()
    rig.run(1, Health())
    assert rig.state("MTR-01.REGISTER").base is State.RETURNED


def test_a_ratio_set_in_the_meter_alone_raises_the_alarm_of_the_running_services(
    tmp_path: Path,
) -> None:
    rig = RegisterRig(tmp_path, 1, WiringFault("MTR-06", "x10", None))
    alarms = AlarmFeed("demo", tmp_path, rig.log)
    alarms.attach(rig.reader)
    rig.run(880)
    alarms.pump(Health(disagreeing=rig.registers.devices))
    assert alarms.book is not None
    assert alarms.book.states["MTR-06.REGISTER"].base is State.NORMAL
    rig.run(40)
    alarms.pump(Health(disagreeing=rig.registers.devices))
    assert alarms.book.states["MTR-06.REGISTER"].base is State.UNACKNOWLEDGED
    assert alarms.book.states["MTR-01.REGISTER"].base is State.NORMAL
    raised = [each["alarm"] for each in rig.said("alarm.annunciated")]
    assert raised.count("MTR-06.REGISTER") == 1
    alarms.close()
