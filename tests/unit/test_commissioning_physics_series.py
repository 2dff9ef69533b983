"""The same checks on series made by hand: faults the simulated plant has no wire for."""

import numpy as np
import pytest
from physics_rig import NIGHT_UTC_NS, SITE, PhysicsRig, altered, without

from edgectl.commissioning.physics import Assessment, assess
from edgectl.commissioning.physics_findings import (
    Certainty,
    Fault,
    Finding,
    Result,
    scale_change,
    watts,
)
from edgectl.commissioning.physics_series import Observation, numbers, swapped
from edgectl.commissioning.physics_step import effect_ms, later

BATTERY_W = 6e6


@pytest.fixture(scope="module")
def healthy() -> Observation:
    return PhysicsRig().watch(60)


@pytest.fixture(scope="module")
def charging() -> Observation:
    """A battery that charges steadily, moved by hand: no controller to stop it."""
    rig = PhysicsRig(scenario="steady")
    images = []
    for _ in range(80):
        rig.plant.plant.write_storage_w(0, BATTERY_W)
        images += rig.scans(1)
    return rig.recorder.observation(images[20:])


def only(assessment: Assessment) -> Finding:
    assert len(assessment.findings) == 1, [each.what for each in assessment.findings]
    return assessment.findings[0]


def check(assessment: Assessment, name: str, subject: str) -> tuple[Result, str]:
    found = next(e for e in assessment.checks if (e.name, e.subject) == (name, subject))
    return found.result, found.measured


# ---- scale


@pytest.mark.parametrize("factor", [1e-3, 0.01, 0.1, 10.0, 100.0, 1000.0])
def test_every_power_of_ten_is_named_by_its_scale_line(healthy: Observation, factor: float) -> None:
    seen = altered(healthy, "MTR-04.active_power", lambda watt: watt * factor)
    finding = only(assess(SITE, seen))
    assert (finding.kind, finding.devices) == (Fault.SCALE, ("MTR-04",))
    device, point = SITE.device("MTR-04"), SITE.point("MTR-04.active_power")
    assert finding.changes[0] == scale_change(device, point, factor)


def test_without_current_the_balance_names_the_scale(healthy: Observation) -> None:
    blind = without(healthy, *(f"MTR-04.current_l{n}" for n in (1, 2, 3)))
    finding = only(assess(SITE, altered(blind, "MTR-04.active_power", lambda watt: watt * 10)))
    assert (finding.kind, finding.devices) == (Fault.SCALE, ("MTR-04",))
    assert finding.certainty is Certainty.LIKELY
    assert "with MTR-04 times 1/10" in finding.evidence[0]


def test_two_faults_that_fit_equally_are_not_decided(healthy: Observation) -> None:
    """A steady megawatt too much is one of two steady meters: values alone cannot say which."""
    seen = healthy
    for name in ("AUX-01", "AUX-02"):
        seen = without(seen, *(f"{name}.current_l{n}" for n in (1, 2, 3)))
        seen = altered(seen, f"{name}.active_power", lambda watt: np.full_like(watt, 2.5e6))
    grid = seen.points["GRID-01.active_power"].decoded()
    loads = [seen.points[each.power].decoded() for each in SITE.loads]
    pvs = [seen.points[each.power].decoded() for each in SITE.pvs]
    lost_w = np.sum(loads, axis=0) + np.sum(pvs, axis=0) - grid + 2.5e6 - 0.25e6
    seen = altered(seen, "GRID-01.active_power", lambda watt: watt + lost_w - 4.4e6)
    found = assess(SITE, seen)
    finding = next(each for each in found.findings if each.kind is Fault.UNEXPLAINED)
    assert finding.certainty is Certainty.AMBIGUOUS
    assert {"AUX-01", "AUX-02"} <= set(finding.devices)
    assert "Cannot tell" in finding.remedy
    assert len(finding.alternatives) >= 2


def test_an_unmetered_branch_is_said_not_to_be_explained() -> None:
    night = PhysicsRig(utc_ns=NIGHT_UTC_NS).watch(40)
    seen = altered(night, "GRID-01.active_power", lambda watt: watt + 17e6)
    seen = without(seen, *(f"GRID-01.current_l{n}" for n in (1, 2, 3)), "GRID-01.energy_import")
    finding = only(assess(SITE, seen))
    assert finding.kind is Fault.UNEXPLAINED
    assert "more than the sum of the meters" in finding.what


# ---- frequency, voltage, state of charge


def test_a_frequency_of_five_hundred_is_a_scale(healthy: Observation) -> None:
    finding = only(assess(SITE, altered(healthy, "AUX-01.frequency", lambda hz: hz * 10)))
    assert (finding.kind, finding.devices) == (Fault.SCALE, ("AUX-01",))
    assert [each.line for each in finding.changes] == ['scale = "1/1000"']


def test_line_voltages_in_phase_registers_are_named(healthy: Observation) -> None:
    seen = healthy
    for n in (1, 2, 3):
        seen = altered(seen, f"MTR-01.voltage_l{n}", lambda volt: volt * 3.0**0.5)
    named = [each.what for each in assess(SITE, seen).findings]
    assert any("voltage of MTR-01" in each and "not 1.732" in each for each in named)


def test_a_state_of_charge_of_sixty_is_a_scale(healthy: Observation) -> None:
    seen = altered(healthy, "BMS-01.soc", lambda ratio: ratio * 100)
    finding = only(assess(SITE, seen))
    assert (finding.kind, finding.devices) == (Fault.SCALE, ("BMS-01",))
    assert [each.line for each in finding.changes] == ['scale = "1/100"']


def test_a_state_of_charge_that_goes_the_wrong_way_is_named(charging: Observation) -> None:
    count = len(charging.time_ns)
    falling = altered(charging, "BMS-01.soc", lambda _: np.linspace(0.8, 0.4, count))
    hours_ns = charging.time_ns[0] + (charging.time_ns - charging.time_ns[0]) * 3600
    slow = {
        tag: type(s)(s.point, s.value, s.raw, s.quality, s.reason, hours_ns)
        for tag, s in falling.points.items()
    }
    found = assess(SITE, Observation(hours_ns, slow, charging.storages))
    finding = next(each for each in found.findings if "state of charge" in each.what)
    assert finding.certainty is Certainty.AMBIGUOUS
    result, measured = check(assess(SITE, charging), "soc", "BESS-01")
    assert result is Result.UNKNOWN
    assert "observe" in measured


# ---- a battery that works, energy


def test_a_reversed_converter_is_found_by_the_balance_while_it_works(charging: Observation) -> None:
    assert assess(SITE, charging).findings == ()
    turned = altered_sf(charging, "PCS-01.active_power", -1.0)
    finding = only(assess(SITE, turned))
    assert (finding.kind, finding.devices) == (Fault.SIGN, ("PCS-01",))
    uncounted = without(turned, "PCS-01.energy_import", "PCS-01.energy_export")
    finding = only(assess(SITE, uncounted))
    assert finding.certainty is Certainty.AMBIGUOUS, "a PV's ratio would do as well"
    assert "CT reversed on PCS-01" in finding.alternatives


def altered_sf(seen: Observation, tag: str, factor: float) -> Observation:
    """A point with a scale factor, whose words say nothing by themselves."""
    changed = altered(seen, tag, lambda value: value)
    series = changed.points[tag]
    object.__setattr__(series, "value", series.value * factor)
    return changed


def test_a_counter_that_runs_against_its_power_makes_the_sign_the_profiles(
    healthy: Observation,
) -> None:
    seen = altered(healthy, "MTR-02.active_power", lambda watt: -watt)
    for phase in (1, 2, 3):
        seen = altered(seen, f"MTR-02.active_power_l{phase}", lambda watt: -watt)
    finding = only(assess(SITE, seen))
    assert (finding.kind, finding.devices) == (Fault.SIGN, ("MTR-02",))
    assert finding.what == "sign: power of MTR-02 has the wrong sign in its profile"
    assert finding.changes[0].line == 'sign = "export_positive"'


def test_too_little_energy_says_how_long_to_watch(healthy: Observation) -> None:
    coarse_j = 3.6e9
    seen = altered(
        healthy, "AUX-01.energy_import", lambda joule: np.floor(joule / coarse_j) * coarse_j
    )
    result, measured = check(assess(SITE, seen), "energy", "AUX-01")
    assert result in (Result.UNKNOWN, Result.FINDING)
    short = PhysicsRig(utc_ns=NIGHT_UTC_NS).watch(12)
    result, measured = check(assess(SITE, short), "energy", "AUX-02")
    assert result is Result.UNKNOWN
    assert "observe" in measured
    assert "s more" in measured


def test_a_counter_that_stands_under_load_is_named(healthy: Observation) -> None:
    seen = altered(healthy, "AUX-01.energy_import", lambda joule: np.full_like(joule, 3.6e9))
    finding = only(assess(SITE, seen))
    assert finding.kind is Fault.ENERGY_SCALE
    assert "energy counter stands" in finding.what


# ---- the parts


def test_words_turned_round_twice_are_the_same() -> None:
    raw = np.array([0x0001000200030004, 0xFFFF000000000000], np.uint64)
    assert swapped(raw, 4)[0] == 0x0004000300020001
    assert (swapped(swapped(raw, 4), 4) == raw).all()
    assert swapped(np.array([0x45F8FB33], np.uint64), 2)[0] == 0xFB3345F8


@pytest.mark.parametrize(
    ("type_name", "raw", "number"),
    [("s16", 0xFFFF, -1.0), ("u16", 0xFFFF, 65535.0), ("s32", 0xFFFF_FFFE, -2.0),
     ("f32", 0x3F80_0000, 1.0), ("u64", 5, 5.0), ("s64", 2**64 - 3, -3.0),
     ("f64", 0x3FF0_0000_0000_0000, 1.0), ("bit", 1, 1.0)],
)  # fmt: skip
def test_bits_mean_what_their_type_says(type_name: str, raw: int, number: float) -> None:
    assert numbers(np.array([raw], np.uint64), type_name)[0] == number


def test_the_effect_is_timed_from_half_the_step_to_half_the_answer() -> None:
    time_ns = np.arange(0, 6_000_000_000, 100_000_000, dtype=np.int64)
    output = np.where(time_ns >= 3_000_000_000, 2e6, 0.0)
    assert effect_ms(time_ns, output, time_ns, later(output, 4)) == pytest.approx(400.0)
    assert np.isnan(effect_ms(time_ns, np.zeros_like(output), time_ns, output))


def test_figures_read_as_a_person_writes_them() -> None:
    assert watts(12_340_000.0) == "12.34 MW"
    assert watts(-999.96) == "-1 kW"
    assert watts(float("nan")) == "nothing"
