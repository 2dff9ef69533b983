"""A controller that books with the values it is sent, and a ledger feed that is told of them."""

from collections import Counter
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from fake_controller import FakeController
from ledger_rig import UTC_NS, FeedRig

from edgectl.accounting.factors import Factor, Kind, Scope
from edgectl.image import Segment
from edgectl.ledger import Kind as Record
from edgectl.ledger import Ledger
from edgectl.ledger.factors import UsedFactor, factor_of, name_of, named_in
from edgectl.ledger.payload import FIGURES, unpacked

DEFAULT_MG = 480_000
HOUR_NS = 3_600 * 10**9
TTL_S = 900.0
MJ_MG_PER_UG = 3_600_000


class BookingController(FakeController):
    """Books the grid with `mg`; None is the zone's default. What it did is in `truth`."""

    def __init__(self, segment: Segment, utc_ns: int) -> None:
        super().__init__(segment, utc_ns)
        self.mg: int | None = None
        self.truth: list[int | None] = []

    def write_record(self) -> None:
        """As the fake does, with the factor in force."""
        super().write_record()
        self.truth.append(self.mg)
        record = self.journal[self.seq % len(self.journal)]
        mg = DEFAULT_MG if self.mg is None else self.mg
        record["head"]["grid_mg_per_kwh"] = mg
        record["head"]["carbon_default"] = self.mg is None
        grid_mj = record["flows"]["energy_mj"][0]
        record["flows"]["carbon_ug"] = 0
        record["flows"]["carbon_ug"][0] = grid_mj * mg // MJ_MG_PER_UG


class FactorRig(FeedRig):
    """The feed's rig with that controller."""

    def __init__(self, where: Path, **ledger: Any) -> None:
        super().__init__(where, **ledger)
        self.fake: BookingController = BookingController(self.segment, UTC_NS)
        self.known: dict[int, Factor] = {}

    def use(self, mg_per_kwh: int, kind: Kind = Kind.AVERAGE, from_ns: int = UTC_NS) -> Factor:
        """A factor goes to the controller, which has not taken it yet."""
        factor = Factor(
            mg_per_kwh, kind, Scope.DIRECT, "US-TEX-ERCO", f"plan {mg_per_kwh}", "7", from_ns,
            from_ns + HOUR_NS, from_ns, False, f"{mg_per_kwh:064x}",
        )  # fmt: skip
        self.feed.use_factor(factor, TTL_S)
        self.known[mg_per_kwh] = factor
        return factor

    def use_and_take(self, mg_per_kwh: int) -> None:
        """A factor goes to the controller, which takes it at once."""
        self.use(mg_per_kwh)
        self.fake.mg = mg_per_kwh

    def scans(self, count: int) -> None:
        """Run and book."""
        self.fake.run(count)
        self.feed.pump()

    def name(self) -> None:
        """Names and a signed head, as every hour."""
        self.feed._head_due_s = 0.0
        self.feed.pump()

    def kill(self) -> None:
        """The services end at once, and start again."""
        if self.feed._ledger is not None:  # not opened yet where they had only just started
            self.feed._ledger.signer = None
            self.feed._ledger.close()
        self.open()
        self.feed.pump()


def hold_every_second(rig: FactorRig) -> Counter[str]:
    """Assert that each second names the factors it was booked with; what there was of each."""
    seen: Counter[str] = Counter()
    told: dict[bytes, UsedFactor] = {}
    with Ledger("fake", rig.where, read_only=True) as ledger:
        for row in ledger.rows():
            seen[row.kind.name] += 1
            if row.kind in (Record.START, Record.NAMES):
                told.clear()
            elif row.kind is Record.FACTOR:
                factor = factor_of(row.public)
                assert factor is not None
                told[name_of(row.public["factor"])] = factor
            elif row.kind is Record.SECOND:
                truth = Counter(rig.fake.truth[row.first_seq : row.last_seq + 1])
                for part in row.parts:
                    _hold(rig, unpack(part), truth, told, row.public["last_utc_ns"], seen)
                _hold_carbon(unpacked(row.parts[0]), truth)
    return seen


def unpack(part: bytes) -> dict[str, Any]:
    """A part's own keys."""
    return dict(msgpack.unpackb(part, raw=False))


def _hold(
    rig: FactorRig, part: dict[str, Any], truth: Counter[int | None],
    told: dict[bytes, UsedFactor], last_ns: int, seen: Counter[str],
) -> None:  # fmt: skip
    named: Counter[int | None] = Counter()
    for name, scans, age_s in named_in(part):
        factor = told[name]  # a record since the last names says what it is
        assert (factor.method, factor.sha256) == (
            "location average", rig.known[factor.mg_per_kwh].sha256,
        )  # fmt: skip
        named[factor.mg_per_kwh] += scans
        assert factor.age_s(last_ns) - 1 <= age_s <= factor.age_s(last_ns)
    default = part.get("carbon_default_scans")
    if default is None:
        default = unpacked_figures(part)["carbon_default_scans"]
    wanted = {mg: scans for mg, scans in truth.items() if mg in rig.known}
    assert named == wanted, "each scan names the factor it was booked with, and no other"
    assert default == truth[None]
    assert part["factor_unknown_scans"] == truth.total() - named.total() - default
    seen["unknown"] += part["factor_unknown_scans"]
    seen["default"] += default
    seen["named"] += named.total()


def unpacked_figures(part: dict[str, Any]) -> dict[str, int]:
    """The site's figures by name."""
    return dict(zip(FIGURES, np.frombuffer(part["figures"], "<i8").tolist(), strict=True))


def _hold_carbon(site: dict[str, Any], truth: Counter[int | None]) -> None:
    """Where one factor covers the second, the grid's carbon is the energy times it."""
    if len(truth) == 1:
        mg = next(iter(truth)) or DEFAULT_MG
        for source, _, mj, ug in site["cells"]:
            wanted = mj * mg // MJ_MG_PER_UG if source == 0 else 0
            assert 0 <= wanted - ug <= truth.total(), "rounded down once a scan"
