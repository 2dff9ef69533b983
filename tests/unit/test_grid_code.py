"""Grid codes as data, and the audit: each verdict for what it is, each citation honest."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from edgectl.grid_code.audit import (
    Finding,
    Requirement,
    Verdict,
    audit,
    effective,
    exit_status,
    faster_than,
)
from edgectl.grid_code.code import GridCodeError, Rules, code_names, load_rules
from edgectl.grid_code.settings import Point, Settings, TripModel, Value

CODE = "ieee-1547-2018"
RULES = {category: load_rules(CODE, category) for category in ("I", "II", "III")}
MODELS = {
    "under_voltage": 707, "over_voltage": 708, "under_frequency": 709, "over_frequency": 710,
}  # fmt: skip


def point(threshold: float, time_s: float, step: float = 1e-4) -> Point:
    return Point(Value(threshold, step), Value(time_s, 0.001))


def at_defaults(rules: Rules) -> Settings:
    """A device that is set as the code says, with nothing else in it."""
    trips = {
        quantity: TripModel(
            model,
            True,
            {"must_trip": tuple(point(r.threshold, r.time_s) for r in rules.stages(quantity))},
        )
        for quantity, model in MODELS.items()
    }
    values = {
        each.setting: Value(each.value, 1e-4)
        for each in rules.values
        if not each.setting.startswith("DROOP")
    }
    return Settings("Maker Model", rules.category, trips, values, {}, ())


def with_curve(settings: Settings, quantity: str, kind: str, *points: Point) -> Settings:
    trip = settings.trips[quantity]
    changed = replace(trip, curves=trip.curves | {kind: points})
    return replace(settings, trips=settings.trips | {quantity: changed})


def found(
    settings: Settings, rules: Rules = RULES["III"], *required: Requirement
) -> dict[str, Finding]:
    return {each.setting: each for each in audit(rules, required, settings)}


def test_the_code_ships_and_every_figure_names_a_table_or_clause() -> None:
    assert CODE in code_names()
    for rules in RULES.values():
        figures = [*rules.trips, *rules.values, *rules.regions]
        assert len(rules.trips) == 8
        assert all(each.origin.clause for each in figures)
        known = {name for name, _ in rules.sources}
        assert all(set(each.origin.sources) <= known for each in figures)


def test_a_figure_is_called_verified_only_where_two_public_sources_have_it() -> None:
    for rules in RULES.values():
        for each in [*rules.trips, *rules.values, *rules.regions]:
            seen = set(each.origin.sources) - {"memory"}
            assert each.origin.verified == (len(seen) >= 2), each


@pytest.mark.parametrize("category", RULES)
def test_a_device_at_the_defaults_is_ok_in_every_row(category: str) -> None:
    rules = RULES[category]
    findings = audit(rules, (), at_defaults(rules))
    assert {each.verdict for each in findings} == {Verdict.OK}
    assert len(findings) == 1 + 8 + 6
    assert exit_status(findings) == 0


UV1_EDGES = [
    (0.88, 21.0, Verdict.OK),
    (0.80, 21.0, Verdict.NOT_DEFAULT),
    (0.88, 50.0, Verdict.NOT_DEFAULT),
    (0.88, 50.001, Verdict.OUTSIDE),
    (0.88, 20.999, Verdict.OUTSIDE),
    (0.8801, 21.0, Verdict.OUTSIDE),
]


@pytest.mark.parametrize(("threshold", "time_s", "verdict"), UV1_EDGES)
def test_a_stage_is_judged_by_both_ends_of_both_ranges(
    threshold: float, time_s: float, verdict: Verdict
) -> None:
    settings = with_curve(
        at_defaults(RULES["III"]), "under_voltage", "must_trip",
        Point(Value(threshold, 1e-5), Value(time_s, 1e-4)), point(0.5, 2.0),
    )  # fmt: skip
    assert found(settings)["UV1"].verdict == verdict
    assert exit_status(tuple(found(settings).values())) == (verdict == Verdict.OUTSIDE)


def test_the_default_as_near_as_a_coarse_register_comes_is_ok() -> None:
    settings = at_defaults(RULES["III"])
    values = settings.values | {"ES_V_LOW": Value(0.92, 0.01)}
    assert found(replace(settings, values=values))["ES_V_LOW"].verdict == Verdict.OK
    values = settings.values | {"ES_V_LOW": Value(0.92, 0.001)}
    assert found(replace(settings, values=values))["ES_V_LOW"].verdict == Verdict.NOT_DEFAULT


def test_what_the_grid_operator_prescribes_goes_before_the_default() -> None:
    asked = Requirement("OV1", None, 5.0)
    default = found(at_defaults(RULES["III"]), RULES["III"], asked)["OV1"]
    assert (default.verdict, default.required_s) == (Verdict.NOT_REQUIRED, 5.0)
    assert default.prescribed
    settings = with_curve(
        at_defaults(RULES["III"]), "over_voltage", "must_trip", point(1.1, 5.0), point(1.2, 0.16)
    )
    assert found(settings, RULES["III"], asked)["OV1"].verdict == Verdict.OK
    assert found(settings)["OV1"].verdict == Verdict.NOT_DEFAULT


def test_a_disabled_trip_function_is_outside_whatever_its_curve_says() -> None:
    settings = at_defaults(RULES["III"])
    trips = settings.trips | {
        "over_frequency": replace(settings.trips["over_frequency"], enabled=False)
    }
    findings = found(replace(settings, trips=trips))
    assert findings["OF1"].verdict == findings["OF2"].verdict == Verdict.OUTSIDE
    assert "never trips" in findings["OF1"].reason
    fast = [each.setting for each in faster_than(tuple(findings.values()), 0.2)]
    assert fast == ["OV2", "UF2"], "what never trips is nobody's fast trip"


def test_a_device_of_a_lower_category_is_outside_and_of_a_higher_one_is_not() -> None:
    settings = replace(at_defaults(RULES["II"]), category="I")
    assert found(settings, RULES["II"])["CATEGORY"].verdict == Verdict.OUTSIDE
    settings = replace(settings, category="III")
    assert found(settings, RULES["II"])["CATEGORY"].verdict == Verdict.OK
    settings = replace(settings, category=None)
    assert found(settings, RULES["II"])["CATEGORY"].verdict == Verdict.UNREAD


def test_what_is_missing_cannot_be_read_and_says_why() -> None:
    settings = at_defaults(RULES["III"])
    trips = {name: own for name, own in settings.trips.items() if name != "under_voltage"}
    lacking = replace(settings, trips=trips, missing={"under_voltage": "no model 707"})
    findings = audit(RULES["III"], (), lacking)
    unread = {each.setting: each.reason for each in findings if each.verdict == Verdict.UNREAD}
    assert unread == {"UV1": "no model 707", "UV2": "no model 707"}
    assert exit_status(findings) == 2


def test_something_outside_counts_more_than_something_unread() -> None:
    settings = replace(at_defaults(RULES["III"]), category=None)
    settings = with_curve(settings, "over_voltage", "must_trip", point(1.3, 13), point(1.2, 0.16))
    assert exit_status(audit(RULES["III"], (), settings)) == 1


def test_stages_other_in_number_than_the_codes_are_not_guessed_at() -> None:
    settings = with_curve(
        at_defaults(RULES["III"]), "under_voltage", "must_trip", point(0.88, 21.0)
    )
    finding = found(settings)["UV2"]
    assert finding.verdict == Verdict.UNREAD
    assert "device: 1, in the code: 2" in finding.reason


def test_corners_of_a_curve_held_as_stairs_decide_nothing() -> None:
    stairs = (point(0.88, 21), point(0.5, 21), point(0.5, 2), point(0.0, 2))
    kept = effective(stairs, "under_voltage", 2)
    assert [(e.threshold.value, e.time_s.value) for e in kept] == [(0.88, 21), (0.5, 2)]
    over = (point(1.1, 13), point(1.2, 13), point(1.2, 0.16), point(1.4, 0.16))
    kept = effective(over, "over_voltage", 2)
    assert [(e.threshold.value, e.time_s.value) for e in kept] == [(1.1, 13), (1.2, 0.16)]


MAY_TRIP = [
    ("III", "under_voltage", 0.88, 20.0, True),
    ("III", "under_voltage", 0.88, 19.9, False),
    ("III", "under_voltage", 0.70, 10.0, True),
    ("III", "under_voltage", 0.50, 0.5, False),
    ("III", "under_voltage", 0.90, 1e6, False),  # continuous operation: no time is long enough
    ("III", "over_voltage", 1.10, 12.0, True),
    ("III", "over_voltage", 1.20, 0.0, True),
    ("II", "under_voltage", 0.88, 5.0, False),  # 3 s and 8.7 s/pu over 0.65 pu: 5.001 s
    ("II", "under_voltage", 0.88, 5.1, True),
    ("I", "over_frequency", 61.2, 299.0, True),
    ("I", "over_frequency", 61.2, 298.0, False),
]


@pytest.mark.parametrize(("category", "quantity", "threshold", "time_s", "sound"), MAY_TRIP)
def test_a_device_may_not_trip_before_it_has_ridden_through(
    category: str, quantity: str, threshold: float, time_s: float, sound: bool
) -> None:
    rules = RULES[category]
    settings = with_curve(at_defaults(rules), quantity, "may_trip", point(threshold, time_s))
    (finding,) = (each for name, each in found(settings, rules).items() if "MAY" in name)
    assert (finding.verdict == Verdict.OK) == sound
    assert bool(finding.reason) != sound


CEASES = [
    ("III", "under_voltage", 0.50, True),
    ("III", "under_voltage", 0.51, False),
    ("II", "under_voltage", 0.65, True),
    ("II", "under_voltage", 0.70, False),
    ("III", "over_voltage", 1.10, True),
    ("III", "over_voltage", 1.09, False),
]


@pytest.mark.parametrize(("category", "quantity", "threshold", "sound"), CEASES)
def test_a_device_may_not_cease_where_it_shall_keep_feeding(
    category: str, quantity: str, threshold: float, sound: bool
) -> None:
    rules = RULES[category]
    settings = with_curve(at_defaults(rules), quantity, "cease", point(threshold, 0.083))
    (finding,) = (each for name, each in found(settings, rules).items() if "MC" in name)
    assert (finding.verdict == Verdict.OK) == sound


def test_trips_faster_than_two_scans_are_named_as_the_devices_own() -> None:
    findings = audit(RULES["II"], (), at_defaults(RULES["II"]))
    assert [each.setting for each in faster_than(findings, 0.2)] == ["UV2", "OV2", "UF2", "OF2"]
    assert [each.setting for each in faster_than(findings, 0.1)] == []


def test_ride_through_holds_between_thresholds_and_nowhere_else() -> None:
    rules = RULES["III"]
    assert math.isinf(rules.stay_s("over_voltage", 1.05))
    assert rules.stay_s("under_frequency", 56.5) == 0.0
    assert rules.cease_edge("under_frequency") == 57.0


BROKEN = [
    ('categories        = ["I", "II", "III"]', 'categories        = ["IV"]', "IV is none of"),
    ('sources           = ["opender", "ul1741sb"]', 'sources = ["hearsay"]', "hearsay is none"),
    ("threshold         = 1.20", "threshold         = 1.30", "outside its range"),
    ("time_allowed_s    = [0.16, 0.16]", "time_allowed_s    = [0.16]", "time_allowed_s"),
    ('setting           = "OV1"', 'setting           = "OV2"', "stands here twice"),
    ("low        = 0.70", "low        = 0.90", "not under high"),
    ("nominal_hz = 60.0", "nominal = 60.0", "nominal"),
]


@pytest.mark.parametrize(("old", "new", "says"), BROKEN)
def test_an_unsound_grid_code_is_refused_with_its_line(
    root: Path, tmp_path: Path, old: str, new: str, says: str
) -> None:
    text = (root / "edgectl" / "grid_code" / f"{CODE}.toml").read_text()
    assert old in text
    (tmp_path / "own.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(GridCodeError, match=r"own\.toml:\d+") as refused:
        load_rules("own.toml", "III", tmp_path)
    assert says in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_grid_code_of_ones_own_lies_beside_the_site(root: Path, tmp_path: Path) -> None:
    text = (root / "edgectl" / "grid_code" / f"{CODE}.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace('"ieee-1547-2018"', '"utility-7"', 1))
    assert load_rules("own.toml", "II", tmp_path).id == "utility-7"


def test_an_unknown_code_or_category_names_those_there_are() -> None:
    with pytest.raises(GridCodeError, match="ieee-1547-2018"):
        load_rules("ieee-1547-2081", "III")
    with pytest.raises(GridCodeError, match="I, II, III"):
        load_rules(CODE, "IV")
