"""Bounds, key figures, gaps and networks at their edges."""

from fractions import Fraction

import pytest

from edgectl.accounting import cbam, kpi
from edgectl.accounting.apportion import largest_remainder, largest_remainder_table
from edgectl.accounting.gaps import Grade, Side, coverage, substituted
from edgectl.accounting.intervals import CarbonCarry, Change, carbon_pieces
from edgectl.accounting.network import Line, Network, Sink, Source, balanced
from edgectl.accounting.tracing import LossRule, trace
from edgectl.accounting.uncertainty import (
    Bound,
    Contribution,
    carbon_bound_ug,
    difference_bound,
    energy_bound_mj,
    meter_u_ratio,
    ratio_bound,
    register_u_mj,
)
from edgectl.errors import DataError

KWH_MJ = 3_600_000_000


@pytest.mark.parametrize(
    ("meter", "transformer", "per_cent"),
    [("0.2S", "none", 0.1155), ("0.5S", "none", 0.2887), ("0.5S", "0.5S", 0.4082)],
)
def test_classes_give_the_uncertainty_of_the_method(
    meter: str, transformer: str, per_cent: float
) -> None:
    assert 100 * meter_u_ratio(meter, transformer) == pytest.approx(per_cent, abs=5e-5)


def test_a_class_is_worse_at_low_current() -> None:
    assert meter_u_ratio("0.5S", low_current=True) == 2 * meter_u_ratio("0.5S")


def test_one_meter_does_not_average_out_and_two_do() -> None:
    hours = [Contribution("M1", "Z", 1_000_000, u_meter_ratio=0.01) for _ in range(100)]
    assert energy_bound_mj(hours).u == pytest.approx(0.01 * 100_000_000)
    two = [Contribution(name, "Z", 1_000_000, u_meter_ratio=0.01) for name in ("M1", "M2")]
    assert energy_bound_mj(two).u == pytest.approx(0.01 * 1_000_000 * 2**0.5)


def test_a_factor_is_correlated_over_meters_of_its_zone() -> None:
    parts = [Contribution(name, "Z", KWH_MJ, 400_000, 0.004, 0.0, 0.1) for name in ("M1", "M2")]
    bound = carbon_bound_ug(parts)
    assert bound.value == 800e6
    assert bound.u == pytest.approx(((0.004 * 400e6) ** 2 * 2 + (0.1 * 800e6) ** 2) ** 0.5)
    assert (bound.low, bound.high) == (bound.value - 2 * bound.u, bound.value + 2 * bound.u)


def test_a_counter_s_step_does_not_grow_with_the_sum() -> None:
    part = Contribution("M", "Z", 10**9, u_fixed_mj=register_u_mj(6**0.5 * 1_000))
    assert energy_bound_mj([part]).u == pytest.approx(1_000)


def test_pue_less_one_is_known_far_worse_than_pue() -> None:
    facility, it = Bound(1.2e9, 0.004 * 1.2e9), Bound(1e9, 0.004 * 1e9)
    whole, overhead = ratio_bound(facility, it), difference_bound(facility, it)
    assert whole.u == pytest.approx(1.2 * 0.004 * 2**0.5)
    assert whole.expanded_ratio == pytest.approx(2 * 0.004 * 2**0.5)
    assert overhead.expanded_ratio is not None
    assert overhead.expanded_ratio > 5 * (whole.expanded_ratio or 0)


def test_what_errs_together_cancels_in_a_ratio() -> None:
    one = Bound(1e9, 4e6, parts={"meter A": 4e6})
    assert ratio_bound(one, one).u == 0.0
    assert difference_bound(one, one).u == 0.0
    apart = Bound(1e9, 4e6)
    assert difference_bound(apart, apart).u == pytest.approx(4e6 * 2**0.5), "no name: no relation"
    assert Bound(0.0, 1.0).expanded_ratio is None


def test_pue_says_its_category_and_needs_it_energy() -> None:
    figure = kpi.pue(6, 5, kpi.PueCategory.PDU_OUTPUT)
    assert (figure.value, figure.declared) == (1.2, "category 2: PDU output (intermediate)")
    with pytest.raises(DataError, match="IT energy is 0 mJ"):
        kpi.pue(6, 0, kpi.PueCategory.PDU_OUTPUT)
    with pytest.raises(DataError, match="5 mJ in all is under 6 mJ of IT"):
        kpi.pue(5, 6, kpi.PueCategory.PDU_OUTPUT)


def test_cue_is_kilograms_over_kilowatt_hours() -> None:
    assert kpi.cue(500 * 1_000_000, 2 * KWH_MJ).exact == Fraction(1, 4)


def test_renewables_over_the_whole_are_capped() -> None:
    assert kpi.ref(12, 10).exact == 1


def test_cfe_caps_a_surplus_in_its_own_hour() -> None:
    hours = [kpi.CfeHour(100, 300), kpi.CfeHour(100, 0), kpi.CfeHour(200, 50, Fraction(1, 3))]
    assert kpi.cfe(hours).exact == Fraction(100 + 0 + 50 + 50, 400)
    with pytest.raises(DataError, match="the load of 0 hours is 0 mJ"):
        kpi.cfe([])
    with pytest.raises(DataError, match="an hour has"):
        kpi.cfe([kpi.CfeHour(10, -1)])


def test_sci_needs_a_named_unit() -> None:
    with pytest.raises(DataError, match="R is 5 of ''"):
        kpi.sci(Fraction(1), Fraction(1), Fraction(5), "")
    with pytest.raises(DataError, match="expected life of 0 s"):
        kpi.embodied(Fraction(1), Fraction(1), Fraction(0))


def test_cbam_precursors_add_their_own_and_annex_ii_goods_leave_out_indirect() -> None:
    steel = cbam.Good(
        Fraction(10), Fraction(5), Fraction(2), Fraction(1, 2),
        (cbam.Precursor("pig iron", Fraction(4), Fraction(2), Fraction(1, 4)),),
    )  # fmt: skip
    found = cbam.embedded(steel)
    assert (found.direct, found.indirect) == (Fraction(13, 10), Fraction(2, 10))
    annex_ii = cbam.Good(Fraction(10), Fraction(5), Fraction(2), Fraction(1, 2),
                         includes_indirect=False)  # fmt: skip
    assert cbam.embedded(annex_ii).indirect == 0
    with pytest.raises(DataError, match="0 t produced"):
        cbam.Good(Fraction(0), Fraction(5), Fraction(2), Fraction(1, 2))


def test_cbam_materiality_is_five_per_cent_and_units_come_from_the_ledger() -> None:
    assert not cbam.material(Fraction(5), Fraction(100))
    assert cbam.material(Fraction(-51, 10), Fraction(100))
    assert cbam.tonnes(10**12) == 1
    assert cbam.megawatt_hours(1_000 * KWH_MJ) == 1


def test_generation_is_substituted_by_nothing_and_consumption_without_history_is_missing() -> None:
    (lost,) = substituted(Side.GENERATION, [1], [5, 6], 700_000)
    assert (lost.energy_mj, lost.grade, lost.mg_per_kwh) == (0, Grade.SUBSTITUTED, 700_000)
    (missing,) = substituted(Side.CONSUMPTION, [1], [5], 700_000)
    assert missing.grade is Grade.MISSING


def test_over_five_per_cent_substituted_or_missing_is_no_verifiable_statement() -> None:
    good = [(Grade.MEASURED, 1)] * 95
    assert coverage([*good, *[(Grade.MISSING, 0)] * 5]).verifiable
    assert not coverage([*good, *[(Grade.MISSING, 0)] * 6]).verifiable
    assert not coverage([]).verifiable
    assert coverage(good).ratio(Grade.MEASURED) == 1


def test_nothing_flows_and_no_intensity_is_claimed() -> None:
    found = trace(Network(("A",), (), (Sink("L", "A", 0),)))
    assert found.intensity_mg_per_kwh == {"A": None}
    assert found.carbon_of_ug("L") == 0


def test_parallel_lines_have_losses_of_their_own_names() -> None:
    network = Network(
        ("A", "B"),
        (Source("G", "A", 20, 10),),
        (Sink("L", "B", 16),),
        (Line("A", "B", 10, 8), Line("A", "B", 10, 8)),
    )
    assert trace(network).sinks == ("L", "losses:A-B", "losses:A-B#2")


def test_a_bus_that_is_not_balanced_is_refused_and_can_be_closed() -> None:
    network = Network(("A",), (Source("G", "A", 10, 5),), (Sink("L", "A", 7),))
    with pytest.raises(DataError, match="10 mJ came in and 7 mJ left"):
        trace(network)
    closed = trace(balanced(network, 0))
    assert closed.sinks == ("L", "losses@A")
    short = Network(("A",), (Source("G", "A", 7, 5),), (Sink("L", "A", 10),))
    (_, unmetered) = balanced(short, 3_600_001).sources
    assert (unmetered.id, unmetered.energy_mj, unmetered.carbon_ug) == ("unmetered@A", 3, 4), "up"


@pytest.mark.parametrize("rule", LossRule)
def test_a_ring_that_nothing_leaves_is_refused(rule: LossRule) -> None:
    ring = (Line("A", "B", 5, 5), Line("B", "A", 5, 5))
    with pytest.raises(DataError, match="energy goes round in it and nothing leaves"):
        trace(Network(("A", "B"), (), (), ring), rule)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: Network(("A", "A"), (), ()), "bus A is listed 2 times"),
        (lambda: Network(("A",), (), (Sink("L", "B", 1),)), "bus B, which is not listed"),
        (lambda: Network(("A",), (), (Sink("L", "A", -1),)), "less than nothing"),
        (lambda: Network(("A",), (Source("G", "A", 0, 1),), ()), "brings 1 ug CO2e with 0 mJ"),
        (lambda: Network(("A", "B"), (), (), (Line("A", "B", 1, 2),)), "received 2 mJ"),
        (lambda: Network(("A",), (), (), (Line("A", "A", 1, 1),)), "does not join two"),
        (lambda: Network(("A",), (), (Sink("L", "A", 1),) * 2), "sink L is listed 2 times"),
        (lambda: Network(tuple(map(str, range(65))), (), ()), "65 buses; at most 64"),
    ],
)
def test_what_no_network_can_be_is_refused(network: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        network()  # type: ignore[operator]


def test_what_cannot_be_shared_out_is_a_programming_error() -> None:
    for total, weights in ((1, [0]), (-1, [1]), (1, [-1, 2])):
        with pytest.raises(ValueError, match=r"zero|negative"):
            largest_remainder(total, weights)
    with pytest.raises(ValueError, match="must be whole"):
        largest_remainder_table([[Fraction(1, 2)]])
    with pytest.raises(ValueError, match="no factor holds"):
        carbon_pieces(0, 1, 1, [Change(1, 1)], CarbonCarry())
