"""Which emission factors the grid's carbon of a period was booked with, as the ledger says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edgectl.ledger.factors import UsedFactor, factor_of, name_of, named_in
from edgectl.ledger.payload import SECOND_NS
from edgectl.reports.words import iso


@dataclass(slots=True)
class FactorUse:
    """One factor within the period."""

    seconds: int = 0
    scans: int = 0
    age_min_s: int | None = None
    age_max_s: int = 0
    first_s: int = 0
    last_s: int = 0


@dataclass(slots=True)
class Provenance:
    """Collected record by record."""

    told: dict[bytes, UsedFactor] = field(default_factory=dict)  # by FACTOR records so far
    used: dict[bytes, FactorUse] = field(default_factory=dict)
    default_seconds: int = 0
    default_scans: int = 0
    unknown_seconds: int = 0
    unknown_scans: int = 0
    unrecorded_seconds: int = 0  # of an edgectl that named no factors

    def record(self, public: Mapping[str, Any]) -> None:
        """A FACTOR record, which may stand before the period."""
        factor = factor_of(public)
        if factor is not None:
            self.told[name_of(public["factor"])] = factor

    def second(self, utc_s: int, part: Mapping[str, Any], default_scans: int) -> None:
        """A second of the period: a part of it with the factors it names."""
        self.default_seconds += default_scans > 0
        self.default_scans += default_scans
        if "factors" not in part:
            self.unrecorded_seconds += 1
            return
        unknown = part["factor_unknown_scans"]
        for name, scans, age_s in named_in(part):
            if name not in self.told:  # no record says what it is
                unknown += scans
                continue
            use = self.used.setdefault(name, FactorUse(first_s=utc_s))
            use.seconds += 1
            use.scans += scans
            use.age_min_s = age_s if use.age_min_s is None else min(use.age_min_s, age_s)
            use.age_max_s = age_s if use.seconds == 1 else max(use.age_max_s, age_s)
            use.last_s = utc_s
        self.unknown_seconds += unknown > 0
        self.unknown_scans += unknown

    @property
    def source(self) -> str | None:
        """What a line has room for; None where no factor is recorded."""
        factors = [self.told[name] for name in self.used]
        if not factors:
            return None
        series = sorted({
            f"{each.source}, version {each.version}, {each.method}, {each.scope}"
            for each in factors
        })  # fmt: skip
        shown = "; ".join(series[:SERIES_SHOWN])
        more = f"; and {len(series) - SERIES_SHOWN} more" if len(series) > SERIES_SHOWN else ""
        hashes = sorted({each.sha256 for each in factors})
        of = f"SHA-256 {hashes[0]}" if len(hashes) == 1 else f"{len(hashes)} answers, each by hash"
        return f"{shown}{more}; {len(factors)} factors of {of}"

    def as_json(self) -> dict[str, Any]:
        """Each factor, in the order of first use, and what none is known of."""
        rows = []
        for name, use in sorted(self.used.items(), key=lambda each: each[1].first_s):
            factor = self.told[name]
            ends = factor.valid_to_ns
            row = {"name": name.hex()} | asdict(factor)
            row |= {
                "valid_from_utc": iso(factor.valid_from_ns // SECOND_NS),
                "valid_to_utc": None if ends is None else iso(ends // SECOND_NS),
                "published_utc": iso(factor.published_ns // SECOND_NS),
                "first_used_utc": iso(use.first_s), "last_used_utc": iso(use.last_s),
                "seconds": use.seconds, "scans": use.scans,
                "age_min_s": use.age_min_s, "age_max_s": use.age_max_s,
            }  # fmt: skip
            rows.append(row)
        return {
            "used": rows,
            "default_seconds": self.default_seconds, "default_scans": self.default_scans,
            "unknown_seconds": self.unknown_seconds, "unknown_scans": self.unknown_scans,
            "unrecorded_seconds": self.unrecorded_seconds,
        }  # fmt: skip


SERIES_SHOWN = 3
COLUMNS = (
    "name", "source", "method", "scope", "zone", "version", "sha256", "mg_per_kwh",
    "valid_from_utc", "valid_to_utc", "published_utc", "estimated", "u_ratio", "first_used_utc",
    "last_used_utc", "seconds", "scans", "age_min_s", "age_max_s",
)  # fmt: skip


def factor_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The factors of a report as rows of COLUMNS, the default and the unknown last."""
    factors = document["factors"]
    rows = [{column: each[column] for column in COLUMNS} for each in factors["used"]]
    for what in ("default", "unknown"):
        if factors[f"{what}_scans"]:
            said = "the zone's higher default of the site file" if what == "default" else (
                "no known factor has the value that was booked with"
            )  # fmt: skip
            rows.append(dict.fromkeys(COLUMNS) | {
                "source": said, "seconds": factors[f"{what}_seconds"],
                "scans": factors[f"{what}_scans"],
            })  # fmt: skip
    return rows
