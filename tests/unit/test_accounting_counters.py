"""Energy counters of the shipped profiles, followed step by step."""

from dataclasses import replace

import pytest

from edgectl.accounting.counters import counter_of, steps_of
from edgectl.accounting.registers import CounterReader, Event
from edgectl.errors import DataError
from edgectl.profiles import load_profile, profile_names
from edgectl.profiles.model import Point

HOUR_NS = 3_600 * 10**9
COUNTERS = [
    (name, point)
    for name in profile_names()
    for point in load_profile(name).points
    if point.name in ("energy_import", "energy_export")
]


def test_there_are_counters_to_follow() -> None:
    assert len({name for name, _ in COUNTERS}) >= 15


@pytest.mark.parametrize(("name", "point"), COUNTERS, ids=[f"{n}.{p.name}" for n, p in COUNTERS])
def test_every_shipped_counter_is_followed_or_says_what_is_missing(name: str, point: Point) -> None:
    exponent = None
    if point.sf_address is not None:
        with pytest.raises(DataError, match="step is not fixed"):
            counter_of("M", point, 10**8)
        exponent = 1
    counter = counter_of("M", point, 10**8, exponent=exponent)
    reader = CounterReader(counter)
    for at, steps in enumerate((1_000_000, 1_000_007)):
        value_j = float(steps * counter.step_mj / 1_000)
        assert steps_of(counter, value_j) == steps
        found = reader.read(at * HOUR_NS, steps_of(counter, value_j))
    assert found.event is Event.ADVANCED
    assert found.energy_mj == int(7 * counter.step_mj)


def meter(name: str) -> Point:
    return load_profile(name).point("energy_import")


def test_a_hundredth_of_a_kilowatt_hour_is_36_kilojoules() -> None:
    counter = counter_of("M", meter("meter/abb-b23"), 10**8)
    assert (counter.step_mj, counter.modulus) == (36_000_000, 2**64)
    early = replace(meter("meter/abb-b23"), modulus=10**8)
    assert counter_of("M", early, 10**8).modulus == 10**8


@pytest.mark.parametrize(("name", "bits"), [("meter/eastron-sdm630", 24), ("siemens", 53)])
def test_a_floating_point_register_tells_less_apart_as_it_grows(name: str, bits: int) -> None:
    name = {"siemens": "meter/siemens-pac2200"}.get(name, name)
    counter = counter_of("M", meter(name), 10**8)
    assert counter.mantissa == bits
    assert counter.quantum(2**bits - 1) == 1
    assert counter.quantum(2**bits) == 2
    assert counter.quantum(5 * 2**bits) == 8


def test_a_float_rolls_over_only_where_its_maker_says() -> None:
    point = meter("meter/eastron-sdm630")
    assert counter_of("M", point, 10**8).modulus > 2**1_050
    assert counter_of("M", replace(point, modulus=10**6), 10**8).modulus == 10**6 * 1_024


@pytest.mark.parametrize("value_j", [float("nan"), float("inf"), -1.0, 1e30])
def test_a_value_that_is_no_count_is_refused(value_j: float) -> None:
    counter = counter_of("M", meter("meter/abb-b23"), 10**8)
    with pytest.raises(DataError, match=r"counter M\.energy_import"):
        steps_of(counter, value_j)


def test_a_point_that_counts_no_energy_is_refused() -> None:
    power = replace(meter("meter/abb-b23"), unit="W", raw_unit="kW")
    with pytest.raises(DataError, match="it is in kW"):
        counter_of("M", power, 10**8)
