"""Records and cursors as the rest of edgectl sees them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from edgectl.ledger.payload import PAYLOAD_VERSION, Kind, canonical, merged
from edgectl.ledger.record import PackError, Stored


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far the ledger covers one run of the controller."""

    boot_id: int
    next_seq: int = 0
    last_period: int | None = None
    last_utc_ns: int | None = None
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One record to be written, or read back."""

    kind: Kind
    boot_id: int
    utc_s: int
    first_seq: int
    last_seq: int
    public: Mapping[str, Any]
    parts: tuple[bytes, ...] = ()
    clock: str = "unknown"
    seq: int = -1  # given when it is written

    def head(self, site: str, seq: int) -> bytes:
        """The bytes that all may see."""
        return canonical(
            {
                "version": PAYLOAD_VERSION,
                "kind": self.kind.name.lower(),
                "site": site,
                "seq": seq,
                "boot_id": self.boot_id,
                "utc_s": self.utc_s,
                "first_seq": self.first_seq,
                "last_seq": self.last_seq,
                "clock": self.clock,
                **self.public,
            }
        )

    def content(self) -> dict[str, Any]:
        """All it says, as its operator sees it."""
        return merged(self.public, self.parts)


def row_of(stored: Stored) -> Row:
    """A stored record as a row. Raises PackError where its head is not one of ours.

    A kind that is not known here is Kind.UNKNOWN: it is whole, and passed over.
    """
    try:
        public = dict(msgpack.unpackb(stored.head, raw=False))
        if public.pop("version") != PAYLOAD_VERSION or "site" not in public:
            raise PackError("its head is of another version")
        del public["site"]
        kind = Kind.__members__.get(public.pop("kind").upper(), Kind.UNKNOWN)
        return Row(
            kind, public.pop("boot_id"), public.pop("utc_s"),
            public.pop("first_seq"), public.pop("last_seq"), clock=public.pop("clock"),
            seq=public.pop("seq"), public=public, parts=stored.parts,
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError, ValueError, msgpack.UnpackException) as error:
        raise PackError(f"its head cannot be read: {error!r}") from error


Entry = tuple[Row, Cursor | None]


@dataclass(frozen=True, slots=True)
class Gap:
    """Scans the ledger does not have; `scans` is None where nobody can know how many."""

    boot_id: int
    utc_s: int
    first_seq: int
    scans: int | None


@dataclass(slots=True)
class Totals:
    """Sums over every SECOND record; the keys are names of source and sink."""

    energy_mj: Counter[tuple[str, str]] = field(default_factory=Counter)
    carbon_ug: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: int = 0
    scans: int = 0
    gap_scans: int = 0
    balance_error_mj: int = 0
    balance_error_ug: int = 0
