"""The chain of one battery: wanted, arbiter, interlocks, limits, ramp, output, read-back, effect.

Every step is worked out again from the record's own figures, the way ext/dispatch.pyx
does it, and says what bit there. Where a record lacks a figure for an honest answer
the answer says which; nothing is guessed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from edgectl._kernel.dispatch import RequestSource
from edgectl.explain import limits, output
from edgectl.explain.answer import Answer, Finding, Step, answer_of
from edgectl.explain.scene import Scene
from edgectl.explain.words import power, quantity, seconds

SOURCES = {
    RequestSource.SOURCE_LOCAL: "the controller's own control",
    RequestSource.SOURCE_PLAN: "the plan",
    RequestSource.SOURCE_OPERATOR: "an operator",
}
REQUEST_RATINGS_MAX = 2  # of dispatch.pyx
READY_BAND_RATIO = 0.02  # likewise

__all__ = ["Answer", "Finding", "Step", "why_storage"]


@dataclass(slots=True)
class Chain:
    """The battery under way through the chain."""

    scene: Scene
    spec: Any
    record: Any
    asked_w: float = 0.0
    missing: list[str] = field(default_factory=list)

    @property
    def outside(self) -> bool:
        """A request from outside stands."""
        return not math.isnan(float(self.record["wanted_w"]))


def why_storage(scene: Scene, index: int) -> Answer:
    """Why a battery does what it does.

    index  of the storage in the directory
    """
    chain = Chain(scene, scene.directory["storages"][index], scene.record["storages"][index])
    steps = [
        wanted(chain),
        arbiter(chain),
        *limits.steps(scene, index, chain.spec, chain.record, chain.asked_w),
        *output.steps(scene, index, chain.spec, chain.record, chain.missing),
    ]
    steps = unexplained(chain, steps)
    return answer_of(scene, str(chain.spec["id"]), steps, chain.missing, does(chain))


def unexplained(chain: Chain, steps: list[Step]) -> list[Step]:
    """The steps; where the setpoint is not what is asked and nothing was found, that is said."""
    apart_w = abs(float(chain.record["setpoint_w"]) - chain.asked_w)
    until_ramp = [each.name for each in steps].index("ramp")
    found = [each for step in steps[2 : until_ramp + 1] for each in step.findings]
    if found or apart_w <= limits.SHARED_W:
        return steps
    apart = quantity(apart_w, "W")
    text = f"the setpoint is {apart} from what is asked, and the record does not say why"
    ramp = steps[until_ramp]
    steps[until_ramp] = Step(ramp.name, ramp.value_w, ramp.lines, (Finding("unexplained", text),))
    return steps


def does(chain: Chain) -> str:
    """What the battery does now, against what is asked."""
    point = chain.scene.values.get(chain.spec["power"])
    now = power(float(chain.record["power_w"]))
    if point is None or not point.good:
        now = "silent: its power cannot be read"
    asked = power(chain.asked_w) if chain.asked_w else "nothing"
    return f"{chain.spec['id']} is {now}; {asked} is asked of it"


def wanted(chain: Chain) -> Step:
    """What is asked from outside."""
    record, findings = chain.record, []
    if not chain.outside:
        lines = ["no request from outside stands"]
        if record["lapsed"]:
            findings.append(
                Finding(
                    "request_lapsed",
                    "the last request from outside ran out, and nothing "
                    "came in its place: send it again, and renew it in time",
                )
            )
        return Step("wanted", None, tuple(lines), tuple(findings))
    value_w = float(record["wanted_w"])
    chain.missing.append("when the request lapses is not in the record")
    return Step("wanted", value_w, (f"from outside: {power(value_w)}",), ())


def arbiter(chain: Chain) -> Step:
    """Who wins, and what local control would do."""
    record, spec = chain.record, chain.spec
    source = RequestSource(int(record["source"]))
    local_w = float(record["economy_w"])
    chain.asked_w = float(record["wanted_w"]) if source != RequestSource.SOURCE_LOCAL else local_w
    findings: list[Finding] = []
    if record["rejected"]:
        rating_w = max(spec["charge_rating_w"], spec["discharge_rating_w"])
        findings.append(
            Finding(
                "request_rejected",
                f"the request, {quantity(float(record['wanted_w']), 'W')}, is beyond twice the "
                f"rating ({quantity(REQUEST_RATINGS_MAX * rating_w, 'W')}) or no number: it was "
                "rejected and local control stands",
            )
        )
    elif record["block_command"] and chain.outside:
        rows = limits.acting(chain.scene, str(spec["id"]), "block_command", "safe_state")
        findings.append(
            Finding("command_blocked", "a row blocks every request from outside", tuple(rows))
        )
    if chain.outside and source == RequestSource.SOURCE_LOCAL:
        chain.missing.append("who sent the request that does not count is not in the record")
    lines = [f"{SOURCES[source]} wins: {power(chain.asked_w)}"]
    if source == RequestSource.SOURCE_LOCAL:
        found, because = steering(chain)
        findings += found
        lines += because
    return Step("arbiter", chain.asked_w, tuple(lines), tuple(findings))


def steering(chain: Chain) -> tuple[list[Finding], list[str]]:
    """Why local control asks what it asks; findings only where it asks for nothing."""
    scene, spec, head = chain.scene, chain.spec, chain.scene.head
    soc, ready = scene.good(spec["soc"]), float(spec["ready_ratio"])
    economy_w, limit_w = float(chain.record["economy_w"]), float(spec["economy_w"])
    deferred = float(head["deferred_w"]) > 0.0
    if soc is None:
        return [
            Finding("soc_unknown", "its state of charge cannot be read: nothing is steered")
        ], []
    possible, text, code = {0.0}, "", "carbon_middle"
    start = ready - (READY_BAND_RATIO if economy_w <= 0.0 else 0.0)
    charge_w = 0.0 if deferred else limit_w
    held = f"{quantity(soc, 'ratio')} charged; from {quantity(ready, 'ratio')} down it is kept"
    g_per_kwh, carbon = int(head["grid_mg_per_kwh"]) / 1000, scene.directory["carbon"]
    if soc < start:
        possible, code = {charge_w}, "ready_ratio"
        text = f"{held} for the import cap and charged again when there is room"
        text += "; not while load is deferred" if deferred else ""
    elif head["carbon_default"]:
        code = "feed_lost"
        text = (
            f"the carbon feed is lost: the default of {g_per_kwh:g} g/kWh is booked "
            "and steers nothing"
        )
    else:
        possible, code, text = by_carbon(g_per_kwh, carbon, soc > ready, limit_w, charge_w)
        text += f"; {held} for the import cap" if code == "ready_ratio" else ""
    lines = [text]
    if economy_w not in possible:
        dwell = seconds(int(spec["dwell_ns"]))
        return [
            Finding(
                "dwell",
                f"it changes its mind at most once in {dwell} and still asks "
                f"{power(economy_w)}; {text}",
            )
        ], lines
    return ([], lines) if economy_w else ([Finding(code, text)], [])


def by_carbon(
    g_per_kwh: float, carbon: Any, ready: bool, limit_w: float, charge_w: float
) -> tuple[set[float], str, str]:
    """What the grid's carbon may ask for; two answers where only its past would tell.

    ready  the battery holds more than what is kept for the import cap
    """
    high, low = float(carbon["high_g_per_kwh"]), float(carbon["low_g_per_kwh"])
    band = float(carbon["deadband_g_per_kwh"])
    discharge_w = -limit_w if ready else 0.0
    said = f"grid carbon is {g_per_kwh:g} g/kWh"
    if g_per_kwh > high:
        if not ready:
            return {0.0}, "ready_ratio", f"{said}, above {high:g}: it would discharge"
        return {discharge_w}, "carbon_high", f"{said}, above {high:g}: it discharges"
    if g_per_kwh < low:
        after = "" if charge_w else ", but not while load is deferred"
        return {charge_w}, "carbon_low", f"{said}, under {low:g}: it charges{after}"
    possible = {0.0}
    if g_per_kwh > high - band:
        possible.add(discharge_w)
    if g_per_kwh < low + band:
        possible.add(charge_w)
    return (
        possible,
        "carbon_middle",
        f"{said}, between {low:g} and {high:g}: carbon asks for nothing",
    )


def storages(directory: Any) -> Sequence[str]:
    """Ids of the batteries."""
    return [str(each["id"]) for each in directory["storages"]]
