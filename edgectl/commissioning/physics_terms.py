"""The metered branches of a site: who belongs into the sum at the grid connection."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgectl.commissioning.physics_series import DeviceView, Floats
from edgectl.profiles import Point
from edgectl.site_model import Device, Site

SQRT3 = 3.0**0.5
PHASES = ("l1", "l2", "l3")
PAIRS = (
    ("voltage_l1_l2", "voltage_l2_l3", "voltage_l3_l1"),
    ("voltage_a_b", "voltage_b_c", "voltage_c_a"),
)
SMALL_RATIO = 0.03  # of its rating: below it the power factor of a feed says little
QUANTA_MIN = 20  # counts of a register that a figure must have for a few per cent
ROWS_MIN = 3
STEADY_RATIO = 0.05  # change of V·I from one reply to the next


@dataclass(frozen=True, slots=True)
class Term:
    """One metered branch.

    role      grid load pv battery
    id        of the load, PV or battery; "grid"
    tag       its power point; import and charge positive
    rating_w  the most it is to show
    """

    role: str
    id: str
    tag: str
    device: Device
    point: Point
    rating_w: float


def site_terms(site: Site) -> tuple[Term, ...]:
    """Every branch of the sum, the grid connection first."""
    rows = [("grid", "grid", site.grid.power, site.grid.import_cap_w)]
    rows += [("load", each.id, each.power, each.worst_case_w) for each in site.loads]
    rows += [("pv", each.id, each.power, each.rating_w) for each in site.pvs]
    rows += [
        ("battery", each.id, each.power, max(each.charge_rating_w, each.discharge_rating_w))
        for each in site.batteries
    ]
    return tuple(
        Term(role, name, tag, site.device(tag.partition(".")[0]), site.point(tag), rating_w)
        for role, name, tag, rating_w in rows
    )


def line_voltage(view: DeviceView) -> Floats | None:
    """Mean line-to-line voltage, V, a scan; None where the device shows none."""
    for names in (*PAIRS, ("voltage_ll",)):
        found = [values for name in names if (values := view.values(name)) is not None]
        if len(found) == len(names):
            return np.asarray(sum(found) / len(found))
    phase = phase_voltages(view)
    return None if phase is None else np.asarray(SQRT3 * sum(phase) / len(PHASES))


def phase_voltages(view: DeviceView) -> list[Floats] | None:
    """Line-to-neutral voltages, V, as the device shows them itself."""
    found = [view.values(f"voltage_{phase}") for phase in PHASES]
    return [each for each in found if each is not None] if _all(found) else None


def phase_currents(view: DeviceView) -> list[Floats] | None:
    """Currents of the phases, A, without a sign: a meter counts them as magnitudes."""
    found = [view.values(f"current_{phase}") for phase in PHASES]
    return [np.abs(each) for each in found if each is not None] if _all(found) else None


def phase_powers(view: DeviceView, name: str) -> list[Floats] | None:
    """Active power of each phase, W, of the power point of this name."""
    found = [view.values(f"{name}_{phase}") for phase in PHASES]
    return [each for each in found if each is not None] if _all(found) else None


def phase_apparent(view: DeviceView) -> list[Floats] | None:
    """V·I of each phase, VA."""
    currents = phase_currents(view)
    if currents is None:
        return None
    volts = phase_voltages(view)
    if volts is None:
        line = line_voltage(view)
        if line is None:
            return None
        volts = [line / SQRT3] * len(PHASES)
    return [volt * ampere for volt, ampere in zip(volts, currents, strict=True)]


def apparent(view: DeviceView) -> Floats | None:
    """The sum of V·I over the phases, VA, a scan; None where the map lacks one of them."""
    phases = phase_apparent(view)
    if phases is not None:
        return np.asarray(sum(phases))
    line, current = line_voltage(view), view.values("current")
    if line is None or current is None:
        return None
    return np.asarray(SQRT3 * line * np.abs(current))


def current_name(view: DeviceView) -> str | None:
    """The point whose replies the sums of V·I are taken at."""
    return next((n for n in ("current_l1", "current") if view.series(n) is not None), None)


def usable_rows(term: Term, view: DeviceView, va: Floats) -> NDArray[np.int64]:
    """Rows where a current came anew, enough flows, and as much as at the replies beside it.

    Power and current come in different replies: where much changes between, they differ.
    """
    name = current_name(view)
    series = None if name is None else view.series(name)
    if series is None:
        return np.zeros(0, np.int64)
    quantum_a = series.quantum
    current = view.values(series.point.name)
    enough = va > SMALL_RATIO * term.rating_w
    if current is not None and np.isfinite(quantum_a):
        enough &= np.abs(current) > QUANTA_MIN * quantum_a
    rows = np.flatnonzero(series.new & np.isfinite(va))
    step = np.abs(np.diff(va[rows])) <= STEADY_RATIO * va[rows][1:]
    steady = np.concatenate([[True], step]) & np.concatenate([step, [True]])
    return np.asarray(rows[steady & enough[rows]], np.int64)


def _all(found: list[Floats | None]) -> bool:
    return all(each is not None for each in found)
