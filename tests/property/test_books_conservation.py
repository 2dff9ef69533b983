"""Conservation over time: batteries, changing factors, counters, gaps and clocks that were set."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgectl._kernel.carbon import FlowBench
from edgectl.accounting.apportion import CarbonCarry, largest_remainder
from edgectl.accounting.gaps import Grade, Side, coverage, recovered, substituted
from edgectl.accounting.intervals import Change, Span, by_second, carbon_pieces
from edgectl.accounting.registers import Counter, CounterReader, MeterBook
from edgectl.accounting.storage import Anchor, Inventory, Method, Rules, Standby

NS_PER_S = 1_000_000_000
DEFAULT_MG_PER_KWH = 480_000
Amounts = st.one_of(st.integers(0, 50), st.integers(0, 10**13))
Efficiencies = st.integers(500_000, 1_000_000)
Origins = st.dictionaries(st.sampled_from(["grid", "pv", "generator"]), Amounts, min_size=1)
Steps = st.lists(
    st.one_of(
        st.tuples(st.just("charge"), Origins, Amounts),
        st.tuples(st.just("discharge"), Amounts, st.none()),
        st.tuples(st.just("stand"), Amounts, st.none()),
        st.tuples(st.just("full"), Amounts, st.none()),
        st.tuples(st.just("empty"), Amounts, st.none()),
        st.tuples(st.just("settle"), st.none(), st.none()),
    ),
    max_size=20,
)


@given(charge=Efficiencies, discharge=Efficiencies, initial=Amounts, steps=Steps,
       method=st.sampled_from(Method), standby=st.sampled_from(Standby))  # fmt: skip
@example(charge=500_000, discharge=500_000, initial=0,
         steps=[("charge", {"grid": 0, "pv": 0}, 1)],
         method=Method.FIFO, standby=Standby.BOOK)  # fmt: skip
def test_conservation_in_a_battery_of_any_rules(
    charge: int, discharge: int, initial: int, steps: list, method: Method, standby: Standby
) -> None:
    rules = Rules(charge, discharge, DEFAULT_MG_PER_KWH, method, standby, empty_mj=10)
    battery = Inventory(rules, initial, DEFAULT_MG_PER_KWH)
    carbon_ug = battery.carbon_ug
    beyond, beyond_ug = Fraction(0), Fraction(0)
    charged_mj = stored_mj = delivered_mj = taken_mj = 0
    energy_mj = initial
    for kind, amount, with_it in steps:
        held = battery.energy_mj
        if kind == "charge":
            charged_mj += sum(amount.values())
            added_mj = battery.charge(sum(amount.values()), with_it, amount)
            stored_mj, energy_mj = stored_mj + added_mj, energy_mj + added_mj
            carbon_ug += with_it
        elif kind == "discharge":
            out = battery.discharge(amount)
            assert sum(out.origins_mj.values()) == amount, "what was delivered, by origin"
            energy_mj -= out.stored_mj
            delivered_mj += amount
            taken_mj += out.stored_mj + out.shortfall_mj
            beyond += out.shortfall_mj
            booked = battery_shortfall_ug(beyond) - beyond_ug
            beyond_ug += booked
            carbon_ug -= out.carbon_ug - int(booked)
        elif kind == "stand":
            out = battery.stand(amount)
            energy_mj -= min(amount, held)
            carbon_ug -= out.carbon_ug
        elif kind in ("full", "empty"):
            done = battery.true_up(Anchor(kind), amount)
            assert (done.before_mj, done.after_mj) == (held, amount)
            energy_mj = amount
            carbon_ug -= done.loss_account_ug
        elif settled := battery.settle_empty():
            carbon_ug -= settled.loss_account_ug
        assert battery.energy_mj == energy_mj
        assert battery.carbon_ug == carbon_ug >= 0
        assert sum(battery.origins_mj.values()) == energy_mj
        assert min([0, *battery.origins_mj.values()]) == 0
    assert battery.shortfall_mj == beyond
    assert stored_mj == charged_mj * charge // 1_000_000, "remainders are carried"
    assert taken_mj == delivered_mj * 1_000_000 // discharge


def battery_shortfall_ug(beyond_mj: Fraction) -> Fraction:
    """Whole micrograms of all shortfall so far, remainders carried."""
    return Fraction(int(beyond_mj) * DEFAULT_MG_PER_KWH // 3_600_000)


@given(
    charge=Efficiencies,
    discharge=Efficiencies,
    initial=st.integers(0, 10**9),
    flows=st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 10**6)), max_size=20),
)
def test_conservation_weighted_average_is_the_kernel_s_integer_for_integer(
    charge: int, discharge: int, initial: int, flows: list[tuple[int, int]]
) -> None:
    bench = FlowBench(0, [(charge, discharge)], [initial / 1000], 700_000)
    rules = Rules(charge, discharge, DEFAULT_MG_PER_KWH)
    battery = Inventory(rules, bench.stocks()[0][0], 700_000)
    for energy_mj, mg_per_kwh in flows:
        cells, sources, _, _ = bench.trace(
            energy_mj, 0, [], [energy_mj], mg_per_kwh, 0, DEFAULT_MG_PER_KWH
        )
        if energy_mj > 0:
            battery.charge(energy_mj, cells[0][0][1])
        elif energy_mj < 0:
            assert battery.discharge(-energy_mj).carbon_ug == sources[3][1]
        assert bench.stocks() == [(battery.energy_mj, battery.carbon_ug, battery.shortfall_mj)]


@given(
    start=st.integers(0, 10**6),
    length=st.integers(1, 10**6),
    energy_mj=Amounts,
    changes=st.lists(st.tuples(st.integers(1, 2 * 10**6), st.integers(0, 10**6)), max_size=6),
)
def test_conservation_when_factors_change_within_an_interval(
    start: int, length: int, energy_mj: int, changes: list[tuple[int, int]]
) -> None:
    timeline = [Change(0, 400_000), *(Change(*each) for each in sorted(set(changes)))]
    pieces = carbon_pieces(start, start + length, energy_mj, timeline, CarbonCarry())
    assert sum(each.energy_mj for each in pieces) == energy_mj
    lengths = [each.end_ns - each.start_ns for each in pieces]
    assert sum(lengths) == length
    oracle = [Fraction(energy_mj * each, length) for each in lengths]
    assert [each.energy_mj for each in pieces] == largest_remainder(energy_mj, oracle)
    exact = sum(Fraction(each.energy_mj * each.mg_per_kwh, 3_600_000) for each in pieces)
    assert 0 <= exact - sum(each.carbon_ug for each in pieces) < 1
    for piece in pieces:
        in_force = [each for each in timeline if each.start_ns <= piece.start_ns][-1]
        assert piece.mg_per_kwh == in_force.mg_per_kwh
        assert piece.end_ns > piece.start_ns
        assert not any(piece.start_ns < each.start_ns < piece.end_ns for each in timeline)


@given(
    st.lists(
        st.tuples(st.integers(0, 60 * NS_PER_S), st.integers(0, 5 * NS_PER_S), Amounts, Amounts),
        max_size=20,
    )
)
def test_conservation_when_the_clock_is_set_forward_and_back(spans: list) -> None:
    listed = [Span(*each) for each in spans]
    seconds = by_second(listed)
    assert sum(each[0] for each in seconds.values()) == sum(each.energy_mj for each in listed)
    assert sum(each[1] for each in seconds.values()) == sum(each.carbon_ug for each in listed)


Counters = st.builds(
    Counter,
    meter=st.just("M"),
    step_mj=st.fractions(min_value=1, max_value=1000, max_denominator=1000),
    modulus=st.integers(10**8, 10**9),  # ten seconds of the most power are a small part of it
    power_max_w=st.just(200),
)


@given(
    counter=Counters,
    before_end=st.integers(1, 10**4),
    readings=st.lists(
        st.tuples(st.integers(0, 1000), st.lists(Amounts, max_size=4)), min_size=1, max_size=12
    ),
)
def test_conservation_of_seconds_and_corrections_against_the_counter(
    counter: Counter, before_end: int, readings: list
) -> None:
    start = counter.modulus - before_end  # it rolls over in many of the examples
    book = MeterBook(CounterReader(counter), 0.004)
    book.reading(0, start)
    steps, second, confirmed = start, 0, 0
    corrected: dict[int, int] = {}
    for at, (more, integrals) in enumerate(readings, start=1):
        for integral_mj in integrals:
            book.second(second, integral_mj)
            corrected[second] = integral_mj
            second += 1
        steps += more
        taken = book.reading(at * 10 * NS_PER_S, steps % counter.modulus)
        assert taken.advance.known
        if taken.window:
            confirmed += taken.window.counter_mj
            for each in taken.window.corrections:
                assert corrected[each.utc_s] == each.provisional_mj
                corrected[each.utc_s] += each.difference_mj
    still_open = {utc_s for utc_s, _ in book.provisional}
    done = sum(amount for utc_s, amount in corrected.items() if utc_s not in still_open)
    assert done == confirmed
    assert book.reader.total_mj == int((steps - start) * counter.step_mj), "over any roll-over"


@given(counter_mj=Amounts, factors=st.lists(st.one_of(st.none(), st.integers(0, 10**6)),
                                            min_size=1, max_size=20))  # fmt: skip
@pytest.mark.parametrize("highest", [True, False])
def test_conservation_over_a_gap_that_the_counter_bridges(
    highest: bool, counter_mj: int, factors: list
) -> None:
    seconds = list(range(len(factors)))
    filled = recovered(counter_mj, seconds, factors, DEFAULT_MG_PER_KWH, highest=highest)
    assert sum(each.energy_mj for each in filled) == counter_mj
    own = [DEFAULT_MG_PER_KWH if each is None else each for each in factors]
    for each, factor in zip(filled, own, strict=True):
        assert each.grade is Grade.RECOVERED
        assert each.mg_per_kwh == (max(own) if highest else factor)


@given(history=st.lists(st.integers(0, 10**9), min_size=2, max_size=30))
def test_a_substitute_for_consumption_is_mean_and_two_deviations_or_more(
    history: list[int],
) -> None:
    (filled,) = substituted(Side.CONSUMPTION, [7], history, DEFAULT_MG_PER_KWH)
    mean = Fraction(sum(history), len(history))
    variance = sum((each - mean) ** 2 for each in history) / (len(history) - 1)
    assert filled.grade is Grade.SUBSTITUTED
    assert filled.energy_mj >= mean
    assert (filled.energy_mj - mean) ** 2 >= 4 * variance
    assert (filled.energy_mj - mean - 2) <= 0 or (filled.energy_mj - mean - 2) ** 2 <= 4 * variance


@given(st.lists(st.tuples(st.sampled_from(Grade), Amounts), max_size=50))
def test_conservation_of_seconds_over_grades(parts: list[tuple[Grade, int]]) -> None:
    found = coverage(parts)
    assert sum(found.counts.values()) == len(parts)
    assert sum(found.energy_mj.values()) == sum(amount for _, amount in parts)
    bad = sum(grade in (Grade.SUBSTITUTED, Grade.MISSING) for grade, _ in parts)
    assert found.verifiable == (bool(parts) and 20 * bad <= len(parts))
