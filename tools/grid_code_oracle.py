#!/usr/bin/env python3
"""EPRI's OpenDER as an oracle: the same voltages, frequencies and settings, and who trips when.

    tools/grid_code_oracle.py --samples 200000 --seed 1 --json

Random trajectories, thresholds themselves and a hair beside them among the levels, times a scan
or two around each stage's own, settings at random within their ranges, all categories, single phase
and three phases apart. Compared sample by sample for each of the eight stages: OpenDER's trip
criterion, edgectl's V/f window, and eight rows of the kernel's interlock table; for entering
service OpenDER's criterion and the window's. OpenDER counts the sample in which something begins,
the kernel counts from it: they differ by that one scan, and by no more.
"""

import argparse
import json
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import opender

from edgectl._kernel.interlock import CauseOp, Effect, InterlockBench, InterlockStatus, OnBad
from edgectl.grid_code.code import OVER, VOLTAGES, Rules, load_rules
from edgectl.grid_code.window import (
    NS_PER_S,
    EnterLimits,
    Sample,
    Stage,
    Timer,
    TripWindow,
    default_enter,
    default_stages,
)
from edgectl.plant.rows import rows

CODE = "ieee-1547-2018"
SCAN_S = 0.1
SCAN_NS = round(SCAN_S * NS_PER_S)
NOMINAL_V = 256.0  # a power of two: per unit and volt convert without rounding
WITHIN_SCANS = 1
HAIR = 1e-9
SAMPLES_A_RUN = 4000
SHORT_S = 3.0
SLOW_NS, SLOW_SHARE = 100 * NS_PER_S, 0.02  # stages of minutes eat whole trajectories
TRAJECTORIES_MIN = 12  # each category, one phase and three, defaults and settings at random
ENTER = "ENTER"
POINTS = {"under_voltage": 0, "over_voltage": 1, "under_frequency": 2, "over_frequency": 2}
# Clear of every stage, and not fit for entering service: OpenDER's timers begin as run out, and
# so must see their input false once.
AT_FIRST = ((1.08, 1.08, 1.08), 60.0)
GOOD = ((1.0, 1.0, 1.0), 60.0)

Levels = tuple[tuple[float, float, float], float]  # three phases in pu, Hz


@dataclass(slots=True)
class Tally:
    """How two series of one stage agree. run: samples in a row in which they do not."""

    compared: int = 0
    differing: int = 0
    beyond: int = 0
    worst_scans: int = 0
    trips: int = 0
    run: int = 0
    before: bool = False

    def add(self, oracle: bool, own: bool) -> None:
        """One sample of each."""
        self.compared += 1
        self.trips += oracle and not self.before
        self.before = oracle
        self.run = self.run + 1 if oracle != own else 0
        self.differing += oracle != own
        self.worst_scans = max(self.worst_scans, self.run)
        self.beyond += self.run > WITHIN_SCANS

    def fresh(self) -> None:
        """Another trajectory begins."""
        self.run, self.before = 0, False


@dataclass(slots=True)
class Report:
    """Tallies of the window and of the kernel, by stage."""

    samples: int = 0
    trajectories: int = 0
    window: dict[str, Tally] = field(default_factory=dict)
    kernel: dict[str, Tally] = field(default_factory=dict)

    def tally(self, side: dict[str, Tally], name: str) -> Tally:
        """The tally of one stage, made when first asked for."""
        return side.setdefault(name, Tally())

    def fresh(self) -> None:
        """Another trajectory begins."""
        for each in [*self.window.values(), *self.kernel.values()]:
            each.fresh()


def drawn_settings(
    rules: Rules, draw: random.Random, default: bool
) -> tuple[tuple[Stage, ...], EnterLimits]:
    """The category's defaults, or settings at random within its ranges."""
    enter = default_enter(rules)
    assert enter is not None, "the code says how to enter service"
    if default:
        return default_stages(rules), enter
    stages = []
    for rule in rules.trips:
        time_s = draw.choice([*rule.time_allowed_s, draw.uniform(*rule.time_allowed_s)])
        stages.append(
            Stage(
                rule.setting,
                rule.quantity,
                round(draw.uniform(*rule.threshold_allowed), 3),
                round(time_s * 100) * NS_PER_S // 100,
            )
        )
    ranges = {each.setting: each.allowed for each in rules.values}
    low, high, f_low, f_high = (
        round(draw.uniform(*ranges[name]), 3)
        for name in ("ES_V_LOW", "ES_V_HIGH", "ES_F_LOW", "ES_F_HIGH")
    )
    delay_s = round(draw.uniform(0, 30), 1)
    return tuple(stages), EnterLimits(low, high, f_low, f_high, round(delay_s * NS_PER_S))


def trajectory(
    stages: Sequence[Stage], enter: EnterLimits, draw: random.Random, samples: int, phases: int
) -> Iterator[Levels]:
    """Levels, sample by sample: excursions of about a stage's time, and what lies between."""
    yield AT_FIRST
    left = samples - 1
    while left > 0:
        levels, scans = _excursion(stages, draw, phases, left)
        pause = draw.choice((0, 1, 2, 5, 50))
        if draw.random() < min(0.5, SHORT_S * NS_PER_S / (enter.delay_ns + 1)):
            pause = enter.delay_ns // SCAN_NS + draw.choice((-1, 0, 1, 2, 3))
        for each, count in ((levels, scans), (GOOD, pause)):
            count = min(max(count, 0), left)
            yield from [each] * count
            left -= count


def _excursion(
    stages: Sequence[Stage], draw: random.Random, phases: int, left: int
) -> tuple[Levels, int]:
    """One level near a stage's threshold, and for how many scans."""
    slow = [each for each in stages if SLOW_NS < each.time_ns < (left - 10) * SCAN_NS]
    if slow and draw.random() < SLOW_SHARE:
        stages = slow
    weights = [1.0 / (SHORT_S + each.time_ns / NS_PER_S) for each in stages]  # short ones often
    (stage,) = draw.choices(stages, weights)
    scans = stage.time_ns // SCAN_NS + draw.choice((-2, -1, 0, 1, 2, 3))
    side = 1.0 if stage.quantity in OVER else -1.0
    off = draw.choice((0.0, -HAIR, HAIR, HAIR, 1e-3, *(draw.uniform(0.0, 0.1) for _ in range(3))))
    if stage.quantity not in VOLTAGES:
        hertz = stage.threshold + side * (off if abs(off) <= 1e-3 else 10 * off)
        return (GOOD[0], hertz), max(scans, 1)
    level = max(stage.threshold + side * off, 0.0)
    if phases == 1:
        return ((level, level, level), 60.0), max(scans, 1)
    others = (draw.uniform(0.95, 1.05), draw.uniform(0.95, 1.05))
    mixed = [level, *others]
    draw.shuffle(mixed)
    return ((mixed[0], mixed[1], mixed[2]), draw.choice((60.0, 60.0, 59.8, 61.5))), max(scans, 1)


class Oracle:
    """One OpenDER battery with given settings."""

    def __init__(
        self, category: str, stages: Sequence[Stage], enter: EnterLimits, phases: int
    ) -> None:
        opender.DER.t_s = SCAN_S
        self.der = opender.DER_BESS(
            NP_ABNORMAL_OP_CAT=f"CAT_{category}",
            NP_PHASE="SINGLE" if phases == 1 else "THREE",
            NP_AC_V_NOM=NOMINAL_V,
        )
        file = self.der.der_file
        for each in stages:
            axis = "V" if each.quantity in VOLTAGES else "F"
            setattr(file, f"{each.name}_TRIP_{axis}", each.threshold)
            setattr(file, f"{each.name}_TRIP_T", each.time_ns / NS_PER_S)
        file.ES_V_LOW, file.ES_V_HIGH = enter.v_low_pu, enter.v_high_pu
        file.ES_F_LOW, file.ES_F_HIGH = enter.f_low_hz, enter.f_high_hz
        file.ES_DELAY = enter.delay_ns / NS_PER_S
        self.der.update_der_input(p_dem_pu=0.5)
        self.phases = phases

    def step(self, levels: Levels) -> tuple[Sample, dict[str, bool]]:
        """One time step: the voltages as it worked them out, and what it decided of each stage."""
        (a, b, c), hertz = levels
        if self.phases == 1:
            self.der.update_der_input(v=a * NOMINAL_V, theta=0.0, f=hertz)
        else:
            self.der.update_der_input(v_pu=[a, b, c], f=hertz)
        self.der.run()
        crit = self.der.opstatus.tripcrit
        says = {
            name.upper(): bool(getattr(crit, f"{name}_trip"))
            for name in ("uv1", "uv2", "ov1", "ov2", "uf1", "uf2", "of1", "of2")
        }
        says[ENTER] = bool(self.der.opstatus.enterservicecrit.es_vft_crit)
        seen = self.der.der_input
        return Sample(0, float(seen.v_low_pu), float(seen.v_high_pu), hertz), says


def kernel_rows(stages: Sequence[Stage]) -> InterlockBench:
    """The stages as rows of the cause-and-effect table: one cause each, no hysteresis."""
    causes = [
        {
            "point": POINTS[each.quantity],
            "op": CauseOp.CAUSE_ABOVE if each.quantity in OVER else CauseOp.CAUSE_BELOW,
            "on": each.threshold,
            "off": each.threshold,
        }
        for each in stages
    ]
    table = [
        {
            "first_cause": at, "causes": 1, "first_effect": at, "effects": 1, "vote": 1,
            "on_delay_ns": each.time_ns, "on_bad": OnBad.ON_BAD_HOLD,
        }
        for at, each in enumerate(stages)
    ]  # fmt: skip
    effects = [{"effect": Effect.EFFECT_ZERO} for _ in stages]
    return InterlockBench(
        rows("InterlockRow", *table), rows("CauseRow", *causes), rows("EffectRow", *effects), 3, 1
    )


def compare(
    report: Report, category: str, seed: str, samples: int, phases: int, default: bool
) -> None:
    """One trajectory through all three."""
    draw = random.Random(seed)
    rules = load_rules(CODE, category)
    stages, enter = drawn_settings(rules, draw, default)
    oracle = Oracle(category, stages, enter, phases)
    window, bench, back = TripWindow(stages), kernel_rows(stages), Timer(enter.delay_ns)
    report.fresh()
    report.trajectories += 1
    for levels in trajectory(stages, enter, draw, samples, phases):
        sample, says = oracle.step(levels)
        asks = window.step(sample, SCAN_NS)
        values = [sample.v_low_pu, sample.v_high_pu, sample.frequency_hz]
        statuses, _, _ = bench.step(values, SCAN_NS)
        for at, stage in enumerate(stages):
            report.tally(report.window, stage.name).add(says[stage.name], asks[at])
            tripped = statuses[at] == InterlockStatus.INTERLOCK_TRIPPED
            report.tally(report.kernel, stage.name).add(says[stage.name], tripped)
        may = back.step(enter.holds(sample), SCAN_NS)
        report.tally(report.window, ENTER).add(says[ENTER], may)
        report.samples += 1


def run(samples: int, seed: int) -> Report:
    """At least so many samples, shared out over categories, phases, and kinds of settings."""
    report = Report()
    number = 0
    while report.samples < samples or number < TRAJECTORIES_MIN:
        category = ("I", "II", "III")[number % 3]
        phases = 1 if number % 2 == 0 else 3
        left = max(samples - report.samples, 200)
        size = min(SAMPLES_A_RUN, left, max(samples // TRAJECTORIES_MIN, 200))
        compare(report, category, f"{seed}/{number}", size, phases, number // 2 % 2 == 0)
        number += 1
    return report


def as_json(report: Report, seed: int) -> dict[str, Any]:
    """The figures."""
    sides = {"window": report.window, "kernel": report.kernel}
    return {
        "oracle": f"OpenDER {version()}",
        "seed": seed,
        "samples": report.samples,
        "trajectories": report.trajectories,
        "scan_s": SCAN_S,
        "within_scans": WITHIN_SCANS,
        "disagreements": sum(t.beyond for side in sides.values() for t in side.values()),
        **{
            name: {
                "compared": sum(each.compared for each in side.values()),
                "trips": sum(each.trips for key, each in side.items() if key != ENTER),
                "differing_within": sum(each.differing - each.beyond for each in side.values()),
                "disagreements": sum(each.beyond for each in side.values()),
                "worst_scans": max(each.worst_scans for each in side.values()),
                "trips_by_stage": {key: each.trips for key, each in side.items()},
            }
            for name, side in sides.items()
        },
    }


def version() -> str:
    """Of the oracle."""
    from importlib.metadata import version as of

    return of("opender")


def main() -> int:
    """Compare, print, and fail where anything differs by more than a scan."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=200_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=1, help="of every draw")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # OpenDER warns of a DC voltage that plays no part here
    figures = as_json(run(arguments.samples, arguments.seed), arguments.seed)
    if arguments.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:14} {value}")
    return 1 if figures["disagreements"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
