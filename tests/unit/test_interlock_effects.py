"""Effects that clamp: derate, limits on batteries and on the import, tiers of shedding.

Of edgectl._kernel.interlock.
"""

import math

import pytest

from edgectl._kernel.interlock import CauseOp, Effect, InterlockBench, OnBad
from edgectl.plant.rows import rows

DT_NS = 100_000_000
HOT = 2.0
STORAGES = 2
Change = tuple[Effect, float, int]


def tripped(*effects: Change, op: CauseOp = CauseOp.CAUSE_ABOVE, on: float = 1.5) -> InterlockBench:
    """One row for each (effect, value, target); row k watches point k."""
    count = range(len(effects))
    return InterlockBench(
        rows(
            "InterlockRow",
            *({"first_cause": at, "first_effect": at, "on_bad": OnBad.ON_BAD_TRIP} for at in count),
        ),
        rows("CauseRow", *({"point": at, "op": op, "on": on, "off": 1.0} for at in count)),
        rows(
            "EffectRow",
            *({"effect": effect, "value": value, "target": at} for effect, value, at in effects),
        ),
        len(effects),
        STORAGES,
    )


@pytest.mark.parametrize(
    ("ratios", "left"),
    [
        ((0.5,), 0.5),
        ((0.5, 0.3), 0.3),
        ((0.3, 0.5), 0.3),
        ((0.0,), 0.0),
        ((-1.0,), 0.0),
        ((math.nan,), 0.0),
        ((1.0,), 1.0),
        ((math.inf,), 1.0),
    ],
)
def test_the_lowest_derate_counts_and_what_is_no_ratio_leaves_nothing(
    ratios: tuple[float, ...], left: float
) -> None:
    made = tripped(*((Effect.EFFECT_DERATE, ratio, 0) for ratio in ratios))
    made.step([HOT] * len(ratios), DT_NS)
    assert made.permit(0)["derate_ratio"] == left
    assert made.permit(1)["derate_ratio"] == 1.0, "the other battery is not meant"


def test_a_derate_of_every_battery_reaches_each() -> None:
    made = tripped((Effect.EFFECT_DERATE, 0.4, -1))
    made.step([HOT], DT_NS)
    assert [made.permit(at)["derate_ratio"] for at in range(STORAGES)] == [0.4, 0.4]


@pytest.mark.parametrize("effect", [Effect.EFFECT_LIMIT_CHARGE, Effect.EFFECT_LIMIT_DISCHARGE])
def test_the_lowest_limit_of_a_battery_counts_and_the_other_is_left_alone(effect: Effect) -> None:
    made = tripped((effect, 0.0, 1), (effect, 0.0, 1), (effect, 0.0, -1), op=CauseOp.CAUSE_LIMIT)
    _, permits, _ = made.step([5.0, 7.0, 9.0], DT_NS)
    way = 0 if effect == Effect.EFFECT_LIMIT_CHARGE else 1
    assert [permits[0][way], permits[1][way]] == [9.0, 5.0]
    assert [permits[0][1 - way], permits[1][1 - way]] == [math.inf, math.inf]


@pytest.mark.parametrize(
    ("readings", "left_w"),
    [
        ((5e6, 7e6), 5e6),
        ((7e6, 5e6), 5e6),
        ((-1.0, 7e6), 0.0),
        ((0.0, 7e6), 0.0),
        ((None, 7e6), 7e6),
        ((None, None), math.inf),
    ],
)
def test_the_lowest_limit_on_the_import_counts_and_one_that_is_lost_limits_nothing(
    readings: tuple[float | None, float | None], left_w: float
) -> None:
    limit = (Effect.EFFECT_LIMIT_IMPORT, 0.0, -1)
    made = tripped(limit, limit, op=CauseOp.CAUSE_LIMIT)
    _, permits, site = made.step(list(readings), DT_NS)
    assert site["import_max_w"] == left_w
    assert [permit[:2] for permit in permits] == [(math.inf, math.inf)] * STORAGES


@pytest.mark.parametrize(("tiers", "shed"), [((1.0,), 1), ((1.0, 3.0), 3), ((3.0, 1.0, 2.0), 3)])
def test_the_highest_tier_that_a_row_asks_for_is_shed(tiers: tuple[float, ...], shed: int) -> None:
    made = tripped(*((Effect.EFFECT_SHED, tier, -1) for tier in tiers))
    assert made.step([HOT] * len(tiers), DT_NS)[2]["shed_tier"] == shed


@pytest.mark.parametrize(
    ("effect", "field"),
    [
        (Effect.EFFECT_HOLD, "hold"),
        (Effect.EFFECT_BLOCK_COMMAND, "block_command"),
        (Effect.EFFECT_RAMP_TO_ZERO, "ramp_to_zero"),
    ],
)
def test_an_effect_on_commands_marks_its_target_and_takes_no_power(
    effect: Effect, field: str
) -> None:
    made = tripped((effect, 0.0, 1))
    _, permits, _ = made.step([HOT], DT_NS)
    assert [made.permit(at)[field] for at in range(STORAGES)] == [0, 1]
    assert permits[1] == (math.inf, math.inf, effect, 0)


@pytest.mark.parametrize("group", [0, 16, 17, 63])
def test_the_first_out_of_every_group_is_forgotten_once_it_is_clear(group: int) -> None:
    made = InterlockBench(
        rows("InterlockRow", {"group": group}),
        rows("CauseRow", {"on": 1.5, "off": 1.0}),
        rows("EffectRow", {"effect": Effect.EFFECT_ZERO}),
        1,
        1,
    )
    found = []
    for value in (0.0, HOT, 0.0, HOT):
        made.step([value], DT_NS)
        found.append(made.first_outs())
    assert found == [[], [0], [], [0]]
