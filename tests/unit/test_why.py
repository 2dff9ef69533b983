"""Every reason a battery does not do what it is asked is found, named, and said in numbers."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from trip_rig import ROWS, TABLES, TripRig

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.quality import Quality, Reason
from edgectl.cli.why import NoSuchAssetError, explain, index_of, utc_ns_of
from edgectl.explain import Answer, Scene, why_flexible, why_pv, why_row, why_storage
from edgectl.explain.answer import DECIDES
from edgectl.explain.causes import tripping
from edgectl.explain.scene import scene_of
from edgectl.explain.words import power, quantity, seconds
from edgectl.image import post
from edgectl.image.points import PointDecoder, PointValue

pytestmark = pytest.mark.untraced  # minutes of simulated scans

OPERATOR = int(RequestSource.SOURCE_OPERATOR)


@pytest.fixture(scope="module")
def calm() -> Scene:
    """An armed site whose first battery charges as an operator asked, seen by the scan."""
    rig = TripRig()
    rig.want(0, 2e6)
    rig.scans(40)
    return scene(rig)


def scene(rig: TripRig) -> Scene:
    """The rig's newest scan."""
    image = rig.reader.snapshot()
    decoder = PointDecoder(TABLES.directory)
    decoder.learn(image["samples"])
    records = rig.reader.journal(rig.reader.oldest_seq, limit=rig.slots).records
    return scene_of(TABLES.directory, records, decoder, "now", image["links"])


def altered(
    seen: Scene,
    head: Mapping[str, Any] | None = None,
    storage: Mapping[str, Any] | None = None,
    values: Mapping[str, float | None] | None = None,
    directory: Mapping[str, Any] | None = None,
    links: Any = None,
) -> Scene:
    """The same scan with some figures as given; a value of None is one that cannot be read."""
    records = seen.records.copy()
    for name, value in (head or {}).items():
        records["head"][name][-1] = value
    for name, value in (storage or {}).items():
        records["storages"][name][-1, 0] = value
    points = dict(seen.values)
    for tag, value in (values or {}).items():
        points[tag] = replace(
            points[tag],
            value=points[tag].value if value is None else value,
            quality=Quality.QUALITY_BAD if value is None else Quality.QUALITY_GOOD,
            reason=Reason.REASON_STALE if value is None else Reason.REASON_NONE,
        )
    return replace(
        seen,
        records=records,
        values=points,
        directory=dict(seen.directory) | dict(directory or {}),
        links=seen.links if links is None else links,
    )


def with_row(seen: Scene, row: str, effects: list[dict[str, Any]], **storage: Any) -> Scene:
    """The same scan with a row that stands and has these effects."""
    rows = [dict(each) for each in seen.directory["interlocks"]]
    rows[ROWS[row]]["effects"] = effects
    records = seen.records.copy()
    records["interlocks"][-1, ROWS[row]] = int(InterlockStatus.INTERLOCK_TRIPPED)
    changed = altered(
        replace(seen, records=records), storage=storage, directory={"interlocks": rows}
    )
    decoder = PointDecoder(changed.directory)
    return scene_of(changed.directory, changed.records, decoder, "now", seen.links)


def effect(action: str, value: float = 0.0) -> dict[str, Any]:
    return {"action": action, "asset": "BESS-01", "value": value}


# ---- what a rig can bring about by itself


def test_a_battery_that_does_as_asked_is_said_to(calm: Scene) -> None:
    answer = why_storage(calm, 0)
    assert answer.codes == []
    assert answer.headline.startswith("BESS-01 is charging at ")
    assert answer.headline.endswith("charging at 2 MW is asked of it. It does as it is asked")
    assert [step.name for step in answer.steps] == [
        "wanted", "arbiter", "interlocks", "limits", "site limits", "ramp", "output", "read-back",
        "effect",
    ]  # fmt: skip


def test_a_tripped_row_is_named_with_its_causes_and_who_resets_it() -> None:
    rig = TripRig()
    rig.want(0, 2e6)
    rig.scans(30)
    rig.inject("IL-BESS-01-T-TRIP", 340.0, scans=14)
    answer = why_storage(scene(rig), 0)
    assert answer.codes[0] == "interlock"
    assert "IL-BESS-01-T-TRIP" in answer.headline
    (row,) = answer.rows
    assert row.title == "Cells hot"
    assert "trips above 55.0 °C, comes back at 45.0 °C" in row.causes[0].text
    assert answer.since[row.id].startswith("since scan ")
    assert row.reset.startswith("first its cause must go, then an operator may reset it")
    rig.scans(20)
    (row,) = why_storage(scene(rig), 0).rows
    assert row.reset.startswith("its cause is gone, then an operator may reset it")


def test_since_when_is_the_scan_of_the_trip() -> None:
    rig = TripRig()
    rig.inject("IL-ESTOP", 0.0)
    tripped_scan = int(rig.row("IL-ESTOP")["tripped_scan"])
    rig.scans(50)
    assert f"since scan {tripped_scan}, " in why_row(scene(rig), 0).since["IL-ESTOP"]


def test_disarmed_is_the_first_thing_that_is_said() -> None:
    rig = TripRig()
    rig.want(0, 2e6)
    rig.post(MailKind.MAIL_DISARM, 0, 0.0, int(Reset.RESET_OPERATOR))
    rig.scans(3)
    answer = why_storage(scene(rig), 0)
    assert "not_armed" in answer.codes
    assert "is not armed" in answer.headline


def test_a_request_that_ran_out_is_told_from_one_that_never_came() -> None:
    rig = TripRig()
    assert "request_lapsed" not in why_storage(scene(rig), 0).codes
    mail = (int(MailKind.MAIL_STORAGE_W), 0, -1e6, OPERATOR)
    post(rig.segment.head, rig.segment.mailbox, *mail, rig.now_ns + 500_000_000)
    rig.scans(3)
    assert "request_lapsed" not in why_storage(scene(rig), 0).codes
    rig.scans(10)
    assert "request_lapsed" in why_storage(scene(rig), 0).codes


def test_a_request_beyond_twice_the_rating_is_rejected_in_numbers() -> None:
    rig = TripRig()
    rig.want(0, 50e6)
    rig.scans(2)
    answer = why_storage(scene(rig), 0)
    assert "request_rejected" in answer.codes
    assert "50 MW, is beyond twice the rating (20 MW)" in answer.headline
    assert "who sent the request that does not count is not in the record" in answer.missing


def test_a_request_beyond_the_rating_is_cut_to_it() -> None:
    rig = TripRig()
    rig.want(0, -15e6)
    rig.scans(60)
    answer = why_storage(scene(rig), 0)
    assert answer.codes == ["rating"]
    assert "discharging at 15 MW is asked; its rating is 10 MW" in answer.headline


def test_a_lowered_import_cap_is_said_to_have_been_lowered() -> None:
    rig = TripRig()
    rig.want(0, 5e6)
    rig.scans(5)
    grid_w = float(rig.record["head"]["grid_w"])
    rig.post(MailKind.MAIL_IMPORT_CAP_W, 0, grid_w - 1e6, OPERATOR)
    rig.scans(3)
    answer = why_storage(scene(rig), 0)
    assert "import_cap" in answer.codes
    text = next(each.text for step in answer.steps for each in step.findings
                if each.code == "import_cap")  # fmt: skip
    assert "the contract's is 74 MW, a request, or a limit row (IL-DEMAND-ROOM) lowered it" in text


def test_a_limit_of_the_device_is_named_down_to_nothing() -> None:
    rig = TripRig()
    rig.want(0, 5e6)
    rig.scans(30)
    for limit_w, said in ((1e6, "no more than 1 MW charge"), (0.0, "no more than 0 W charge")):
        rig.inject("IL-BESS-01-CCL", limit_w, scans=4)
        answer = why_storage(scene(rig), 0)
        assert answer.codes[0] == "limit_row"
        assert said in answer.headline
        assert [row.id for row in answer.rows] == ["IL-BESS-01-CCL"]
        rig.scans(30)


def test_a_setpoint_that_nothing_explains_is_said_to_be_so(calm: Scene) -> None:
    seen = altered(calm, storage=CHARGING | {"request_w": 2e6, "setpoint_w": 2e6, "wanted_w": 5e6})
    odd = altered(seen, storage={"source": OPERATOR, "request_w": 5e6, "effect": 12})
    assert "unexplained" in why_storage(odd, 0).codes


def test_a_battery_on_its_way_is_ramping() -> None:
    rig = TripRig()
    rig.want(0, -9e6)
    rig.scans(3)
    answer = why_storage(scene(rig), 0)
    assert answer.codes == ["ramp"]
    assert "10 MW/s" in answer.headline


def test_a_change_within_the_deadband_waits_for_the_refresh() -> None:
    rig = TripRig()
    rig.want(0, 2e6)
    rig.scans(40)
    rig.want(0, 2.03e6)
    rig.scans(1)
    found = [why_storage(scene(rig), 0)]
    for _ in range(12):
        rig.scans(1)
        found.append(why_storage(scene(rig), 0))
    assert any(each.codes == ["deadband"] for each in found)
    assert found[-1].codes == []


def test_the_chain_never_leaves_a_difference_unexplained() -> None:
    """Whatever is asked: where the setpoint is not what is asked, something has bitten."""
    rig, chance = TripRig(), random.Random(4)
    explained = 0
    for _ in range(120):
        rig.want(chance.randrange(2), chance.uniform(-16e6, 16e6))
        if chance.random() < 0.2:
            cap_w = float(rig.record["head"]["grid_w"]) + chance.uniform(-4e6, 4e6)
            rig.post(MailKind.MAIL_IMPORT_CAP_W, 0, max(cap_w, 1e6), OPERATOR)
        rig.scans(chance.randrange(1, 12))
        seen = scene(rig)
        for at in range(2):
            answer = why_storage(seen, at)
            asked_w = next(s.value_w for s in answer.steps if s.name == "arbiter") or 0.0
            setpoint_w = float(seen.record["storages"]["setpoint_w"][at])
            limited = {"rating", "import_cap", "export_max", "ramp", "interlock", "limit_row"}
            if abs(asked_w - setpoint_w) > 1.0:
                explained += 1
                assert limited & set(answer.codes), answer
            assert "unexplained" not in answer.codes
    assert explained > 50


# ---- what needs another site, or a fault


CHARGING = {"wanted_w": 2e6, "source": OPERATOR}
DISCHARGING = {"wanted_w": -2e6, "source": OPERATOR}
OWN = {"wanted_w": np.nan, "source": 0}


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("dry_run", {"head": {"dry_run": 1}}),
        ("stopping", {"storage": {"stopping": 1}}),
        ("reserve", {"storage": DISCHARGING, "values": {"BMS-01.soc": 0.2}}),
        ("full", {"storage": CHARGING, "values": {"BMS-01.soc": 0.88}}),
        ("soc_unknown", {"storage": CHARGING, "values": {"BMS-01.soc": None}}),
        (
            "grid_lost",
            {"storage": CHARGING | {"request_w": 0.0}, "values": {"GRID-01.active_power": None}},
        ),
        (
            "export_max",
            {
                "storage": DISCHARGING | {"request_w": -5e5},
                "head": {"grid_w": 0.0, "battery_w": -5e5},
            },
        ),
        ("readback", {"values": {"PCS-01.active_power_setpoint_readback": -4e6}}),
        ("not_following", {"values": {"PCS-01.active_power": -4e6}}),
        ("not_seen", {"values": {"MTR-B1.active_power": -4e6}}),
        (
            "feed_lost",
            {"storage": OWN | {"economy_w": 0.0}, "head": {"carbon_default": 1}},
        ),
        (
            "ready_ratio",
            {
                "storage": OWN | {"economy_w": 0.0},
                "head": {"carbon_default": 0, "deferred_w": 1e6},
                "values": {"BMS-01.soc": 0.4},
            },
        ),
        (
            "carbon_middle",
            {
                "storage": OWN | {"economy_w": 0.0},
                "head": {"carbon_default": 0, "grid_mg_per_kwh": 350_000},
            },
        ),
        (
            "dwell",
            {
                "storage": OWN | {"economy_w": -5e6},
                "head": {"carbon_default": 0, "grid_mg_per_kwh": 350_000},
            },
        ),
        ("not_written", {"storage": CHARGING | {"setpoint_w": 2e6, "output_w": 1e6}}),
    ],
)
def test_each_reason_is_found(calm: Scene, code: str, change: dict[str, Any]) -> None:
    answer = why_storage(altered(calm, **change), 0)
    assert code in answer.codes, answer
    assert "What decides: " in answer.headline


def test_arming_that_is_refused_says_for_what(calm: Scene) -> None:
    reasons = ["PCS-01: no stop was ever proven"]
    seen = altered(calm, head={"armed": 0}, directory={"arming_refused": reasons})
    answer = why_storage(seen, 0)
    assert "arming_refused" in answer.codes
    assert answer.headline.endswith("nothing is written: PCS-01: no stop was ever proven")


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("firmware", {"writable": 0}),
        ("not_identified", {"refused": 1}),
        ("not_identified", {"identified": 0, "writable": 0}),
        ("device_silent", {"good_ns": 1}),
    ],
)
def test_a_converter_that_may_not_be_written_is_named(
    calm: Scene, code: str, fields: dict[str, int]
) -> None:
    links = calm.links.copy()
    at = [each["id"] for each in TABLES.directory["devices"]].index("PCS-01")
    for name, value in fields.items():
        links[name][at] = value
    answer = why_storage(altered(calm, links=links), 0)
    assert code in answer.codes
    assert "PCS-01" in answer.headline


def test_a_past_scan_says_that_links_are_not_in_the_record(calm: Scene) -> None:
    answer = why_storage(replace(calm, links=None), 0)
    assert any("PCS-01 could be written" in each for each in answer.missing)


@pytest.mark.parametrize(
    ("code", "effects", "storage"),
    [
        ("derate", [effect("derate", 0.1)], {"derate_ratio": 0.1, "request_w": 1e6}),
        ("hold", [effect("hold")], {"hold": 1}),
        ("ramp_to_zero", [effect("ramp_to_zero")], {"ramp_to_zero": 1, "charge_max_w": 0.0}),
        ("command_blocked", [effect("block_command")], {"block_command": 1, "source": 0}),
        ("interlock", [effect("inhibit_charge")], {"charge_max_w": 0.0, "request_w": 0.0}),
        ("limit_row", [effect("limit_charge")], {"charge_max_w": 1e6, "request_w": 1e6}),
    ],
)
def test_each_effect_of_a_row_is_found_and_the_row_named(
    calm: Scene, code: str, effects: list[dict[str, Any]], storage: dict[str, Any]
) -> None:
    answer = why_storage(with_row(calm, "IL-DOOR", effects, **storage), 0)
    assert code in answer.codes
    assert "IL-DOOR" in [row.id for row in answer.rows]


def test_a_bypassed_row_is_shown_and_not_blamed() -> None:
    rig = TripRig()
    rig.post(MailKind.MAIL_BYPASS, ROWS["IL-BESS-01-FOLLOW"], 600.0, int(Reset.RESET_OPERATOR))
    rig.inject("IL-BESS-01-FOLLOW", 9e6, scans=60)
    answer = why_storage(scene(rig), 0)
    assert "IL-BESS-01-FOLLOW" not in [row.id for row in answer.rows]
    lines = [line for step in answer.steps for line in step.lines]
    assert "IL-BESS-01-FOLLOW is bypassed and has no effect" in lines


# ---- the others


def test_the_flexible_load_says_what_it_could_defer(calm: Scene) -> None:
    answer = why_flexible(calm)
    assert answer.asset == "FLEX-01"
    assert answer.codes == []
    assert any("floor of IT 30 MW" in line for step in answer.steps for line in step.lines)


def test_a_shed_tier_and_a_refusal_are_found_for_the_flexible_load() -> None:
    rig = TripRig()
    rig.inject("IL-IMPORT", 80e6, scans=14)
    answer = why_flexible(scene(rig))
    assert "tier" in answer.codes
    assert [row.id for row in answer.rows] == ["IL-IMPORT"]
    rig.inject("IL-IT-FLOOR", 1e6, scans=3)
    assert "refuse_shed" in why_flexible(scene(rig)).codes


def test_the_floor_and_a_gateway_that_is_silent_are_found(calm: Scene) -> None:
    assert "floor" in why_flexible(altered(calm, head={"it_w": 30e6})).codes
    silent = altered(calm, values={"FLEX-01.deferrable_power": None})
    assert "nothing_deferrable" in why_flexible(silent).codes


def test_pv_is_held_back_by_export_alone(calm: Scene) -> None:
    assert why_pv(calm, 0).codes == []
    exporting = why_pv(altered(calm, head={"grid_w": -3e5, "pv_w": 5e6}), 0)
    assert exporting.codes == ["export_max"]
    assert "300 kW too much flows back" in exporting.headline


@pytest.mark.parametrize(
    ("name", "asset"),
    [("bess-01", "BESS-01"), ("PCS-02", "BESS-02"), ("FLEX", "FLEX-01"), ("SOLAR-1", "SOLAR-1"),
     ("PV-02", "SOLAR-2"), ("il-estop", "IL-ESTOP")],
)  # fmt: skip
def test_an_asset_is_found_by_any_of_its_names(calm: Scene, name: str, asset: str) -> None:
    found: Answer = explain(calm, name)
    assert found.asset == asset


def test_an_unknown_asset_is_refused_with_those_there_are(calm: Scene) -> None:
    with pytest.raises(NoSuchAssetError, match="BESS-01, BESS-02, SOLAR-1, SOLAR-2, FLEX"):
        explain(calm, "GRID-01")


def test_a_scan_is_found_by_number_and_by_time(calm: Scene) -> None:
    records = calm.records
    assert index_of(records, 40, None, 10**8) == 40
    assert index_of(records, 10**6, None, 10**8) is None
    at_ns = int(records["head"]["utc_ns"][33]) + 40_000_000
    assert index_of(records, None, at_ns, 10**8) == 33
    assert index_of(records, None, at_ns - 10**13, 10**8) is None
    assert utc_ns_of("2023-07-22T18:03:40.6") == 1_690_049_020_600_000_000


def test_every_code_has_its_rank() -> None:
    assert len(set(DECIDES)) == len(DECIDES)


# ---- words


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (5.2e6, "W", "5.2 MW"), (0.62, "ratio", "62 %"), (328.15, "K", "55.0 °C"),
        (None, "W", "unknown"), (float("nan"), "W", "not a number"),
        (float("inf"), "W", "unlimited"), (0.5, "s", "0.5 s"), (3.0, "state", "3"),
    ],
)  # fmt: skip
def test_a_quantity_is_said_in_the_units_people_use(
    value: float | None, unit: str, text: str
) -> None:
    assert quantity(value, unit) == text


def test_power_and_time_are_said_in_words() -> None:
    assert power(-2e6) == "discharging at 2 MW"
    assert power(1e-9) == "0 W"
    assert [seconds(each) for each in (0, 200_000_000, 5 * 10**9, 600 * 10**9, 7800 * 10**9)] == [
        "0 s", "200 ms", "5 s", "10 min", "2 h 10 min",
    ]  # fmt: skip


def test_a_value_between_both_thresholds_says_neither() -> None:
    cause = {"on": 10.0, "off": 5.0, "op": "above"}
    assert [tripping(cause, value) for value in (11.0, 7.0, 5.0)] == [True, None, False]


def test_a_point_that_is_not_in_the_record_is_said_not_to_be(calm: Scene) -> None:
    values: dict[str, PointValue] = {
        tag: each for tag, each in calm.values.items() if not tag.startswith("IO-01")
    }
    bare = replace(calm, values=values)
    assert "not in the record" in why_row(bare, 0).steps[0].lines[0]
