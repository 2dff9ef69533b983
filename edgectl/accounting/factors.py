"""Emission factors as records: what they are of, from whom, of which version, good until when.

A factor that is lost is replaced by its last value for at most an hour, and then by the
zone's higher default; both are marked. A factor that cannot be one is refused when it
arrives, with its reason, and changes nothing.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from edgectl.errors import DataError

NS_PER_S = 1_000_000_000
HOLD_NS = 3_600 * NS_PER_S  # last value after its end
MG_PER_KWH_MAX = 5_000_000  # beyond any fuel: a unit error
RECORDS_MAX = 10_000
TEXT_MAX = 200  # of each name that a source gives
FOREVER_NS = 2**63 - 1  # the end of a value that has none


class Kind(StrEnum):
    """What a factor may be used for. A marginal one steers and is in no inventory."""

    AVERAGE = "location average"
    RESIDUAL = "residual mix"
    MARGINAL = "marginal"


class Scope(StrEnum):
    """What it counts. The two differ by half and are never mixed."""

    DIRECT = "direct"
    LIFECYCLE = "lifecycle"


@dataclass(frozen=True, slots=True)
class Factor:
    """One published value.

    valid_to_ns   end of the time it is of, exclusive
    published_ns  when its source says it was made; when it was read, where it does not
    version       of the source's model or of our own fuel factors
    estimated     the source says so, or it is a forecast
    sha256        of the bytes it was read from
    """

    mg_per_kwh: int
    kind: Kind
    scope: Scope
    zone: str
    source: str
    version: str
    valid_from_ns: int
    valid_to_ns: int
    published_ns: int
    estimated: bool
    sha256: str

    def __post_init__(self) -> None:
        """Raises DataError for a value no grid has, a time that cannot be, a name too long."""
        if not 0 <= self.mg_per_kwh <= MG_PER_KWH_MAX:
            raise refused(
                self.source[:TEXT_MAX],
                f"{self.mg_per_kwh / 1000:g} g/kWh for {self.zone}, "
                f"not between 0 and {MG_PER_KWH_MAX // 1000}",
                "Look for a unit error, or another column, at the source.",
            )
        times = 0 <= self.valid_from_ns < self.valid_to_ns <= FOREVER_NS
        if not times or not 0 <= self.published_ns <= FOREVER_NS:
            raise refused(
                self.source[:TEXT_MAX],
                f"it holds from {self.valid_from_ns} to {self.valid_to_ns} ns UTC and is of "
                f"{self.published_ns}",
                "Correct the times at the source.",
            )
        longest = max(len(each) for each in (self.zone, self.source, self.version, self.sha256))
        if longest > TEXT_MAX:
            raise refused(
                self.source[:TEXT_MAX],
                f"it is described with {longest} characters; {TEXT_MAX} are kept",
                "Shorten source, zone and version at the source.",
            )


class Standing(StrEnum):
    """How a factor came to be used; everything but CURRENT is marked in the record."""

    CURRENT = "of this time"
    HELD = "last value, its time is over"
    DEFAULT = "the zone's default: no value for over an hour"


@dataclass(frozen=True, slots=True)
class Choice:
    """The factor for an instant.

    factor   None where the default stands in
    age_ns   since the end of its time; 0 while it is current
    """

    mg_per_kwh: int
    standing: Standing
    factor: Factor | None
    age_ns: int


class FactorBook:
    """Factors of one zone, kind and scope, in order of time."""

    def __init__(
        self, zone: str, kind: Kind, scope: Scope, default_mg_per_kwh: int,
        hold_ns: int = HOLD_NS,
    ) -> None:  # fmt: skip
        """default_mg_per_kwh   the zone's higher default; hold_ns   at most HOLD_NS."""
        self.zone = zone
        self.kind = kind
        self.scope = scope
        self.default_mg_per_kwh = default_mg_per_kwh
        self.hold_ns = min(hold_ns, HOLD_NS)
        self._factors: list[Factor] = []

    def take(self, factors: Iterable[Factor]) -> int:
        """Take factors in; one of the same time and a later publication replaces. Returns how many.

        Raises DataError, with nothing taken, where one is of another zone, kind or scope.
        """
        listed = list(factors)
        for each in listed:
            if (each.zone, each.kind, each.scope) != (self.zone, self.kind, self.scope):
                raise refused(
                    each.source,
                    f"it is {each.kind}, {each.scope}, of {each.zone}; wanted is "
                    f"{self.kind}, {self.scope}, of {self.zone}",
                    "Ask the source for the other series, or change the site's basis.",
                )
        for each in listed:
            self._replace(each)
        del self._factors[:-RECORDS_MAX]
        return len(listed)

    def _replace(self, new: Factor) -> None:
        for at, old in enumerate(self._factors):
            if (old.valid_from_ns, old.valid_to_ns) == (new.valid_from_ns, new.valid_to_ns):
                if new.published_ns >= old.published_ns:
                    self._factors[at] = new
                return
        insort(self._factors, new, key=lambda each: (each.valid_from_ns, each.published_ns))

    def choose(self, utc_ns: int) -> Choice:
        """The factor for an instant: current, else held up to an hour, else the default."""
        begun = [each for each in self._factors if each.valid_from_ns <= utc_ns]
        for each in reversed(begun):
            if utc_ns < each.valid_to_ns:
                return Choice(each.mg_per_kwh, Standing.CURRENT, each, 0)
        if begun:
            last = max(begun, key=lambda each: each.valid_to_ns)
            age_ns = utc_ns - last.valid_to_ns
            if age_ns <= self.hold_ns:
                return Choice(last.mg_per_kwh, Standing.HELD, last, age_ns)
        return Choice(self.default_mg_per_kwh, Standing.DEFAULT, None, 0)


def digest(content: bytes) -> str:
    """The hash by which a record names what it was read from."""
    return sha256(content).hexdigest()


def refused(source: str, problem: str, remedy: str) -> DataError:
    """An answer of a factor's source that changes nothing."""
    return DataError(
        where=f"emission factors, {source}",
        problem=problem,
        because="It would be multiplied into every joule; the default is booked instead.",
        remedy=remedy,
    )
