"""Kirchhoff at the grid connection: what the meters sum up to, and what would make them.

grid = loads + PV + batteries + losses, import and charge positive. The losses, and what nobody
meters, are not known, only that they are not negative and not a large part. So one fault is
looked for by trying each: with which single correction do the losses become possible? Where
several do, the one stays that takes the meter's own fluctuation out of the remainder too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgectl.commissioning.physics_findings import (
    Certainty,
    Change,
    Check,
    Fault,
    Finding,
    Result,
    Verdict,
    exchange_change,
    factor_text,
    scale_change,
    sign_change,
    watts,
)
from edgectl.commissioning.physics_local import Local
from edgectl.commissioning.physics_series import Floats
from edgectl.commissioning.physics_terms import Term
from edgectl.site_model import Site

ACCURACY_RATIO = 0.02  # of what flows: meters of class 2 and reads that are not simultaneous
LOSS_RATIO_MAX = 0.10  # UPS, transformers, and small branches without a meter
IDLE_RATIO = 0.01  # of its rating: below it a branch's sign means nothing
FACTORS = (-1.0, 10.0, 0.1, 100.0, 0.01, 1000.0, 0.001)
RATING_RATIO_MAX = 1.5  # of what a branch can carry: it does not show more
ROUGHER = 1.2  # a hypothesis leaves this much more fluctuation than the best one: it is worse
SMOOTHER = 0.9  # a hypothesis that leaves less of the fluctuation is borne out by it
ROWS_MIN = 10


@dataclass(frozen=True, slots=True)
class Branch:
    """One meter in the sum.

    shown_w   the middle of what it shows
    power_w   a scan, as corrected by what was found
    """

    local: Local
    shown_w: float
    power_w: Floats

    @property
    def corrected_w(self) -> float:
        """The middle of power_w."""
        known = self.power_w[np.isfinite(self.power_w)]
        return float(np.median(known)) if len(known) else math.nan

    @property
    def id(self) -> str:
        """Device id of the meter."""
        return self.local.term.device.id

    @property
    def role(self) -> str:
        """grid load pv battery."""
        return self.local.term.role


@dataclass(frozen=True, slots=True)
class Balance:
    """The sum as it stands.

    residual_w   grid less all others: losses and what has no meter
    flow_w       what flows through the site, W
    branches     the meters, the grid first
    """

    branches: tuple[Branch, ...]
    verdicts: tuple[Verdict, ...]
    residual_w: float
    flow_w: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One correction: each shown value at an index is `factor` times the true one."""

    index: int
    factor: float
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a hypothesis leaves: median remainder and its fluctuation, W."""

    hypothesis: Hypothesis
    residual_w: float
    roughness_w: float
    possible: bool


def balance(site: Site, locals_: Sequence[Local], turn_known: frozenset[str]) -> Balance:
    """Sum the meters up and find the fault that explains what is wrong.

    turn_known   devices whose import counter runs while their power exports: their sign is
                 wrong in the profile, not at the transformers
    """
    branches = [
        Branch(each, _middle(each.view.values(each.term.point.name)), each.power_w)
        for each in locals_
    ]
    missing = [each.id for each in branches if not np.isfinite(each.power_w).any()]
    if missing:
        text = f"{', '.join(missing)} shows no power: the sum cannot be closed"
        unknown = Verdict(Check("balance", site.id, Result.UNKNOWN, text))
        return Balance(tuple(branches), (unknown,), math.nan, math.nan)
    rows = np.all([np.isfinite(each.power_w) for each in branches], axis=0)
    if rows.sum() < ROWS_MIN:
        unknown = Verdict(
            Check("balance", site.id, Result.UNKNOWN, "too few scans with every meter")
        )
        return Balance(tuple(branches), (unknown,), math.nan, math.nan)
    return _explain(site, branches, rows, turn_known)


def _middle(values: Floats | None) -> float:
    return math.nan if values is None else float(np.nanmedian(values))


def _matrix(branches: Sequence[Branch], rows: Floats) -> Floats:
    return np.array([each.power_w[rows] for each in branches])


def _measure(shown: Floats, terms: Sequence[Term], hypothesis: Hypothesis | None) -> Outcome:
    """The remainder under one hypothesis. shown: W, one row a branch, the grid first."""
    power = shown
    if hypothesis is not None:
        power = shown.copy()
        if hypothesis.other is None:
            power[hypothesis.index] /= hypothesis.factor
        else:
            pair = [hypothesis.index, hypothesis.other]
            power[pair] = shown[pair[::-1]]
    residual = power[0] - power[1:].sum(axis=0)
    middle = np.median(power, axis=1)
    residual_w, flow_w = float(np.median(residual)), _flow(middle, terms)
    slack_w = ACCURACY_RATIO * flow_w
    possible = -slack_w <= residual_w <= LOSS_RATIO_MAX * flow_w + slack_w
    possible &= all(
        _can_be(term, value, slack_w) for term, value in zip(terms, middle, strict=True)
    )
    rough_w = float(np.std(np.diff(residual)))
    return Outcome(hypothesis or Hypothesis(-1, 1.0), residual_w, rough_w, bool(possible))


def _can_be(term: Term, power_w: float, slack_w: float) -> bool:
    """Whether a branch can carry this power in this direction at all."""
    if term.role == "grid":
        return True
    if abs(power_w) > RATING_RATIO_MAX * term.rating_w + slack_w:
        return False
    if term.role == "load":
        return power_w >= -slack_w
    return term.role != "pv" or power_w <= slack_w


def _flow(middle: Floats, terms: Sequence[Term]) -> float:
    """What the site consumes and stores: loads, and batteries either way, W."""
    kinds = np.array([term.role in ("load", "battery") for term in terms])
    return float(np.abs(middle[kinds]).sum())


def _explain(site: Site, branches: list[Branch], rows: Floats, known: frozenset[str]) -> Balance:
    terms = [each.local.term for each in branches]
    before = _measure(_matrix(branches, rows), terms, None)
    verdicts, turned = _impossible_signs(site, branches, rows, known)
    shown = _matrix(turned, rows)
    now = _measure(shown, terms, None)
    flow = _flow(np.median(shown, axis=1), terms)
    if not now.possible:
        found = _search(shown, terms)
        finding = _name(site, turned, now, found, known)
        verdicts.append(
            Verdict(Check("balance", site.id, Result.FINDING, _text(now, flow)), finding)
        )
        if finding.certainty is not Certainty.AMBIGUOUS and found:
            turned = _apply(turned, _plainest(found, turned, known)[0].hypothesis)
            shown = _matrix(turned, rows)
            now = _measure(shown, terms, None)
            flow = _flow(np.median(shown, axis=1), terms)
    elif verdicts or any(each.local.rescaled for each in branches):
        text = f"{_text(now, flow)} once corrected; {watts(before.residual_w)} as shown"
        verdicts.append(Verdict(Check("balance", site.id, Result.OK, text)))
    else:
        verdicts.append(Verdict(Check("balance", site.id, Result.OK, _text(now, flow))))
    return Balance(tuple(turned), tuple(verdicts), now.residual_w, flow)


def _text(outcome: Outcome, flow: float) -> str:
    share = f", {outcome.residual_w / flow:.1%} of {watts(flow)}" if flow > 0.0 else ""
    return f"grid less all meters {watts(outcome.residual_w)}{share}"


def _apply(branches: list[Branch], hypothesis: Hypothesis) -> list[Branch]:
    changed = list(branches)
    at, other = hypothesis.index, hypothesis.other
    if other is None:
        power = branches[at].power_w / hypothesis.factor
        changed[at] = replace(branches[at], power_w=power)
    else:
        changed[at] = replace(branches[at], power_w=branches[other].power_w)
        changed[other] = replace(branches[other], power_w=branches[at].power_w)
    return changed


# ---- signs that cannot be


def _impossible_signs(
    site: Site, branches: list[Branch], rows: Floats, known: frozenset[str]
) -> tuple[list[Verdict], list[Branch]]:
    """Loads that generate and PV that consumes: reversed, or exchanged with one another."""
    shown = _matrix(branches, rows)
    terms = [each.local.term for each in branches]
    middle = np.median(shown, axis=1)
    wrong = [
        at
        for at, each in enumerate(branches)
        if (each.role == "load" and middle[at] < -IDLE_RATIO * each.local.term.rating_w)
        or (each.role == "pv" and middle[at] > IDLE_RATIO * each.local.term.rating_w)
    ]
    loads = [at for at in wrong if terms[at].role == "load"]
    pvs = [at for at in wrong if terms[at].role == "pv"]
    if len(loads) == len(pvs) == 1:
        crossed = Hypothesis(loads[0], 1.0, pvs[0])
        both = shown.copy()
        both[[loads[0], pvs[0]]] *= -1.0
        outcome = _measure(shown, terms, crossed)
        if outcome.possible and not _measure(both, terms, None).possible:
            finding = _exchanged(site, branches, crossed, _measure(shown, terms, None), outcome)
            check = Check("balance", finding.devices[0], Result.FINDING, finding.evidence[0])
            return [Verdict(check, finding)], _apply(branches, crossed)
    verdicts, turned = [], list(branches)
    for at in wrong:
        without = _measure(_matrix(turned, rows), terms, None)
        turned = _apply(turned, Hypothesis(at, -1.0))
        after = _measure(_matrix(turned, rows), terms, None)
        verdicts.append(_reversed(branches[at], middle[at], without, after, known))
    return verdicts, turned


def _reversed(
    branch: Branch, shown_w: float, before: Outcome, after: Outcome, known: frozenset[str]
) -> Verdict:
    what = "consumes" if branch.role == "load" else "generates"
    finding = _sign_finding(branch, known, before, after)
    evidence = (
        f"{branch.id} shows {watts(shown_w)}, but {branch.local.term.id} {what}.",
        *finding.evidence,
    )
    text = f"{watts(shown_w)} where {branch.local.term.id} {what}"
    check = Check("balance", branch.id, Result.FINDING, text)
    return Verdict(check, replace(finding, evidence=evidence))


def _sign_finding(
    branch: Branch, known: frozenset[str], before: Outcome, after: Outcome
) -> Finding:
    """A reversed power: transformers or the profile's sign, as the energy counter tells."""
    device, point = branch.local.term.device, branch.local.term.point
    evidence = (
        f"The sum of the meters is {watts(abs(before.residual_w))} from the grid meter; with "
        f"{branch.id} reversed it is {watts(abs(after.residual_w))}.",
    )
    change = (sign_change(device, point),)
    if branch.id in known:
        return Finding(
            Fault.SIGN, (device.id,),
            f"sign: power of {device.id} has the wrong sign in its profile",
            (*evidence, "Its own counter of the other direction runs: the device knows better."),
            "Correct the sign of the point.", change,
        )  # fmt: skip
    return Finding(
        Fault.SIGN, (device.id,),
        f"CT reversed on {device.id}",
        evidence,
        "Turn the current transformers of all three phases round, or exchange their leads. If "
        "that cannot be done, change the line; its energy counters are exchanged then as well.",
        change,
    )  # fmt: skip


# ---- one fault of any meter


def _search(shown: Floats, terms: Sequence[Term]) -> list[Outcome]:
    """Every single correction that leaves a possible remainder, the smoothest first."""
    trials = [
        Hypothesis(at, factor)
        for at in range(len(shown))
        for factor in FACTORS
    ] + [Hypothesis(0, 1.0, at) for at in range(1, len(shown))]  # fmt: skip
    outcomes = [_measure(shown, terms, each) for each in trials]
    possible = sorted((each for each in outcomes if each.possible), key=lambda o: o.roughness_w)
    if not possible:
        return []
    limit = ROUGHER * possible[0].roughness_w
    return [each for each in possible if each.roughness_w <= limit]


def _plainest(
    found: Sequence[Outcome], branches: Sequence[Branch], known: frozenset[str]
) -> list[Outcome]:
    """One hypothesis a meter, of the smallest factor.

    A sign that the device's own counter denies stands before all others.
    """
    chosen: dict[tuple[int, int | None], Outcome] = {}
    for each in sorted(found, key=lambda o: abs(math.log(abs(o.hypothesis.factor)))):
        chosen.setdefault((each.hypothesis.index, each.hypothesis.other), each)
    denied = [
        each
        for each in chosen.values()
        if each.hypothesis.factor < 0.0 and branches[each.hypothesis.index].id in known
    ]
    return denied[:1] or list(chosen.values())


def _name(
    site: Site,
    branches: list[Branch],
    now: Outcome,
    found: Sequence[Outcome],
    known: frozenset[str],
) -> Finding:
    """The finding for what the search came to."""
    plain = _plainest(found, branches, known)
    if not plain:
        return _unexplained(branches, now)
    findings = [_one(site, branches, now, each, known) for each in plain]
    if len(findings) == 1:
        others = tuple(
            _one(site, branches, now, each, known).what
            for each in found
            if each not in plain and each.hypothesis.index == plain[0].hypothesis.index
        )
        if now.residual_w > 0.0 and plain[0].roughness_w > SMOOTHER * now.roughness_w:
            others += (f"a branch of about {watts(now.residual_w)} without a meter",)
        if findings[0].kind is Fault.SIGN and findings[0].devices[0] in known:
            return findings[0]
        certainty = Certainty.LIKELY if others else findings[0].certainty
        return replace(findings[0], certainty=certainty, alternatives=others)
    devices = tuple(dict.fromkeys(device for each in findings for device in each.devices))
    return Finding(
        Fault.UNEXPLAINED,
        devices,
        f"the balance is wrong, and {len(findings)} single faults explain it equally",
        tuple(each.evidence[0] for each in findings),
        f"Cannot tell {' from '.join(devices)} by physics: read each at its own display, or switch "
        "a known load on one of them and look which meter moves by it.",
        certainty=Certainty.AMBIGUOUS,
        alternatives=tuple(each.what for each in findings),
    )


def _unexplained(branches: list[Branch], now: Outcome) -> Finding:
    largest = sorted(branches[1:], key=lambda each: -abs(each.corrected_w))[:3]
    more = "less than" if now.residual_w < 0.0 else "more than"
    return Finding(
        Fault.UNEXPLAINED,
        (branches[0].id,),
        f"the grid meter shows {watts(abs(now.residual_w))} {more} the sum of the meters",
        (
            "No single reversed sign, power of ten or exchange with the grid meter explains it.",
            f"The largest meters are {', '.join(each.id for each in largest)}.",
        ),
        "If a branch has no meter, that is the rest. Otherwise there are two faults: compare each "
        "meter with its own display, the largest first.",
        certainty=Certainty.LIKELY,
    )


def _one(
    site: Site, branches: list[Branch], now: Outcome, outcome: Outcome, known: frozenset[str]
) -> Finding:
    hypothesis = outcome.hypothesis
    if hypothesis.other is not None:
        return _exchanged(site, branches, hypothesis, now, outcome)
    branch = branches[hypothesis.index]
    if hypothesis.factor < 0.0:
        return _sign_finding(branch, known, now, outcome)
    return _ratio(branch, hypothesis.factor, now, outcome)


def _exchanged(
    site: Site, branches: list[Branch], hypothesis: Hypothesis, now: Outcome, outcome: Outcome
) -> Finding:
    assert hypothesis.other is not None, "the caller tries an exchange"
    one, other = branches[hypothesis.index], branches[hypothesis.other]
    same = one.local.term.device.profile.name == other.local.term.device.profile.name
    remedy = "Exchange the two addresses, as below, or the cables."
    if not same:
        remedy = "They have different maps, so each answers as itself: exchange their measuring "
        remedy += "connections, or name the other tag in the site file."
    tags = (
        Change(
            site.path.name, f"power of {one.local.term.id}", f'power = "{other.local.term.tag}"'
        ),
        Change(
            site.path.name, f"power of {other.local.term.id}", f'power = "{one.local.term.tag}"'
        ),
    )
    changes = exchange_change(site, one.local.term.device, other.local.term.device)
    return Finding(
        Fault.EXCHANGED,
        (one.id, other.id),
        f"meters {one.id} and {other.id} exchanged",
        (
            f"The sum of the meters is {watts(abs(now.residual_w))} from the grid meter; with "
            f"{one.id} and {other.id} exchanged it is {watts(abs(outcome.residual_w))}.",
        ),
        remedy,
        changes if same else tags,
    )


def _ratio(branch: Branch, factor: float, now: Outcome, outcome: Outcome) -> Finding:
    """A power of ten that V·I did not see: the transformer ratio, where the meter shows V and I."""
    device, point = branch.local.term.device, branch.local.term.point
    seen = branch.local.stands_in or any(
        each.check.name == "v-i-pf" and each.check.result is Result.OK
        for each in branch.local.verdicts
    )
    times = f"x{10 ** abs(round(math.log10(factor)))}"
    way = "too high" if factor > 1.0 else "too low"
    evidence = (
        f"The sum of the meters is {watts(abs(now.residual_w))} from the grid meter; with "
        f"{branch.id} times {factor_text(1.0 / factor)} it is {watts(abs(outcome.residual_w))}.",
    )
    if seen:
        return Finding(
            Fault.CT_RATIO, (device.id,),
            f"{times} scale: current transformer ratio of {device.id} {way}",
            (*evidence, "V·I·PF agrees with its power: current and power are wrong together."),
            f"Set the current (or voltage) transformer ratio in {device.id} to "
            f"{factor_text(1.0 / factor)} of what it is.",
        )  # fmt: skip
    return Finding(
        Fault.SCALE, (device.id,),
        f"{times} scale: power of {device.id} {way}",
        (*evidence, "The map shows no V and I to hold it against."),
        "Correct the scale of the point, or the transformer ratio in the device.",
        (scale_change(device, point, factor),),
        Certainty.LIKELY,
    )  # fmt: skip
