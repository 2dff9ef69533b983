"""Commissioning names each fault by values alone, and finds none in a healthy plant."""

import pytest
from physics_rig import (
    NIGHT_UTC_NS,
    NOON_UTC_NS,
    SITE,
    PhysicsRig,
    assess_plant,
    assess_step_of,
    kinds,
)

from edgectl.commissioning.physics import Assessment, assess
from edgectl.commissioning.physics_findings import Certainty, Fault, Finding, Result
from edgectl.commissioning.physics_series import Observation
from edgectl.commissioning.physics_step import StepPlan

HOUR_NS = 3_600_000_000_000
METERS = ("GRID-01", "MTR-01", "MTR-02", "MTR-03", "MTR-04", "MTR-05", "MTR-06", "AUX-01", "AUX-02")
IMPORTED = ("GRID-01", "MTR-03", "MTR-05", "AUX-01", "AUX-02")


def only(assessment: Assessment) -> Finding:
    """The one finding there is."""
    assert len(assessment.findings) == 1, [each.what for each in assessment.findings]
    return assessment.findings[0]


def lines(finding: Finding) -> list[tuple[str, str]]:
    return [(change.at, change.line) for change in finding.changes]


def closed(assessment: Assessment) -> bool:
    """The sum is right once corrected."""
    return 0.0 < assessment.residual_w < 0.06 * assessment.flow_w


# ---- a healthy plant


@pytest.mark.parametrize(
    ("seed", "hours"), [(1, 0), (1, 5), (2, 11), (2, 17), (3, 22), (3, 2), (4, 8), (5, 14)]
)
def test_a_healthy_plant_has_no_finding_at_any_hour(seed: int, hours: int) -> None:
    day_ns = seed * 120 * 24 * HOUR_NS
    found = assess_plant(seed=seed, utc_ns=NOON_UTC_NS + day_ns + hours * HOUR_NS, arm=seed == 2)
    assert [each.what for each in found.findings] == []
    assert found.measured
    assert closed(found)


def test_a_training_job_and_a_cloud_are_no_fault() -> None:
    found = assess_plant(scans=450, arm=True, utc_ns=NOON_UTC_NS)
    assert [each.what for each in found.findings] == []


def test_a_pv_at_night_is_said_not_to_be_measured() -> None:
    found = assess_plant(utc_ns=NIGHT_UTC_NS)
    check = next(e for e in found.checks if (e.name, e.subject) == ("v-i-pf", "PV-01"))
    assert check.result is Result.UNKNOWN
    assert "too little flows" in check.measured


# ---- one fault, every meter


@pytest.mark.parametrize("meter", [*METERS, "PV-01", "PV-02"])
def test_reversed_transformers_are_named_with_the_sign_line(meter: str) -> None:
    found = assess_plant(f"{meter}=ct_reversed")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.SIGN, (meter,))
    assert finding.what == f"CT reversed on {meter}"
    sign = "import_positive" if meter.startswith("PV") else "export_positive"
    assert lines(finding) == [('[[point]] "active_power"', f'sign = "{sign}"')]
    assert f"with {meter} reversed it is" in " ".join(finding.evidence)
    assert closed(found)


@pytest.mark.parametrize("meter", METERS)
def test_a_power_ten_times_too_high_is_named_with_the_scale_line(meter: str) -> None:
    found = assess_plant(f"{meter}=x10")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.SCALE, (meter,))
    assert closed(found)
    if meter == "AUX-01":  # ten times its power is more than the register holds
        assert "s32 of 21.47 MW" in finding.what
        return
    assert finding.what.startswith("x10 scale: ")
    scale = {"GRID-01": "1", "AUX-02": "1/1000"}.get(meter, "1/10")
    assert lines(finding)[0] == ('[[point]] "active_power"', f'scale = "{scale}"')


@pytest.mark.parametrize("meter", [*METERS, "PV-01"])
def test_swapped_words_are_named_with_the_word_order_line(meter: str) -> None:
    found = assess_plant(f"{meter}=word_swap")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.WORD_ORDER, (meter,))
    assert lines(finding) == [("[modbus]", 'word_order = "low_first"')]
    assert closed(found), "the sum is made of the words the right way round"


@pytest.mark.parametrize("meter", IMPORTED)
def test_one_reversed_transformer_is_named_with_its_phase(meter: str) -> None:
    found = assess_plant(f"{meter}=one_ct_reversed")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.ONE_CT, (meter,))
    assert finding.what == f"one CT reversed: L1 of {meter}"
    assert finding.changes == (), "no line of a profile puts one phase right"
    assert closed(found)


@pytest.mark.parametrize("meter", IMPORTED)
def test_exchanged_voltages_are_named_with_their_phases(meter: str) -> None:
    found = assess_plant(f"{meter}=phases_exchanged")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.PHASES, (meter,))
    assert "voltages of L1 and L2" in finding.what
    assert closed(found)


@pytest.mark.parametrize("meter", ["GRID-01", "MTR-01", "AUX-02", "PV-01"])
def test_a_transformer_ratio_is_told_from_a_scale(meter: str) -> None:
    found = assess_plant(f"{meter}=ct_x10")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.CT_RATIO, (meter,))
    assert "V·I·PF agrees with its power" in " ".join(finding.evidence)
    assert finding.changes == (), "the ratio stands in the meter"
    assert closed(found)


@pytest.mark.parametrize("meter", ["GRID-01", "MTR-02", "AUX-01", "AUX-02", "PV-01"])
def test_an_energy_counter_in_another_unit_is_named(meter: str) -> None:
    finding = only(assess_plant(f"{meter}=energy_x1000", scans=100))
    assert (finding.kind, finding.devices) == (Fault.ENERGY_SCALE, (meter,))
    assert finding.what.endswith("is x1000")
    assert lines(finding)[0][1].startswith('scale = "')


# ---- two at once, and two exchanged


def test_two_faults_of_two_meters_are_both_named() -> None:
    found = assess_plant("MTR-03=ct_reversed", "AUX-02=x10")
    assert sorted(kinds(found)) == [("scale", ("AUX-02",)), ("sign", ("MTR-03",))]
    assert closed(found)


def test_a_meter_exchanged_with_the_grid_meter_is_named() -> None:
    found = assess_plant("GRID-01=exchanged:MTR-04")
    finding = only(found)
    assert (finding.kind, finding.devices) == (Fault.EXCHANGED, ("GRID-01", "MTR-04"))
    assert [line for _, line in lines(finding)] == [
        'power = "MTR-04.active_power"', 'power = "GRID-01.active_power"',
    ]  # fmt: skip
    assert closed(found)


def test_two_exchanged_load_meters_are_named_as_a_limit() -> None:
    found = assess_plant("MTR-01=exchanged:MTR-05")
    assert found.findings == ()
    assert any("exchanged among each other" in each for each in found.limits)


def test_a_fault_of_every_device_of_a_profile_is_the_profiles() -> None:
    both = only_kinds(assess_plant("AUX-01=word_swap", "AUX-02=word_swap"), Fault.WORD_ORDER)
    assert all("All 2 devices of meter/abb-b23 show it" in each.remedy for each in both)
    alone = only(assess_plant("AUX-02=word_swap"))
    assert "1 of 2 devices of meter/abb-b23" in alone.remedy


def only_kinds(assessment: Assessment, kind: Fault) -> list[Finding]:
    assert {each.kind for each in assessment.findings} == {kind}
    return list(assessment.findings)


# ---- what cannot be measured


def test_a_silent_meter_leaves_the_sum_open_and_accuses_nobody() -> None:
    seen = PhysicsRig().watch()
    points = {tag: series for tag, series in seen.points.items() if not tag.startswith("MTR-02.")}
    found = assess(SITE, Observation(seen.time_ns, points, seen.storages))
    assert found.findings == ()
    balance = next(each for each in found.checks if each.name == "balance")
    assert balance.result is Result.UNKNOWN
    assert "MTR-02" in balance.measured
    assert ("answers", "MTR-02") in {(each.name, each.subject) for each in found.checks}


def test_nothing_answered_is_nothing_measured() -> None:
    seen = PhysicsRig().watch(3)
    found = assess(SITE, Observation(seen.time_ns, {}, seen.storages))
    assert found.findings == ()
    assert not found.measured


# ---- a step of a battery


def test_a_healthy_battery_follows_its_step() -> None:
    found = assess_step_of()
    assert found.findings == ()
    check = next(each for each in found.checks if each.name == "step")
    assert check.result is Result.OK
    assert "effect after" in check.measured
    delay_ms = float(check.measured.rsplit("effect after ", 1)[1].split()[0])
    assert 100 <= delay_ms <= 400, "a lag of 150 ms, a scan and a write"
    pairing = next(each for each in found.checks if each.name == "pairing")
    assert pairing.result is Result.OK


def test_a_converter_measured_the_wrong_way_round_is_named() -> None:
    finding = only(assess_step_of("PCS-01=ct_reversed"))
    assert (finding.kind, finding.devices) == (Fault.SIGN, ("PCS-01",))
    assert lines(finding) == [('[[point]] "active_power"', 'sign = "import_positive"')]


def test_a_command_of_the_wrong_sign_is_named() -> None:
    finding = only(assess_step_of("PCS-01=command_reversed"))
    assert (finding.kind, finding.devices) == (Fault.COMMAND_SIGN, ("PCS-01",))
    assert lines(finding) == [('[[command]] "active_power_setpoint"', 'sign = "import_positive"')]


def test_a_scale_of_the_converter_is_named() -> None:
    found = assess_step_of("PCS-01=x10")
    assert {(each.kind, each.devices) for each in found.findings} == {(Fault.SCALE, ("PCS-01",))}
    assert all(('[[point]] "active_power"', 'scale = "1/10"') in lines(e) for e in found.findings)


def test_converters_or_batteries_exchanged_is_said_to_be_either() -> None:
    finding = only(assess_step_of("PCS-01=exchanged:PCS-02"))
    assert finding.kind is Fault.EXCHANGED
    assert finding.certainty is Certainty.AMBIGUOUS
    assert finding.alternatives == ("PCS-01 and PCS-02 exchanged", "BMS-01 and BMS-02 exchanged")
    assert "read one nameplate" in finding.remedy


def test_a_step_that_was_not_permitted_is_not_measured() -> None:
    rig = PhysicsRig(scenario="steady")  # nobody armed it
    plan = StepPlan("BESS-01", 2e6)
    found = assess(SITE, rig.watch(40), [(plan, rig.step(plan))])
    check = next(each for each in found.checks if each.name == "step")
    assert found.findings == ()
    assert check.result is Result.UNKNOWN
    assert "not armed" in check.measured
    assert not found.measured
