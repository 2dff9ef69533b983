"""A controller that was stopped for a while: the counters say what went through meanwhile."""

from pathlib import Path

import pytest
from register_rig import BEGIN_S, RegisterRig

from edgectl.ledger import Kind, Ledger
from edgectl.ledger.verify import verify

pytestmark = pytest.mark.untraced
MJ_PER_J = 1_000


@pytest.fixture
def rig(tmp_path: Path) -> RegisterRig:
    return RegisterRig(tmp_path)


def counted_mj(rig: RegisterRig, tag: str) -> int:
    return round(rig.signal(tag)[1] * MJ_PER_J)


def dark_of(rig: RegisterRig, name: str) -> list[dict[str, object]]:
    return [each["figures"] for each in rig.contents()
            if each["figures"].get("dark") and name in (each["figures"].get("sink"),
                                                        each["figures"].get("source"))]  # fmt: skip


def test_ten_dark_minutes_are_recovered_from_the_counters(rig: RegisterRig) -> None:
    rig.run(120)
    rig.finish()
    before_mj = counted_mj(rig, "MTR-01.energy_import")
    rig.dark(600)
    through_mj = counted_mj(rig, "MTR-01.energy_import") - before_mj
    rig.start()
    rig.run(120)
    rig.finish()
    (found,) = dark_of(rig, "IT-A")
    recovered_mj = found["energy_mj"] - found["booked_mj"]
    assert recovered_mj == pytest.approx(through_mj, abs=2 * found["u_residual_mj"])
    assert recovered_mj == pytest.approx(through_mj, rel=0.01)
    assert found["grade"] == "R"
    ((first_s, last_s, estimated, substituted),) = found["gaps"]
    assert (estimated, substituted) == (0, 0)
    assert last_s - first_s + 1 == pytest.approx(600, abs=2)
    with Ledger("demo", rig.where) as ledger:
        dark = [row for row in ledger.rows(Kind.GAP) if row.public["scans"] == 0]
        assert len(dark) == 1
    assert verify(rig.where)[0].good
    names = [each["of"] for each in rig.said("meter.recovered")]
    assert {"grid", "IT-A", "IT-F", "HOUSE"} <= set(names)
    assert [names.count(each) for each in ("grid", "IT-A", "BESS-01")] == [1, 1, 2]


def test_totals_with_the_dark_time_are_what_the_counter_advanced(rig: RegisterRig) -> None:
    rig.run(120)
    begin_mj = counted_mj(rig, "MTR-02.energy_import")
    rig.run(60)
    rig.finish()
    rig.dark(300)
    rig.start()
    rig.run(120)
    end_mj = counted_mj(rig, "MTR-02.energy_import")
    rig.finish()
    had_mj = 0
    for each in rig.intervals(60):
        if each.start_s >= BEGIN_S + 120:
            fixed = each.as_corrected()
            had_mj += sum(mj for (_, to), mj in fixed.energy_mj.items() if to == "IT-B")
    assert had_mj == pytest.approx(end_mj - begin_mj, rel=0.005)


def test_a_machine_that_lost_power_is_recovered_from_the_stand_of_the_hour(
    rig: RegisterRig,
) -> None:
    rig.run(200)
    before_mj = counted_mj(rig, "MTR-01.energy_import")
    rig.pump()
    rig.ledger.close()  # nothing was finished, and shared memory is gone
    rig.registers.path.unlink()
    rig.dark(600)
    through_mj = counted_mj(rig, "MTR-01.energy_import") - before_mj
    rig.start()
    rig.run(120)
    rig.finish()
    (found,) = dark_of(rig, "IT-A")
    recovered_mj = found["energy_mj"] - found["booked_mj"]
    assert recovered_mj == pytest.approx(through_mj, rel=0.01)


def test_a_counter_that_was_reset_in_the_dark_recovers_nothing_and_is_said(
    rig: RegisterRig,
) -> None:
    index, _ = rig.signal("MTR-02.energy_import")
    rig.plant.plant.force(index, 5e14)
    rig.run(120)
    rig.finish()
    rig.dark(300)
    rig.plant.plant.force(index, 0.0)
    rig.start()
    rig.log.events.clear()
    rig.run(120)
    rig.finish()
    assert dark_of(rig, "IT-B") == []
    assert len(dark_of(rig, "IT-A")) == 1
    (said,) = rig.said("meter.register_broken")
    assert said["meter"] == "MTR-02.energy_import"
    assert "reset" in said["found"]


def test_services_that_start_again_do_not_recover_twice(rig: RegisterRig) -> None:
    rig.run(120)
    rig.finish()
    rig.dark(300)
    rig.start()
    rig.run(60)
    for lost in (False, True):
        rig.ledger.close()
        if lost:
            rig.registers.path.unlink()
        rig.open()
        rig.run(60)
    rig.finish()
    assert len(dark_of(rig, "IT-A")) == 1
