"""One unit of one device looked at from all sides: who it is, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edgectl.commissioning import identify, sunspec
from edgectl.commissioning.client import NS_PER_MS, Address, Failure, Line, SerialAddress
from edgectl.commissioning.firmware import FirmwareVerdict, firmware_of
from edgectl.commissioning.identify import Asker, Candidate, Verdict
from edgectl.commissioning.reading import Reading, read_points
from edgectl.profiles.model import Profile

# Where many devices and gateways answer: 1 the usual, 0 and 255 a gateway itself (Messaging Guide
# 4.4.2), 247 the highest of a serial line, 2, 3 and 126 of SunSpec inverters.
USUAL_UNITS = (1, 255, 0, 247, 3, 2, 126)
LINE_UNITS = range(1, 248)  # on a serial line 0 is broadcast, and above is reserved: MSL 2.2
OBJECTS = {  # MAP 6.21, table of objects
    0: "vendor", 1: "product code", 2: "revision", 3: "vendor URL", 4: "product name",
    5: "model name", 6: "user application",
}  # fmt: skip


@dataclass(slots=True)
class Probed:
    """All that is known of one unit.

    absent          why nobody seems to be there; then nothing else is filled in
    identification  objects of function 43/14, or why there are none
    profile         the one that fits best, or that the caller named; None when none does
    fits            whether its identity agreed; a named profile is read although it did not
    """

    unit: int
    absent: Failure | None = None
    identification: dict[int, str] | Failure = field(default_factory=dict)
    chain: sunspec.Chain | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    profile: Profile | None = None
    fits: bool = False
    firmware: FirmwareVerdict | None = None
    readings: list[Reading] = field(default_factory=list)

    @property
    def matches(self) -> list[Profile]:
        """Every profile whose identity agreed, the most certain first."""
        return [each.profile for each in self.verdicts if each.matches]

    @property
    def refuses_all(self) -> int:
        """The exception with which every identity read was refused; 0 where there is none.

        Not 2: that only says that the registers are not there.
        """
        answers = [each.answer for each in self.verdicts if each.probe is not None]
        codes = {each.code if isinstance(each, Failure) else 0 for each in answers}
        return codes.pop() if len(codes) == 1 and not codes & {0, 2} else 0

    @property
    def named(self) -> str:
        """Maker and model in the device's own words; "" when it says nothing."""
        if self.chain is not None and self.chain.device:
            return self.chain.device
        if isinstance(self.identification, Failure):
            return ""
        model = self.identification.get(5) or self.identification.get(4)
        parts = (self.identification.get(0), model or self.identification.get(1))
        return " ".join(part for part in parts if part)


def probe(line: Line, unit: int, profiles: Sequence[Profile], wanted: Profile | None) -> Probed:
    """Ask one unit everything.

    profiles  to know it by
    wanted    read the points of this one whatever the identity says; None: of the best match
    """
    asker = Asker(line, unit)
    found = recognise(asker, [*profiles, *([wanted] if wanted else [])])
    if found.absent is not None:
        return found
    if wanted is not None:
        found.profile = wanted
        found.fits = wanted.sha256 in {each.sha256 for each in found.matches}
    elif found.profile is None and not found.matches:
        found.candidates = identify.candidates(asker, profiles)
    if found.profile is not None:
        line.gap_ms = max(line.gap_ms, found.profile.gap_ns // NS_PER_MS)
        found.firmware = firmware_of(asker, found.profile)
        found.readings = read_points(line, unit, found.profile)
    return found


def recognise(asker: Asker, profiles: Sequence[Profile], whole: bool = True) -> Probed:
    """Who a unit is, without reading its points.

    whole  read the SunSpec models too, not only their headers
    """
    absent = asker.hello()
    found = Probed(asker.unit, absent)
    if absent is not None:
        return found
    distinct = {each.sha256: each for each in profiles}
    found.verdicts = identify.verdicts(asker, distinct.values())
    found.profile = identify.best(found.verdicts)
    found.fits = found.profile is not None
    found.chain = sunspec.discover(asker, whole)
    found.identification = asker.line.identification(asker.unit)
    return found


def usual_units(address: Address) -> list[int]:
    """The units to try where none is given, the likeliest first."""
    serial = isinstance(address, SerialAddress)
    return [each for each in USUAL_UNITS if not serial or each in LINE_UNITS]


def all_units(address: Address) -> list[int]:
    """Every unit that a device can have."""
    return [*LINE_UNITS] if isinstance(address, SerialAddress) else [*LINE_UNITS, 0, 255]


def first_unit(line: Line) -> int | None:
    """The first of the usual units that answers; None when none does."""
    usual = usual_units(line.address)
    for unit in usual:
        patience = len(identify.HELLOS) if unit == usual[0] else 1
        if Asker(line, unit).hello(patience) is None:
            return unit
    return None
