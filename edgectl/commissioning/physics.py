"""Commissioning by physics: from what was seen of a site to its faults, by values alone.

See docs/commissioning.md for what each check can and cannot tell.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgectl.commissioning.physics_balance import LOSS_RATIO_MAX, Balance, Branch, balance
from edgectl.commissioning.physics_energy import check_energy, check_soc
from edgectl.commissioning.physics_findings import (
    Certainty,
    Check,
    Fault,
    Finding,
    Result,
    Verdict,
)
from edgectl.commissioning.physics_local import Local, examine
from edgectl.commissioning.physics_series import DeviceView, Floats, Observation
from edgectl.commissioning.physics_step import StepPlan, assess_step
from edgectl.commissioning.physics_terms import Term, site_terms
from edgectl.site_model import Site

ORDER = (Certainty.SURE, Certainty.LIKELY, Certainty.AMBIGUOUS)
TELLING = ("balance", "v-i-pf", "step")  # a run in which none of them came to anything is none


@dataclass(frozen=True, slots=True)
class Assessment:
    """What came of it.

    branches    the meters of the sum with what they show, the grid first; W
    residual_w  grid less all others once corrected; flow_w is what flows through the site
    checks      every check, ok or not
    findings    the faults, the surest first
    limits      what these seconds of this site cannot tell
    """

    seconds: float
    branches: tuple[Branch, ...]
    residual_w: float
    flow_w: float
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]

    @property
    def measured(self) -> bool:
        """Whether anything could be said at all, and each step that was asked for was made."""
        telling = [each for each in self.checks if each.name in TELLING]
        unmade = any(each.name == "step" and each.result is Result.UNKNOWN for each in telling)
        return not unmade and any(each.result is not Result.UNKNOWN for each in telling)


def assess(
    site: Site,
    observation: Observation,
    steps: Sequence[tuple[StepPlan, Observation]] = (),
) -> Assessment:
    """Hold a site against the physics.

    observation   some seconds of the site in ordinary running
    steps         the step tests made, each with the seconds it took
    """
    terms = site_terms(site)
    locals_ = [examine(each, DeviceView(each.device, observation)) for each in terms]
    energy = [verdict for each in locals_ for verdict in check_energy(each)]
    known = frozenset(
        device
        for each in energy
        if each.finding is not None and each.finding.kind is Fault.ENERGY_DIRECTION
        for device in each.finding.devices
    )
    summed = balance(site, locals_, known)
    energy = _recounted(energy, summed)
    verdicts = [*_silent(terms, observation), *summed.verdicts]
    verdicts += [verdict for each in locals_ for verdict in each.verdicts]
    verdicts += energy
    for battery in site.batteries:
        local = next(each for each in locals_ if each.term.tag == battery.power)
        charge = check_soc(site, battery, local)
        verdicts += [] if charge is None else [charge]
    for plan, seen in steps:
        power = _stepped_power(site, plan, seen, summed.branches)
        verdicts += assess_step(site, plan, seen, terms, power)
        verdicts += _under_load(plan, seen, locals_)
    return Assessment(
        seconds=observation.seconds,
        branches=summed.branches,
        residual_w=summed.residual_w,
        flow_w=summed.flow_w,
        checks=_checks(verdicts),
        findings=_findings(site, verdicts),
        limits=_limits(site, summed.branches, summed.flow_w, bool(steps)),
    )


def _recounted(energy: Sequence[Verdict], summed: Balance) -> list[Verdict]:
    """The counters again, against a power whose scale the balance has put right."""
    scaled = {
        device
        for each in summed.verdicts
        if each.finding is not None and each.finding.kind is Fault.SCALE
        for device in each.finding.devices
    }
    again = [
        verdict
        for each in summed.branches
        if each.id in scaled
        for verdict in check_energy(replace(each.local, counting_w=each.power_w))
    ]
    return [each for each in energy if each.check.subject not in scaled] + again


def _silent(terms: Sequence[Term], observation: Observation) -> list[Verdict]:
    """A line for each meter that never answered."""
    ids = dict.fromkeys(each.device.id for each in terms)
    views = {each.device.id: DeviceView(each.device, observation) for each in terms}
    text = "did not answer"
    return [
        Verdict(Check("answers", name, Result.UNKNOWN, text))
        for name in ids
        if not views[name].answered()
    ]


def _stepped_power(
    site: Site, plan: StepPlan, seen: Observation, branches: Sequence[Branch]
) -> dict[str, Floats]:
    """Power of every branch during a step, put right as the passive checks found it.

    The battery under test keeps the sign it shows: that is what the step is to judge.
    """
    tested = next(each.power for each in site.batteries if each.id == plan.battery)
    power: dict[str, Floats] = {}
    for branch in branches:
        term, view = branch.local.term, replace(branch.local.view, observation=seen)
        shown = view.values(term.point.name)
        if shown is None:
            shown = np.full(len(seen.time_ns), np.nan)
        right = branch.local.power_w if term.tag == tested else branch.power_w
        power[term.tag] = shown * _ratio(right, branch.local.view.values(term.point.name))
    return power


def _under_load(plan: StepPlan, seen: Observation, locals_: Sequence[Local]) -> list[Verdict]:
    """V·I·PF of the battery under test, which may have stood still before."""
    local = next(each for each in locals_ if each.term.id == plan.battery)
    loaded = examine(local.term, replace(local.view, observation=seen, other_order=False))
    return [
        each
        for each in loaded.verdicts
        if each.check.name == "v-i-pf" and each.check.result is not Result.UNKNOWN
    ]


def _ratio(right: Floats, shown: Floats | None) -> float:
    """What the passive checks multiplied a power by."""
    if shown is None:
        return 1.0
    known = np.isfinite(right) & np.isfinite(shown) & (shown != 0.0)
    return float(np.median(right[known] / shown[known])) if known.any() else 1.0


def _checks(verdicts: Sequence[Verdict]) -> tuple[Check, ...]:
    """Every check, less those not measured that a later one made up for."""
    said = {
        (each.check.name, each.check.subject)
        for each in verdicts
        if each.check.result is not Result.UNKNOWN
    }
    return tuple(
        each.check
        for each in verdicts
        if each.check.result is not Result.UNKNOWN
        or (each.check.name, each.check.subject) not in said
    )


def _findings(site: Site, verdicts: Sequence[Verdict]) -> tuple[Finding, ...]:
    """One of each, the surest first, with what the devices of the same profile say."""
    found = list(dict.fromkeys(each.finding for each in verdicts if each.finding is not None))
    signs = {device for each in found if each.kind is Fault.SIGN for device in each.devices}
    found = [
        each
        for each in found
        if each.kind is not Fault.ENERGY_DIRECTION or not set(each.devices) & signs
    ]
    found = [_beside_siblings(site, each, found) for each in found]
    return tuple(sorted(found, key=lambda each: ORDER.index(each.certainty)))


def _beside_siblings(site: Site, finding: Finding, found: Sequence[Finding]) -> Finding:
    """A profile is wrong for all its devices; a device that stands alone is wrong by itself."""
    in_profile = any(change.at.startswith("[[point]]") or change.at == "[modbus]"
                     for change in finding.changes)  # fmt: skip
    if not in_profile or len(finding.devices) != 1:
        return finding
    profile = site.device(finding.devices[0]).profile.name
    siblings = [each.id for each in site.devices if each.profile.name == profile]
    alike = Counter(
        each.devices[0]
        for each in found
        if each.kind is finding.kind and each.devices[0] in siblings
    )
    if len(siblings) == 1:
        return finding
    if len(alike) == len(siblings):
        hint = f"All {len(siblings)} devices of {profile} show it: the profile is wrong."
    else:
        hint = (
            f"{len(alike)} of {len(siblings)} devices of {profile} shows it: put it right at "
            f"{finding.devices[0]}, or give it a copy of the profile with the line below."
        )
    return replace(finding, remedy=f"{finding.remedy} {hint}")


def _limits(
    site: Site, branches: Sequence[Branch], flow_w: float, stepped: bool
) -> tuple[str, ...]:
    """What stays unknown, and what would tell it."""
    limits = []
    loads = [each for each in branches if each.role == "load"]
    if len(loads) > 1:
        limits.append(
            f"Meters of {', '.join(each.local.term.id for each in loads)} exchanged among each "
            "other leave every sum as it is: switch a known load on each and look."
        )
    small = [
        each.id
        for each in branches
        if each.role != "grid" and 0.9 * abs(each.corrected_w) < LOSS_RATIO_MAX * flow_w
    ]
    if small:
        limits.append(
            f"{', '.join(small)} now carries so little that a wrong transformer ratio would hide "
            "in the losses."
        )
    if site.batteries and not stepped:
        example = f"--step {site.batteries[0].id}=2MW"
        limits.append(
            f"Commands of the batteries were not tried: {example} does, on a running one."
        )
    return tuple(limits)
