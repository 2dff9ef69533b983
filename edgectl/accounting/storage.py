"""What a battery holds: energy, its carbon, and where it came from.

Meters say what went in and out; the battery management system's state of charge only
corrects the books at its anchors, full and empty. Charging adds all the carbon that came
with the energy; delivering takes it out, so that nothing is counted twice and nothing is
lost. The arithmetic is that of ext/inventory.pyx, integer for integer, written apart from
it: the kernel's tests hold one against the other. Splits are by cumulative shares, origins in
the order of `rank`, slices from the oldest.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from edgectl.accounting.apportion import CarbonCarry
from edgectl.errors import DataError
from edgectl.ledger.origins import cumulative_shares

PPM = 1_000_000
SLICES_MAX = 256
DECLARED = "declared at start"
UNMETERED = "unmetered"
FIRST = ("grid", "pv", "generator")  # then whatever else, then what nobody knows


class Method(StrEnum):
    """Which carbon leaves first. Declared in every record that comes of it."""

    WEIGHTED_AVERAGE = "weighted average"
    FIFO = "first in, first out"


class Standby(StrEnum):
    """What becomes of the carbon of energy lost while the battery stands."""

    CONCENTRATE = "A: the carbon stays with what is left"
    BOOK = "B: the carbon goes to the loss account"


class Anchor(StrEnum):
    """States of charge that are certain enough to correct the books by."""

    FULL = "full"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Rules:
    """How one battery is booked; declared once, changed only with a record of it.

    charge_ppm           AC to stored, parts per million
    discharge_ppm        stored to AC
    empty_mj             at or under it the battery counts as empty
    slice_mj             FIFO: the newest slice takes more until it holds this
    default_mg_per_kwh   of energy it delivers beyond what it holds: never a clean one
    """

    charge_ppm: int
    discharge_ppm: int
    default_mg_per_kwh: int
    method: Method = Method.WEIGHTED_AVERAGE
    standby: Standby = Standby.CONCENTRATE
    empty_mj: int = 0
    slice_mj: int = 0

    def __post_init__(self) -> None:
        """Raises DataError for an efficiency outside (0, 1] or a negative figure."""
        if (
            not (0 < self.charge_ppm <= PPM and 0 < self.discharge_ppm <= PPM)
            or min(self.default_mg_per_kwh, self.empty_mj, self.slice_mj) < 0
        ):
            raise DataError(
                where="battery rules",
                problem=f"charge {self.charge_ppm} ppm, discharge {self.discharge_ppm} ppm, "
                f"default {self.default_mg_per_kwh} mg/kWh, empty {self.empty_mj} mJ, "
                f"slice {self.slice_mj} mJ",
                because="An efficiency over 1 makes energy; a negative default hides carbon.",
                remedy="Efficiencies lie over 0 and up to 1 000 000 ppm, the rest at 0 or over.",
            )


@dataclass(slots=True)
class Slice:
    """Energy that was stored together; the weighted average has one alone."""

    energy_mj: int
    carbon_ug: int
    origins_mj: dict[str, int]


@dataclass(frozen=True, slots=True)
class Drawn:
    """What left: to a bus when discharging, to the loss account otherwise.

    carbon_ug     with it, the shortfall's included
    stored_mj     taken out of the stock
    shortfall_mj  stored energy that the books did not hold; at the default intensity
    origins_mj    what was delivered, by origin; sums to it exactly
    """

    carbon_ug: int
    stored_mj: int
    shortfall_mj: int = 0
    origins_mj: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrueUp:
    """A correction of the books at an anchor; appended to the record, nothing is edited."""

    anchor: Anchor
    before_mj: int
    after_mj: int
    loss_account_ug: int


class Inventory:
    """The stock of one battery."""

    def __init__(self, rules: Rules, initial_mj: int = 0, initial_mg_per_kwh: int = 0) -> None:
        """Declare what it holds when accounting begins.

        initial_mg_per_kwh   the residual mix or the zone's default, never a clean one
        """
        self.rules = rules
        self.shortfall_mj = 0
        self._carry = CarbonCarry()
        self._charge_remainder = self._discharge_remainder = 0
        self._slices: deque[Slice] = deque()
        if initial_mj:
            carbon_ug = CarbonCarry().book_ug(initial_mj, initial_mg_per_kwh)
            self._slices.append(Slice(initial_mj, carbon_ug, {DECLARED: initial_mj}))

    @property
    def energy_mj(self) -> int:
        """Stored."""
        return sum(each.energy_mj for each in self._slices)

    @property
    def carbon_ug(self) -> int:
        """Of what is stored."""
        return sum(each.carbon_ug for each in self._slices)

    @property
    def origins_mj(self) -> dict[str, int]:
        """Stored energy by origin; sums to energy_mj exactly."""
        found: dict[str, int] = {}
        for each in self._slices:
            _add(found, each.origins_mj)
        return found

    def charge(
        self, energy_mj: int, carbon_ug: int, origins_mj: Mapping[str, int] | None = None
    ) -> int:
        """Add AC energy, less the charging loss, and all its carbon; returns mJ stored.

        origins_mj   of the AC energy; one unnamed origin where left out
        """
        of_whole = self.rules.charge_ppm * energy_mj + self._charge_remainder
        stored_mj, self._charge_remainder = divmod(of_whole, PPM)
        origins = dict(origins_mj or {UNMETERED: energy_mj})
        if min(energy_mj, carbon_ug, *origins.values()) < 0 or sum(origins.values()) != energy_mj:
            raise ValueError(f"charge of {energy_mj} mJ, {carbon_ug} ug, from {origins}")
        if not energy_mj and not carbon_ug:
            return 0
        self._put(Slice(stored_mj, carbon_ug, _scaled(origins, stored_mj)))
        return stored_mj

    def _put(self, added: Slice) -> None:
        """To what is held; first in, first out: to the newest slice while that is not full."""
        if self.rules.method is Method.FIFO:
            if self._slices and self._slices[-1].energy_mj < self.rules.slice_mj:
                added = _merged(self._slices.pop(), added)
            self._slices.append(added)
            if len(self._slices) > SLICES_MAX:
                self._slices.appendleft(_merged(self._slices.popleft(), self._slices.popleft()))
        else:
            held = self._slices.popleft() if self._slices else Slice(0, 0, {})
            self._slices.append(_merged(held, added))

    def discharge(self, delivered_mj: int) -> Drawn:
        """Take delivered AC energy out, and the carbon that belongs to it."""
        if delivered_mj < 0:
            raise ValueError(f"{delivered_mj} mJ delivered: a charge is not a discharge")
        if delivered_mj == 0:
            return Drawn(0, 0)
        of_whole = delivered_mj * PPM + self._discharge_remainder
        stored_mj, self._discharge_remainder = divmod(of_whole, self.rules.discharge_ppm)
        drawn = self._take(stored_mj)
        beyond_mj = stored_mj - drawn.stored_mj
        self.shortfall_mj += beyond_mj
        carbon_ug = drawn.carbon_ug
        origins = dict(drawn.origins_mj)
        if beyond_mj:
            carbon_ug += self._carry.book_ug(beyond_mj, self.rules.default_mg_per_kwh)
            origins[UNMETERED] = origins.get(UNMETERED, 0) + beyond_mj
        return Drawn(carbon_ug, drawn.stored_mj, beyond_mj, _scaled(origins, delivered_mj))

    def stand(self, lost_mj: int) -> Drawn:
        """Lose stored energy while standing; what is drawn goes to the loss account."""
        held_mj = self.energy_mj
        lost_mj = min(lost_mj, held_mj)
        if self.rules.standby is Standby.BOOK or lost_mj == held_mj:
            return self._take(lost_mj)
        left = cumulative_shares(held_mj - lost_mj, [each.energy_mj for each in self._slices])
        kept: deque[Slice] = deque()
        carbon_ug = 0
        for each, energy_mj in zip(self._slices, left, strict=True):
            carbon_ug += each.carbon_ug
            if energy_mj:
                kept.append(Slice(energy_mj, carbon_ug, _scaled(each.origins_mj, energy_mj)))
                carbon_ug = 0
        kept[-1].carbon_ug += carbon_ug
        self._slices = kept
        return Drawn(0, lost_mj)

    def true_up(self, anchor: Anchor, stored_mj: int) -> TrueUp:
        """Correct the stored energy at an anchor.

        anchor      EMPTY: whatever the books still hold goes to the loss account
        stored_mj   what the battery holds there by its management system

        A true-up moves energy and, but at empty, no carbon: energy that turns out to be
        missing was a loss like standing, energy found spreads the same carbon thinner.
        """
        before_mj = self.energy_mj
        if anchor is Anchor.EMPTY:
            lost_ug = self.carbon_ug
            self._slices.clear()
            if stored_mj:
                self._slices.append(Slice(stored_mj, 0, {UNMETERED: stored_mj}))
            return TrueUp(anchor, before_mj, stored_mj, lost_ug)
        if stored_mj < before_mj:
            lost = self.stand(before_mj - stored_mj)
            return TrueUp(anchor, before_mj, stored_mj, lost.carbon_ug)
        found_mj = stored_mj - before_mj
        if found_mj:
            held = self._slices.pop() if self._slices else Slice(0, 0, {})
            self._slices.append(_merged(held, Slice(found_mj, 0, {UNMETERED: found_mj})))
        return TrueUp(anchor, before_mj, stored_mj, 0)

    def resume(self, moved_mj: int, mg_per_kwh: int) -> Drawn:
        """After a restart: correct what is held by what its state of charge says moved meanwhile.

        moved_mj     below 0: used while nobody booked, what is drawn goes to the loss account
        mg_per_kwh   of what is found: declared, never clean

        The carbon of what is found is drawn too, below 0.
        """
        if moved_mj <= 0:
            return self._take(-moved_mj)
        carbon_ug = CarbonCarry().book_ug(moved_mj, mg_per_kwh)
        self._put(Slice(moved_mj, carbon_ug, {UNMETERED: moved_mj}))
        return Drawn(-carbon_ug, -moved_mj)

    def settle_empty(self) -> TrueUp | None:
        """Where the books say empty and carbon is left, move it to the loss account."""
        held_mj = self.energy_mj
        if held_mj > self.rules.empty_mj or not self.carbon_ug:
            return None
        carbon_ug = 0
        for each in self._slices:
            carbon_ug += each.carbon_ug
            each.carbon_ug = 0
        return TrueUp(Anchor.EMPTY, held_mj, held_mj, carbon_ug)

    def _take(self, stored_mj: int) -> Drawn:
        """Remove up to this much stored energy, oldest first; carbon rounded down but the last."""
        left_mj = stored_mj
        carbon_ug = 0
        origins: dict[str, int] = {}
        while self._slices and left_mj:
            head = self._slices[0]
            if head.energy_mj <= left_mj:
                self._slices.popleft()
                left_mj -= head.energy_mj
                carbon_ug += head.carbon_ug
                _add(origins, head.origins_mj)
                continue
            taken_ug = head.carbon_ug * left_mj // head.energy_mj
            taken = _scaled(head.origins_mj, left_mj)
            head.energy_mj -= left_mj
            head.carbon_ug -= taken_ug
            head.origins_mj = {
                each: amount - taken.get(each, 0) for each, amount in head.origins_mj.items()
            }
            carbon_ug += taken_ug
            _add(origins, taken)
            left_mj = 0
        return Drawn(carbon_ug, stored_mj - left_mj, 0, origins)


def _add(into: dict[str, int], more: Mapping[str, int]) -> None:
    for name, amount in more.items():
        into[name] = into.get(name, 0) + amount


def _merged(one: Slice, other: Slice) -> Slice:
    origins = dict(one.origins_mj)
    _add(origins, other.origins_mj)
    return Slice(one.energy_mj + other.energy_mj, one.carbon_ug + other.carbon_ug, origins)


def rank(origin: str) -> tuple[int, str]:
    """Where an origin stands in the kernel's order; what nobody knows comes last."""
    if origin in (DECLARED, UNMETERED):
        return len(FIRST) + 1, origin
    return FIRST.index(origin) if origin in FIRST else len(FIRST), origin


def _scaled(origins_mj: Mapping[str, int], energy_mj: int) -> dict[str, int]:
    """The same mixture for another amount; no origin gets more than it had where it shrinks."""
    names = sorted(origins_mj, key=rank)
    parts = cumulative_shares(energy_mj, [origins_mj[name] for name in names])
    return {name: part for name, part in zip(names, parts, strict=True) if part}
