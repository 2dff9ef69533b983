"""Shipped profiles load, say where they come from, and lay their reads out safely."""

import json
from importlib import resources
from typing import Any

import pytest

from edgectl.profiles import Point, Profile, load_profile, profile_names
from edgectl.profiles.numbers import WORDS
from edgectl.profiles.read_plan import read_plan, reply_size, sync_reads

SUNSPEC = "storage/sunspec-der-storage"
SUNSPEC_BASE = 40000  # SunSpec Device Information Model Specification 6.2: one of three bases
SUNSPEC_CHAIN = (1, 701, 702, 704, 713, 802)
SYNTHETIC = {"io/generic-safety-io", "flexible/generic-workload-gateway"}


@pytest.fixture(params=profile_names())
def profile(request: pytest.FixtureRequest) -> Profile:
    return load_profile(request.param)


def test_every_profile_is_told_honestly(profile: Profile) -> None:
    """Nothing of these was on a bench: paper, or made up and labelled so."""
    assert profile.verified == ("synthetic" if profile.name in SYNTHETIC else "paper")
    assert profile.source
    assert all(point.source for point in profile.points)
    if profile.name not in SYNTHETIC:
        own = {point.source for point in profile.points}
        assert profile.source not in own, "each point names its own place in the source"


def test_every_point_has_limits_and_an_age(profile: Profile) -> None:
    for point in profile.points:
        assert point.valid_min < point.valid_max
        assert 0 < point.stale_after_ns < 600 * 10**9


def test_each_point_lies_whole_in_exactly_one_block(profile: Profile) -> None:
    seen: dict[str, int] = {}
    for block in profile.blocks:
        assert block.count <= profile.max_registers
        for point in block.points:
            seen[point.name] = seen.get(point.name, 0) + 1
            assert point.every == block.every
            assert block.address <= point.first_word
            assert point.end_word <= block.address + block.count
    assert seen == {point.name: 1 for point in profile.points}


def test_what_may_be_written_can_be_recognised_and_read_back(profile: Profile) -> None:
    for command in profile.commands:
        assert profile.probes
        if command.readback is None:
            assert len(command.readback_none) > 40, "what shows the effect instead must be said"
            continue
        point = profile.point(command.readback)
        assert point.unit == command.unit
        assert point.scale == command.scale, "read-back and command share sign and scale"


def test_a_device_without_identity_says_why_and_may_write_nothing() -> None:
    bms = load_profile("battery/byd-c130")
    assert not bms.probes
    assert bms.identity_none
    assert not bms.commands


def model(number: int) -> tuple[dict[str, int], int]:
    """Offset of each point of a SunSpec model, and its size, from pysunspec2's JSON."""
    sunspec2 = pytest.importorskip("sunspec2")
    path = resources.files(sunspec2) / "models" / "json" / f"model_{number}.json"
    group: dict[str, Any] = json.loads(path.read_text())["group"]
    offsets, at = {}, 0
    for point in group["points"]:
        offsets[point["name"]] = at
        at += point["size"]
    at += sum(point["size"] for inner in group.get("groups", []) for point in inner["points"])
    return offsets, at


def chain() -> dict[int, int]:
    """Address of each model of the chain, and of its end under 0."""
    starts, at = {}, SUNSPEC_BASE + 2
    for number in SUNSPEC_CHAIN:
        starts[number] = at
        at += model(number)[1]
    return starts | {0: at}


def test_sunspec_identity_is_the_chain_that_the_models_make() -> None:
    starts = chain()
    wanted = [(SUNSPEC_BASE, (0x5375, 0x6E53))]
    wanted += [(starts[n], (n, model(n)[1] - 2)) for n in SUNSPEC_CHAIN]
    wanted += [(starts[0], (703, model(703)[1] - 2))]
    probes = load_profile(SUNSPEC).probes
    assert probes[-1].alternatives[1:] == ((0xFFFF, 0),), "or it ends there"
    assert [(probe.address, probe.alternatives[0]) for probe in probes] == wanted


SINGLE_MODELS = {"meter/sunspec-meter-203": 203, "inverter/sunspec-inverter-103": 103}


@pytest.mark.parametrize(("name", "number"), SINGLE_MODELS.items())
def test_sunspec_profiles_of_one_model_lie_where_the_model_says(name: str, number: int) -> None:
    profile, (offsets, size) = load_profile(name), model(number)
    start = SUNSPEC_BASE + 2 + model(1)[1]
    assert profile.probes[1].alternatives == ((1, model(1)[1] - 2),)
    assert (profile.probes[2].address, profile.probes[2].alternatives) == (
        start, ((number, size - 2),),
    )  # fmt: skip
    sunspec2 = pytest.importorskip("sunspec2")
    path = resources.files(sunspec2) / "models" / "json" / f"model_{number}.json"
    described = {each["name"]: each for each in json.loads(path.read_text())["group"]["points"]}
    absent = {"int16": 0x8000, "uint16": 0xFFFF, "enum16": 0xFFFF, "acc32": 0}
    for point in profile.points:
        own = described[point.source.split("json ")[1].split(",")[0]]
        factor = own.get("sf")
        assert point.address == start + offsets[own["name"]]
        assert point.words == own["size"]
        assert point.sf_address == (None if factor is None else start + offsets[factor])
        assert point.sentinel == absent.get(own["type"], 0xFFFF_FFFF)


SUNSPEC_POINTS = {
    "active_power": (701, "W", "W_SF"),
    "energy_import": (701, "TotWhAbs", "TotWh_SF"),
    "energy_export": (701, "TotWhInj", "TotWh_SF"),
    "charge_limit": (702, "WChaRteMax", "W_SF"),
    "discharge_limit": (702, "WDisChaRteMax", "W_SF"),
    "active_power_setpoint_readback": (704, "WSet", "WSet_SF"),
    "setpoint_exponent": (704, "WSet_SF", None),
    "storage_soc": (713, "SoC", "Pct_SF"),
    "soc": (802, "SoC", "SoC_SF"),
    "battery_state": (802, "State", None),
    "battery_events": (802, "Evt1", None),
    "charge_current_limit": (802, "AChaMax", "AMax_SF"),
}


@pytest.mark.parametrize(("name", "place"), SUNSPEC_POINTS.items())
def test_sunspec_addresses_are_those_of_the_models(
    name: str, place: tuple[int, str, str | None]
) -> None:
    number, point_name, factor = place
    start, offsets = chain()[number], model(number)[0]
    point = load_profile(SUNSPEC).point(name)
    assert point.address == start + offsets[point_name]
    assert point.sf_address == (None if factor is None else start + offsets[factor])


def test_sunspec_setpoint_is_one_block_that_leads_back_to_zero() -> None:
    start, offsets = chain()[704], model(704)[0]
    command = load_profile(SUNSPEC).command("active_power_setpoint")
    assert command.function == 16
    assert command.address == start + offsets["WSetEna"]
    assert command.address + command.count == start + offsets["WSetRvrtRem"]

    def word(name: str) -> int:
        return command.template[offsets[name] - offsets["WSetEna"]]

    assert command.value_word == offsets["WSet"] - offsets["WSetEna"]
    assert (word("WSetEna"), word("WSetMod"), word("WSetEnaRvrt")) == (1, 1, 1)
    rest = offsets["WSetRvrt"] - offsets["WSetEna"]
    assert command.template[rest : rest + 2] == (0, 0), "a silent controller leaves 0 W"
    seconds = command.template[offsets["WSetRvrtTms"] - offsets["WSetEna"] + 1]
    assert seconds * 10**9 == command.revert_ns
    assert command.scale == -1, "DER counts generating as positive, we count charging"


def test_power_is_import_positive_whatever_the_maker_counts() -> None:
    assert load_profile("inverter/huawei-sun2000").point("active_power").scale == -1.0
    assert load_profile("meter/socomec-diris-a14").point("active_power").scale == 10.0
    assert load_profile("meter/schneider-pm5560").point("active_power").scale == 1000.0


def test_units_become_si() -> None:
    bms = load_profile("battery/byd-c130")
    temperature = bms.point("cell_temperature_max")
    assert (temperature.unit, temperature.scale, temperature.offset) == ("K", 0.1, 273.15)
    assert temperature.valid_min == pytest.approx(233.15)
    assert (bms.point("soc").unit, bms.point("soc").scale) == ("ratio", 0.01)
    energy = load_profile("meter/abb-b23").point("energy_import")
    assert (energy.unit, energy.scale) == ("J", 36_000.0)


def point(name: str, address: int, kind: str = "u16", every: int = 1) -> Point:
    return Point(
        name=name, function=3, address=address, words=WORDS[kind], type=kind, bit=0, unit="W",
        raw_unit="W", scale=1.0, offset=0.0, sentinel=None, sf_address=None, valid_min=0.0,
        valid_max=1.0, slew_max_per_s=1.0, stale_after_ns=1, frozen_after_ns=1, every=every,
        printed=None, source="",
    )  # fmt: skip


def test_a_wide_point_never_straddles_two_requests() -> None:
    points = [point(f"p{at}", at, "u64") for at in range(0, 40, 4)]
    blocks = read_plan(points, max_registers=10, gaps_legal=True)
    assert [(block.address, block.count) for block in blocks] == [
        (0, 8), (8, 8), (16, 8), (24, 8), (32, 8),
    ]  # fmt: skip


def test_illegal_gaps_are_never_read_across() -> None:
    points = [point("a", 0), point("b", 1), point("c", 3)]
    legal = read_plan(points, max_registers=10, gaps_legal=True)
    illegal = read_plan(points, max_registers=10, gaps_legal=False)
    assert [(block.address, block.count) for block in legal] == [(0, 4)]
    assert [(block.address, block.count) for block in illegal] == [(0, 2), (3, 1)]


def test_slow_points_do_not_ride_in_fast_requests() -> None:
    points = [point("fast", 0), point("slow", 1, every=10), point("fast_too", 2)]
    blocks = read_plan(points, max_registers=10, gaps_legal=True)
    assert [(block.every, [each.name for each in block.points]) for block in blocks] == [
        (1, ["fast", "fast_too"]),
        (10, ["slow"]),
    ]


@pytest.mark.parametrize("name", profile_names())
def test_the_reads_that_find_a_serial_device_in_step_are_as_long_as_no_other(name: str) -> None:
    profile = load_profile(name)
    function, address, counts = sync_reads(profile)
    sizes = {reply_size(function, count) for count in counts}
    others = [(each.function, each.count) for each in (*profile.blocks, *profile.probes)]
    assert all(f != function or reply_size(f, n) not in sizes for f, n in others)
    assert len(sizes) == len(counts) == 3, "three, and none is as long as another"
    assert any((b.function, b.address) == (function, address) for b in profile.blocks)
    assert all(1 <= count <= 125 for count in counts)
