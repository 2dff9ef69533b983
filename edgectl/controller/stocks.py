"""What the batteries hold, over a restart: energy, its carbon, its origins, its slices.

Two places have it. The segment of the run before is still in memory after a stop
and after a kill, and its snapshot is that of the last scan. `<data dir>/<site>.stocks`
has two slots (slots.py), written with the first scan, every WRITE_EVERY_NS and at a
stop; after a power cut it is what is left. The later of the two is carried. A data
directory without that file never saw a run: it begins anew, whatever is in memory.

A battery is found by its id. What is carried must be the same battery's: of the
same capacity, booked by the same method, not over AGE_MAX_NS old. Else its content
is declared anew, as on a first start, and that is told: in the log, and in the
START record, where whoever verifies holds it against the ledger's last record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgpack
import numpy as np
import structlog
from numpy.typing import NDArray

from edgectl._kernel.inventory import StockAnchor, StockOpening
from edgectl._kernel.layout import DTYPES
from edgectl.controller.slots import BadSlotError, Form, SlotFile, pack, unpack
from edgectl.errors import SegmentError
from edgectl.events import emit
from edgectl.image import SegmentReader, attach
from edgectl.image.layout import SLICES_MAX, fifo_storages

MAGIC = b"edgestk1"
SLOT_BYTES = 512 * 1024  # 16 batteries of 256 slices, 48 bytes each, and as much again
WRITE_EVERY_NS = 10_000_000_000
RETRY_NS = 5_000_000_000
DAY_NS = 86_400_000_000_000
AGE_MAX_NS = 7 * DAY_NS  # who knows how often it was charged and emptied since
AHEAD_MAX_NS = DAY_NS // 24  # a clock without a battery of its own starts a little behind
START_NS = 5_000_000_000  # from here to the first scan, at most
HELD_MAX = 2**62  # mJ and ug, HELD_BITS of inventory.pxd
PPM = 1_000_000
NS_PER_S = 1_000_000_000
MJ_PER_J = 1_000
ORIGINS = 4
SLICE_INTEGERS = 2 + ORIGINS
CARRIED, DECLARED = "carried", "declared"
FIRST_START = "first start: nothing was kept"

log = structlog.get_logger()
Amounts = tuple[int, ...]


class Kernel(Protocol):
    """The kernel's door to what its batteries held."""

    def carry(self, storage: int, kept: NDArray[np.void], slices: NDArray[np.void]) -> None:
        """Take over what a battery held, before the first scan."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """What one battery held.

    held         mJ stored, ug of it, mJ of each origin
    remainders   of the divisions by the efficiencies and of standing, carried
    soc          ppm when it was last known, and mJ held then; empty: never
    visited      StockAnchor that corrected the books last
    slices       like held, the oldest first; none with the weighted average
    """

    id: str
    capacity_j: float
    method: str
    held: Amounts
    remainders: Amounts
    soc: Amounts
    visited: int
    slices: tuple[Amounts, ...]

    @property
    def fault(self) -> str | None:
        """Why these cannot be a battery's books; the kernel believes them as they are."""
        every = (*self.held, *self.remainders, *self.soc, self.visited, *sum(self.slices, ()))
        lengths = len(self.held), len(self.remainders), len(self.soc), len(self.slices)
        if any(type(each) is not int or not 0 <= each <= HELD_MAX for each in every):
            return "a figure is none, or out of range"
        if lengths[:2] != (SLICE_INTEGERS, 3) or lengths[2] not in (0, 2):
            return "figures are missing"
        if (self.soc and self.soc[0] > PPM) or self.visited not in tuple(StockAnchor):
            return "its state of charge is out of range"
        if max(self.remainders) > NS_PER_S:
            return "a remainder is out of range"
        for each in (self.held, *self.slices):
            if len(each) != SLICE_INTEGERS or sum(each[2:]) != each[0]:
                return "origins do not add up to what it holds"
        sums = tuple(map(sum, zip(*self.slices, strict=True))) or (0,) * SLICE_INTEGERS
        if self.method == "fifo" and (sums != self.held or lengths[3] > SLICES_MAX):
            return "slices do not add up to what it holds"
        return None if self.method == "fifo" or not self.slices else "it has slices"


@dataclass(frozen=True, slots=True)
class Kept:
    """What all batteries held at the end of one scan.

    seq   of the journal of that run; utc_ns of the scan
    """

    boot_id: int
    seq: int
    utc_ns: int
    stocks: tuple[Held, ...]
    sequence: int = 0
    slot: int = 0


def pack_slot(sequence: int, kept: Kept) -> bytes:
    """One slot as it lies in the file."""
    stocks = [[getattr(each, name) for name in Held.__slots__] for each in kept.stocks]
    payload = msgpack.packb([kept.boot_id, kept.seq, kept.utc_ns, stocks], use_bin_type=True)
    return pack(MAGIC, SLOT_BYTES, sequence, bytes(payload))


def unpack_slot(raw: bytes, slot: int) -> Kept:
    """What the slot has. Raises BadSlotError with what is wrong."""
    sequence, payload = unpack(MAGIC, SLOT_BYTES, raw)
    try:
        boot_id, seq, utc_ns, stocks = msgpack.unpackb(payload, raw=False, use_list=False)
        kept = Kept(boot_id, seq, utc_ns, tuple(Held(*each) for each in stocks), sequence, slot)
        faults = [f"{each.id}: {each.fault}" for each in kept.stocks if each.fault]
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise BadSlotError(f"it cannot be read: {error}") from error
    if faults:
        raise BadSlotError("; ".join(faults))
    return kept


def stocks_file(path: Path) -> SlotFile[Kept, Kept]:
    """The file at this path; nothing is opened yet."""
    return SlotFile(path, Form(SLOT_BYTES, pack_slot, unpack_slot))


def kept_of(image: Any, directory: Mapping[str, Any], boot_id: int) -> Kept:
    """What a snapshot says; batteries of which nothing is booked yet are left out.

    directory   of the snapshot's segment
    """
    rings = {at: image["slices"][ring] for ring, at in enumerate(fifo_storages(directory))}
    found = []
    for at, (spec, own) in enumerate(zip(directory["storages"], image["stocks"], strict=True)):
        if int(own["opening"]) == StockOpening.OPENING_AWAITED:
            continue
        slices = rings[at][: int(own["count"])] if at in rings else ()
        names = ("charge_remainder", "discharge_remainder", "standby_remainder")
        found.append(
            Held(
                str(spec["id"]), float(spec["capacity_j"]), str(spec["carbon_method"]),
                _amounts(own["held"]), tuple(int(own[name]) for name in names),
                (int(own["soc_ppm"]), int(own["soc_mj"])) if own["soc_known"] else (),
                int(own["visited"]), tuple(_amounts(each) for each in slices),
            )
        )  # fmt: skip
    record = image["record"]
    return Kept(boot_id, int(record["seq"]), int(record["utc_ns"]), tuple(found))


def _amounts(of: Any) -> Amounts:
    return (int(of["energy_mj"]), int(of["carbon_ug"]), *of["origins_mj"].tolist())


def kept_in(segment: Path) -> Kept | None:
    """What a segment says whose controller is gone; None where there is none or it is torn."""
    try:
        with attach(segment) as reader:
            return _left(reader)
    except (SegmentError, KeyError, TypeError, ValueError):
        return None


def _left(reader: SegmentReader) -> Kept | None:
    if reader.alive() or reader.journal_head == 0:
        return None
    kept = kept_of(reader.snapshot(), reader.directory, reader.boot_id)
    return None if any(each.fault for each in kept.stocks) else kept


class StockRetention:
    """Keeps what the batteries of one controller hold, and gives it back at the next start."""

    def __init__(self, path: Path, storages: Sequence[Mapping[str, Any]]) -> None:
        """path   of the file; storages   of the directory, in the kernel's order"""
        self.file = stocks_file(path)
        self.storages = storages
        self._carried: dict[int, Held] = {}  # by the kernel's place
        self._openings: list[dict[str, Any]] = []
        self._first = False
        self._written: tuple[int, int] | None = None  # run and journal record
        self._due_ns = 0
        self._failing = False

    def openings(self, segment: Path, utc_ns: int) -> list[dict[str, Any]]:
        """How each battery's books open in this run, in plain types for the START record.

        segment   where that of the run before lies, before it is replaced
        """
        found = self.file.read()
        left = kept_in(segment) if self.file.path.exists() else None
        lost = bool(self.file.problems) and found is None
        if lost:
            emit(log, "stocks.lost", path=str(self.file.path),
                 problem="; ".join(self.file.problems))  # fmt: skip
        for problem in [] if lost else self.file.problems:
            emit(log, "stocks.slot_bad", path=str(self.file.path), problem=problem)
        kept = max(
            (each for each in (found, left) if each is not None),
            key=lambda each: (each.boot_id, each.seq), default=None,
        )  # fmt: skip
        if kept is not None and kept is left:
            self._write(kept)  # the segment is about to go: a crash from here on loses nothing
        nothing = "what was kept cannot be read" if lost else FIRST_START
        openings = [
            self._opening(at, spec, kept, utc_ns, nothing) for at, spec in enumerate(self.storages)
        ]
        self._openings, self._first = openings, kept is None and not lost
        return openings

    def carry(self, kernel: Kernel) -> None:
        """Hand the kernel what is carried, before its first scan, and tell how books open."""
        self._say()
        for at, held in self._carried.items():
            kept = np.zeros(1, DTYPES["StockKept"])
            _fill(kept["held"][0], held.held)
            names = ("charge_remainder", "discharge_remainder", "standby_remainder")
            for name, value in zip(names, held.remainders, strict=True):
                kept[name] = value
            if held.soc:
                kept["soc_known"], kept["soc_ppm"], kept["soc_mj"] = 1, *held.soc
            kept["reach_mj"] = self._openings[at]["reach_mj"]
            kept["visited"], kept["count"] = held.visited, len(held.slices)
            slices = np.zeros(len(held.slices), DTYPES["StockSlice"])
            for place, amounts in zip(slices, held.slices, strict=True):
                _fill(place, amounts)
            kernel.carry(at, kept, slices)

    def look(self, image: Any, directory: Mapping[str, Any], boot_id: int, now_ns: int) -> None:
        """Write what is held now, when it is due.

        image     snapshot of a kernel that has scanned at least once
        now_ns    monotonic
        """
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + WRITE_EVERY_NS
            self._keep(kept_of(image, directory, boot_id), now_ns)

    def finish(self, image: Any, directory: Mapping[str, Any], boot_id: int) -> None:
        """The last scan is over: write what it left."""
        self._keep(kept_of(image, directory, boot_id), 0)

    def _keep(self, kept: Kept, now_ns: int) -> None:
        if kept.stocks and self._written != (kept.boot_id, kept.seq) and not self._write(kept):
            self._due_ns = now_ns + RETRY_NS

    def _write(self, kept: Kept) -> bool:
        """Whether it is on the disk."""
        try:
            self.file.write(kept)
        except OSError as error:
            if not self._failing:
                emit(log, "stocks.write_failed", path=str(self.file.path), error=str(error))
            self._failing = True
            return False
        if self._failing:
            emit(log, "stocks.write_restored", path=str(self.file.path))
        self._failing = False
        self._written = kept.boot_id, kept.seq
        return True

    def _opening(
        self, at: int, spec: Mapping[str, Any], kept: Kept | None, utc_ns: int, nothing: str
    ) -> dict[str, Any]:
        """Of one battery; what is carried is set aside for the kernel."""
        held = next(
            (each for each in (kept.stocks if kept else ()) if each.id == spec["id"]), None
        )  # fmt: skip
        why = nothing if kept is None else _unfit(spec, held, utc_ns - kept.utc_ns)
        opening: dict[str, Any] = {"id": spec["id"], "opened": DECLARED, "why": why,
                                   "held": [0] * SLICE_INTEGERS}  # fmt: skip
        if kept is None or held is None or why:
            return opening
        self._carried[at] = held
        return opening | {
            "opened": CARRIED, "held": list(held.held), "boot_id": kept.boot_id, "seq": kept.seq,
            "utc_ns": kept.utc_ns, "age_ns": utc_ns - kept.utc_ns,
            "soc_ppm": held.soc[0] if held.soc else None,
            "reach_mj": _reach_mj(spec, utc_ns - kept.utc_ns),
        }  # fmt: skip

    def _say(self) -> None:
        for each in self._openings:
            if each["opened"] == CARRIED:
                stored_mj, carbon_ug = each["held"][:2]
                emit(log, "stocks.carried", storage=each["id"], stored_mj=stored_mj,
                     carbon_ug=carbon_ug, age_s=round(each["age_ns"] / NS_PER_S, 1))  # fmt: skip
            elif self._first:
                emit(log, "stocks.first_declared", storage=each["id"])
            else:
                emit(log, "stocks.declared", storage=each["id"], reason=each["why"])


def _unfit(spec: Mapping[str, Any], held: Held | None, age_ns: int) -> str:
    """Why what was kept is not what this battery holds; empty where it may be carried."""
    if held is None:
        return "nothing was kept of a battery of this id"
    if held.capacity_j != spec["capacity_j"]:
        return f"capacity_j was {held.capacity_j:g} and is {spec['capacity_j']:g}"
    if held.method != spec["carbon_method"]:
        return f"carbon_method was {held.method} and is {spec['carbon_method']}"
    if age_ns > AGE_MAX_NS:
        return f"it is {age_ns / DAY_NS:.1f} days old; at most {AGE_MAX_NS // DAY_NS} are carried"
    if age_ns < -AHEAD_MAX_NS:
        return f"it is of {-age_ns / NS_PER_S:.0f} s after now: the clock was set back"
    return ""


def _reach_mj(spec: Mapping[str, Any], age_ns: int) -> int:
    """The most stored energy that a battery can have moved since; all it holds where who knows."""
    capacity_mj = round(float(spec["capacity_j"]) * MJ_PER_J)
    if age_ns < 0:
        return capacity_mj
    stored_w: float = max(
        spec["charge_rating_w"] * spec["charge_ppm"] / PPM,
        spec["discharge_rating_w"] * PPM / spec["discharge_ppm"],
    )
    return min(capacity_mj, round(stored_w * MJ_PER_J * (age_ns + START_NS) / NS_PER_S))


def _fill(place: Any, amounts: Amounts) -> None:
    place["energy_mj"], place["carbon_ug"], *_ = amounts
    place["origins_mj"] = amounts[2:]


def stocks_path(data_dir: Path, site_id: str) -> Path:
    """Where the file of a site lies."""
    return data_dir / f"{site_id}.stocks"
