"""Faults an electrician or an integrator leaves behind, put into the simulated plant.

A fault changes what a device shows, and for a command what it takes; the physics go on as
before. Each is one line of `edgectl plant --wiring-fault`, so that commissioning can be shown
finding what was not told to it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from edgectl.errors import PlantError
from edgectl.plant.parameters import PlantParameters

# Phases differ by a few parts in a thousand, as they do.
PHASE_SHARES = (1.002, 0.999, 0.999)
ENERGIES = {"energy_import": "energy_export", "energy_export": "energy_import"}
POWERS = ("active_power", "reactive_power")
TOTALS = (*POWERS, "power_factor", *ENERGIES)
PHASES = ("l1", "l2", "l3")


@dataclass(frozen=True, slots=True)
class WiringFault:
    """One fault of one device; other is the device it is exchanged with."""

    device: str
    kind: str
    other: str | None = None


def _by_phase(gains: tuple[float, float, float]) -> dict[str, float]:
    """Gains of the phases, and what they make of the totals."""
    total = sum(share * gain for share, gain in zip(PHASE_SHARES, gains, strict=True)) / 3.0
    by_point = {
        f"{name}_{phase}": gain
        for name in POWERS
        for phase, gain in zip(PHASES, gains, strict=True)
    }
    return by_point | dict.fromkeys(TOTALS, total)


def _phases_exchanged(p: PlantParameters) -> dict[str, float]:
    """Voltages of L1 and L2 exchanged against their currents: 120 degrees off, each way."""
    angle = math.acos(p.power_factor)
    turned = [math.cos(angle + turn) / p.power_factor for turn in (-math.tau / 3, math.tau / 3)]
    return _by_phase((turned[0], turned[1], 1.0))


def _gains(kind: str, p: PlantParameters) -> dict[str, float]:
    """Factor of each point by name."""
    active = ("active_power", *(f"active_power_{phase}" for phase in PHASES))
    if kind == "ct_reversed":
        turned = [name for name in _by_phase((1.0, 1.0, 1.0)) if name not in ENERGIES]
        return dict.fromkeys(turned, -1.0)
    if kind == "one_ct_reversed":
        return _by_phase((-1.0, 1.0, 1.0))
    if kind == "phases_exchanged":
        return _phases_exchanged(p)
    if kind == "x10":
        return dict.fromkeys(active, 10.0)
    if kind == "ct_x10":
        currents = ("current", *(f"current_{phase}" for phase in PHASES), "apparent_power")
        powers = [name for name in _by_phase((1.0, 1.0, 1.0)) if name != "power_factor"]
        return dict.fromkeys((*powers, *currents), 10.0)
    if kind == "energy_x1000":
        return dict.fromkeys(ENERGIES, 1000.0)
    return {}


KINDS = {
    "ct_reversed": "all its current transformers the wrong way round",
    "one_ct_reversed": "the one of L1 the wrong way round",
    "phases_exchanged": "voltages of L1 and L2 exchanged",
    "x10": "active power ten times what the profile says",
    "ct_x10": "its current transformer ratio set ten times too high",
    "word_swap": "low word first where the profile says high",
    "energy_x1000": "energy counters in Wh where the profile says kWh",
    "command_reversed": "takes a charging request for a discharging one",
    "exchanged": "connected where another one belongs: exchanged:OTHER",
}


def parse_wiring_fault(text: str) -> WiringFault:
    """A fault from DEVICE=KIND or DEVICE=exchanged:OTHER. Raises PlantError for anything else."""
    device, _, what = text.partition("=")
    kind, _, other = what.partition(":")
    if not device or kind not in KINDS or bool(other) != (kind == "exchanged") or device == other:
        raise PlantError(
            where=f"--wiring-fault {text}",
            problem="not DEVICE=KIND",
            because="A fault that is not put in would be looked for in vain.",
            remedy=f"KIND is {', '.join(KINDS)}; as in MTR-03=exchanged:MTR-04.",
        )
    return WiringFault(device, kind, other or None)


@dataclass(frozen=True, slots=True)
class Wiring:
    """All faults of a plant; the empty one is a plant without a fault."""

    faults: tuple[WiringFault, ...] = ()

    def check(self, devices: Iterable[str]) -> None:
        """Raise PlantError for a fault of a device that is not among these."""
        known = list(devices)
        for fault in self.faults:
            for name in (fault.device, fault.other):
                if name is not None and name not in known:
                    raise PlantError(
                        where=f"--wiring-fault {fault.device}={fault.kind}",
                        problem=f"the site has no device {name}",
                        because="A fault that is not put in would be looked for in vain.",
                        remedy=f"Choose from {', '.join(known)}.",
                    )

    def has(self, device: str, kind: str) -> bool:
        """Whether this device has this fault."""
        return any(fault.device == device and fault.kind == kind for fault in self.faults)

    def stands_for(self, device: str) -> str:
        """The device in whose place this one is connected; itself without an exchange."""
        for fault in self.faults:
            if fault.kind == "exchanged" and fault.other is not None:
                pair = {fault.device: fault.other, fault.other: fault.device}
                device = pair.get(device, device)
        return device

    def gain(self, device: str, point: str, p: PlantParameters) -> float:
        """What a fault multiplies one point by."""
        gain = 1.0
        for fault in self.faults:
            if fault.device == device:
                gain *= _gains(fault.kind, p).get(point, 1.0)
        return gain

    def counter(self, device: str, point: str) -> str:
        """The name of the point whose counter this one shows: import counts what was export."""
        return ENERGIES.get(point, point) if self.has(device, "ct_reversed") else point


SOUND = Wiring()
