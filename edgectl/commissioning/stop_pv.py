"""The test of an inverter's silence: what is planned, and what was seen.

An inverter is held under a limit, and then no longer written to. It may keep the limit, lift it
after a while, or stop. None of these is a danger by itself; not to know which is one.
"""

from dataclasses import dataclass

from edgectl.commissioning.stop import (
    DEADBANDS_MIN,
    NOISE_RATIO,
    NS_PER_S,
    TOLERANCE_RATIO,
    NotMeasuredError,
    SilencePlan,
    Stop,
    Trace,
    last_write_ns,
    seen_since,
    settled,
)
from edgectl.site_model import Pv, Site
from edgectl.site_model.proofs import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class PvPlan(SilencePlan):
    """One test of one inverter. index: of the PV block in the site."""

    pv: Pv
    index: int


def pv_devices(site: Site) -> dict[str, int]:
    """Devices through which a PV block is limited, and the block's index."""
    return {
        pv.limit.partition(".")[0]: at for at, pv in enumerate(site.pvs) if pv.limit is not None
    }


def plan_pv(site: Site, device: str, power_w: float, observe_ns: int) -> PvPlan:
    """Plan the test of one inverter of the site that is limited.

    power_w  what it is limited to; generation is negative

    Raises NotMeasuredError for a power that it cannot show.
    """
    at = pv_devices(site)[device]
    pv = site.pvs[at]
    assert pv.limit is not None
    least_w = max(DEADBANDS_MIN * pv.deadband_w, DEADBANDS_MIN * NOISE_RATIO * pv.rating_w)
    if not least_w <= -power_w < pv.rating_w:
        raise NotMeasuredError(
            where=f"--power-w {power_w:g}",
            problem=f"{pv.id} can be seen under a limit from {-least_w / 1e6:g} to under "
            f"{-pv.rating_w / 1e6:g} MW",
            because="Generation is negative; less drowns in the deadband and the noise of the "
            "meter, more is no limit.",
            remedy="Choose about half of what the sun gives now.",
        )
    watched = pv.proof_meter or pv.power
    independent = watched.partition(".")[0] != device
    return PvPlan(
        asset=pv.id,
        command=pv.limit,
        pv=pv,
        index=at,
        device=device,
        power_w=power_w,
        observe_ns=observe_ns,
        watched=watched,
        independent=independent,
        silent=independent,
        tolerance_w=max(TOLERANCE_RATIO * -power_w, NOISE_RATIO * pv.rating_w),
        revert_ns=site.command(pv.limit).revert_ns,
        refresh_ns=pv.refresh_ns,
        steady_ns=2 * NS_PER_S,
    )


def judge_pv(plan: PvPlan, trace: Trace, muted_ns: int, look_ns: int) -> Stop:
    """What a silence shows so far.

    look_ns  the last write is known to within this, and taken as early as it can have been

    Raises NotMeasuredError where the power was not seen for too long.
    """
    written_ns = last_write_ns(trace, muted_ns)
    seen = seen_since(plan, trace, written_ns)
    observed_ns, power_w = seen[-1][0] - written_ns, seen[-1][1]
    ways: tuple[tuple[Outcome, int | None], ...] = (
        ("limit lifted", settled(seen, lambda w: w < plan.power_w - plan.band_w)),
        ("to zero", settled(seen, lambda w: abs(w) <= plan.tolerance_w)),
    )
    for outcome, at in ways:
        if at is not None:
            between_ns = seen[at][0] - (seen[at - 1][0] if at else written_ns)
            stop_ns = seen[at][0] - written_ns
            return Stop(written_ns, stop_ns, look_ns + between_ns, observed_ns, power_w, outcome)
    still: Outcome = "kept its setpoint" if plan.reached(power_w) else "went elsewhere"
    return Stop(written_ns, None, look_ns, observed_ns, power_w, still)
