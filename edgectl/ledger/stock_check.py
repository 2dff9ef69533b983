"""Does what batteries hold follow from what they held, second by second and over restarts?

    ug held = before + charged - given - lost + opened + default of the shortfall      exactly
    mJ held = before + charged * efficiency - given / efficiency + shortfall - lost
              + true-up + opened                 within the two remainders that are carried

Over a restart START must name what the last record says, and go on with that and what it says
it adjusted. Where scans are missing nothing can be followed; how often is counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgpack

from edgectl.ledger.digest import BadError
from edgectl.ledger.origins import ACCOUNTS, FIRST_STORAGE, OPENINGS
from edgectl.ledger.payload import Kind
from edgectl.ledger.rows import Row
from edgectl.ledger.stocks import NOTHING, Held, adjusted, held_of, opened_held, table

PPM = 1_000_000
MJ_MG_PER_UG = 3_600_000
REMAINDERS = 2  # mJ: one of charging and one of delivering, each under 1
NONE = (0, 0)
Amounts = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """How one run books its batteries.

    sinks   index of each battery's column of the cells
    ppm     efficiencies of charging and of delivering; empty in a ledger that does not say
    """

    boot_id: int
    names: tuple[str, ...]
    sinks: tuple[int, ...]
    ppm: tuple[tuple[int, int], ...]
    default_mg_per_kwh: int


@dataclass(slots=True)
class StockCheck:
    """Takes records in order; some may be left out, and are then not followed.

    starts      restarts over which all was followed
    unfollowed  seconds whose before is in no record
    """

    starts: int = 0
    unfollowed: int = 0
    _run: _Run | None = None
    _held: Held | None = None
    _seq: int = -1  # of the record that says it
    _next_seq: int | None = None  # of the journal; None: whatever comes is not followed
    _open: dict[str, int] = field(default_factory=dict)  # mJ not explained yet, in 1 / scale

    def take(self, row: Row) -> None:
        """The next record. Raises BadError where it does not follow."""
        run = self._run
        try:
            if row.kind in (Kind.START, Kind.NAMES):
                self._named(row)
            elif row.kind is Kind.SECOND and run is not None and row.boot_id == run.boot_id:
                self._second(row, run)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadError(
                f"what it says of batteries cannot be read: {error!r}", row.seq, row.utc_s
            ) from error

    def _named(self, row: Row) -> None:
        said = msgpack.unpackb(row.parts[0], raw=False)
        if self._run is None or self._run.boot_id != row.boot_id or row.kind is Kind.START:
            self._run = _run_of(row.boot_id, said)
            self._next_seq = None
        if row.kind is Kind.START and "stocks" in said:
            self._start(row, said)

    def _start(self, row: Row, said: Mapping[str, Any]) -> None:
        openings, before = opened_held(said["stocks"]), said["stocks_before"]
        held = {} if before is None else {name: tuple(of) for name, of in before["held"].items()}
        if self._held is not None and (before is None or held != self._held):
            raise BadError(
                f"it says that batteries held {_words(held)}; by record {self._seq} they held "
                f"{_words(self._held)}", row.seq, row.utc_s,
            )  # fmt: skip
        changes = {name: tuple(of) for name, of in said["stocks_adjusted"].items()}
        if changes != adjusted(openings, held):
            raise BadError(
                "what it says it adjusted is not what its batteries' books open with less what "
                "they held", row.seq, row.utc_s,
            )  # fmt: skip
        for each in said["stocks"]:
            if each["opened"] != "carried" and tuple(each["held"]) != NOTHING:
                raise BadError(
                    f"{each['id']} opens with what was neither carried nor declared",
                    row.seq, row.utc_s,
                )  # fmt: skip
        self.starts += self._held is not None
        self._held, self._seq, self._next_seq = openings, row.seq, 0
        self._open = dict.fromkeys(openings, 0)

    def _second(self, row: Row, run: _Run) -> None:
        parts = [msgpack.unpackb(part, raw=False) for part in row.parts]
        held = held_of(run.names, parts[0])
        says = "storage_openings" in parts[0] and bool(run.ppm)
        if self._held is not None and says and row.first_seq == self._next_seq:
            came, left = _flows(parts)
            accounts = table(parts[0]["storage_accounts"], len(ACCOUNTS))
            openings = table(parts[0]["storage_openings"], len(OPENINGS))
            for at, name in enumerate(run.names):
                flows = (*came.get(run.sinks[at], NONE), *left.get(FIRST_STORAGE + at, NONE))
                said = accounts[at] + openings[at]
                fault = self._fault(run, at, held[name], self._held[name], flows, said)
                if fault:
                    raise BadError(f"{name} {fault}", row.seq, row.utc_s)
        elif says:
            self.unfollowed += 1
            self._open = dict.fromkeys(run.names, 0)
        self._held, self._seq, self._next_seq = held, row.seq, row.last_seq + 1

    def _fault(
        self, run: _Run, at: int, now: Amounts, before: Amounts, flows: Amounts, said: Amounts
    ) -> str | None:
        """What of a battery does not follow from the second before."""
        came_mj, came_ug, left_mj, left_ug = flows
        lost_mj, lost_ug, true_up_mj, short_mj, _, opened_mj, opened_ug = said
        default_ug = short_mj * run.default_mg_per_kwh // MJ_MG_PER_UG
        ug = before[1] + came_ug - left_ug - lost_ug + opened_ug + default_ug
        if not ug <= now[1] <= ug + (short_mj > 0):
            return f"held {before[1]} ug and holds {now[1]}; by its flows it holds {ug}"
        mj = before[0] + short_mj - lost_mj + true_up_mj + opened_mj
        charge_ppm, discharge_ppm = run.ppm[at]
        name, scale = run.names[at], PPM * discharge_ppm
        self._open[name] = self._open.get(name, 0) + (now[0] - mj) * scale - (
            came_mj * charge_ppm * discharge_ppm - left_mj * PPM * PPM
        )  # fmt: skip
        if abs(self._open[name]) >= REMAINDERS * scale:
            return (f"held {before[0]} mJ and holds {now[0]}; that is "
                    f"{self._open[name] // scale} mJ from what its flows make it")  # fmt: skip
        if now[0] != sum(now[2:]) or min(now) < 0:
            return f"holds {now[0]} mJ, of origins {now[2:]}"
        return None


def _run_of(boot_id: int, said: Mapping[str, Any]) -> _Run | None:
    """None where the record names no batteries as the kernel places them."""
    names = tuple(map(str, said["storages"]))
    ppm = tuple((charge, discharge) for charge, discharge in said.get("storage_ppm") or ())
    known = said.get("default_mg_per_kwh") is not None and all(map(all, ppm))
    sinks = tuple(list(said["sinks"]).index(name) for name in names)
    return _Run(boot_id, names, sinks, ppm if known else (), said.get("default_mg_per_kwh") or 0)


def _flows(
    parts: Iterable[Mapping[str, Any]],
) -> tuple[dict[int, tuple[int, int]], dict[int, tuple[int, int]]]:
    """mJ and ug into each sink, and out of each battery and generator."""
    came: dict[int, tuple[int, int]] = {}
    left: dict[int, tuple[int, int]] = {}
    for part in parts:
        cells = part["cells"]
        energies, carbons = table(part["energy_mj"], 1), table(part["carbon_ug"], 1)
        for source, sink, (mj,), (ug,) in zip(
            cells[::2], cells[1::2], energies, carbons, strict=True
        ):
            was = came.get(sink, NONE)
            came[sink] = was[0] + mj, was[1] + ug
            if source >= FIRST_STORAGE:
                was = left.get(source, NONE)
                left[source] = was[0] + mj, was[1] + ug
    return came, left


def _words(held: Held) -> str:
    return ", ".join(f"{name} {of[0]} mJ {of[1]} ug" for name, of in held.items()) or "nothing"
