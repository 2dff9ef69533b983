"""A simulated campus watched as commissioning watches one: some simulated seconds at once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.quality import Quality
from edgectl.cli.commission_record import Recorder
from edgectl.commissioning.physics import Assessment, assess
from edgectl.commissioning.physics_series import Floats, Observation
from edgectl.commissioning.physics_step import StepPlan
from edgectl.image import post, private_segment
from edgectl.plant.in_process import in_process
from edgectl.plant.traces import ClimatologyTraces
from edgectl.plant.wiring import Wiring, parse_wiring_fault
from edgectl.site_model import compile_tables, load_site

SITE = load_site("demo")
TABLES = compile_tables(SITE)
TABLES.scan["may_arm"] = 1  # no stop has to be proven on a plant in memory
TRACES = ClimatologyTraces()
START_NS = 1_000_000_000
NOON_UTC_NS = 1_690_049_000_000_000_000  # sun on the PV of the demo site
NIGHT_UTC_NS = 1_690_000_000_000_000_000
FOREVER_NS = 2**62
SETTLED_SCANS = 25


class PhysicsRig:
    """Plant with wiring faults, kernel and recorder.

    faults   as edgectl plant --wiring-fault takes them
    arm      let the controller steer; it makes its batteries move
    """

    def __init__(
        self,
        *faults: str,
        utc_ns: int = NOON_UTC_NS,
        seed: int = 1,
        scenario: str = "demo",
        arm: bool = False,
    ) -> None:
        self.utc_ns = utc_ns
        self.segment = private_segment(TABLES.directory, 64)
        self.kernel = Kernel(TABLES, self.segment.buffer)
        wiring = Wiring(tuple(map(parse_wiring_fault, faults)))
        self.plant = in_process(SITE, TABLES, TRACES, scenario=scenario, seed=seed, wiring=wiring)
        self.reader = self.segment.reader()
        self.recorder = Recorder(SITE, self.reader)
        if arm:
            self.post(MailKind.MAIL_ARM, -1, 0.0, 0)
        self.scans(SETTLED_SCANS)

    def post(self, kind: MailKind, target: int, value: float, authority: int) -> None:
        """One request that never lapses."""
        mail = (int(kind), target, value, authority, FOREVER_NS)
        post(self.segment.head, self.segment.mailbox, *mail)

    def scans(self, count: int) -> list[Any]:
        """Process images of so many scans."""
        images = []
        for _ in range(count):
            self.plant.run(self.kernel, 1, START_NS, self.utc_ns)
            images.append(self.reader.snapshot())
        return images

    def watch(self, scans: int = 60) -> Observation:
        """Some scans as an observation."""
        return self.recorder.observation(self.scans(scans))

    def reset(self) -> None:
        """Reset every interlock as the operator, once its cause is gone."""
        self.scans(120)
        for row in range(len(SITE.interlocks)):
            self.post(MailKind.MAIL_RESET, row, 0.0, int(Reset.RESET_OPERATOR))
            self.scans(1)

    def step(self, plan: StepPlan) -> Observation:
        """Step the first battery."""
        images = []
        for request_w in plan.requests_w:
            source = int(RequestSource.SOURCE_OPERATOR)
            self.post(MailKind.MAIL_STORAGE_W, 0, request_w, source)
            images += self.scans(round(plan.hold_s * 10))
        return self.recorder.observation(images)


def assess_plant(*faults: str, scans: int = 50, **options: Any) -> Assessment:
    """Watch a plant with these faults and hold it against the physics."""
    return assess(SITE, PhysicsRig(*faults, **options).watch(scans))


def assess_step_of(*faults: str, power_w: float = 2e6) -> Assessment:
    """The same with a step test of the first battery."""
    rig = PhysicsRig(*faults, scenario="steady", arm=True)
    rig.reset()
    seen = rig.watch(40)
    plan = StepPlan("BESS-01", power_w)
    return assess(SITE, seen, [(plan, rig.step(plan))])


def altered(seen: Observation, tag: str, change: Callable[[Floats], Floats]) -> Observation:
    """The same seconds with another value in one point, words and all."""
    series = seen.points[tag]
    point = series.point
    value = change(series.decoded())
    number = (value - point.offset) / point.scale
    if point.type == "f32":
        raw = number.astype(np.float32).view(np.uint32).astype(np.uint64)
    else:
        raw = np.round(number).astype(np.int64).astype(np.uint64)
        raw &= np.uint64((1 << (16 * point.words)) - 1)
    fresh = np.full(len(raw), int(Quality.QUALITY_GOOD), np.uint8)
    none = np.zeros(len(raw), np.uint8)
    other = replace(series, value=value, raw=raw, quality=fresh, reason=none)
    return replace(seen, points=dict(seen.points) | {tag: other})


def without(seen: Observation, *tags: str) -> Observation:
    """The same seconds of a map that lacks some points."""
    return replace(seen, points={tag: s for tag, s in seen.points.items() if tag not in tags})


def kinds(assessment: Assessment) -> list[tuple[str, tuple[str, ...]]]:
    """(kind, devices) of every finding."""
    return [(str(each.kind), each.devices) for each in assessment.findings]
