"""Where everything lies in the segment, computed from the site's directory.

```
SegmentHead | directory (msgpack) | snapshot | mailbox | ... page ... | journal ring
record   = RecordHead | FlowCell[sources][sinks] | StorageRecord[K] | u8 status[R] | u8 flags[R]
           | PointRecord[J]
snapshot = SnapshotHead | RecordHead | FlowTotal[sources][sinks] | FlowTotal[sources]
           | FlowTotal[sinks] | StorageRecord[K] | InterlockSnapshot[R] | DeviceLink[D]
           | i64 device_age_ns[D] | Sample[N] | StockKept[K] | StockSlice[F][SLICES_MAX]
```
F are the batteries of which first in leaves first. The kernel is handed the offsets
in the head and walks the same parts in the same order; each part starts on 8 bytes.
The journal starts on a page of its own, so that a producer of requests can map what
precedes it and never the records.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np

from edgectl._kernel.layout import DTYPES
from edgectl.errors import SegmentError

MAGIC = 0x6564676563746C31  # "edgectl1"
VERSION = 4  # SEGMENT_VERSION of journal.pxd
MAILBOX_SLOTS = 256  # of journal.pxd
SLICES_MAX = 256  # of inventory.pxd
PAGE_BYTES = 4096
JOURNAL_SLOTS_MIN = 4
JOURNAL_SLOTS_MAX = 10_000_000  # 11 days of 100-ms scans: more is a mistake in the site file
LISTS = ("points", "devices", "interlocks", "storages", "sources", "sinks")

Directory = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SegmentLayout:
    """Offsets in bytes from the segment's start, and the dtypes of what lies there."""

    record: np.dtype[Any]  # head, flows, storages, interlocks, points
    snapshot: np.dtype[Any]  # head, record, flows, source_totals, ... samples
    directory_offset: int
    directory_bytes: int
    snapshot_offset: int
    mailbox_offset: int
    journal_offset: int
    journal_slots: int
    total_bytes: int


def round_up(value: int, multiple: int) -> int:
    """The least multiple of `multiple` that is not under `value`."""
    return -(-value // multiple) * multiple


def composite(parts: Sequence[tuple[str, np.dtype[Any], tuple[int, ...]]]) -> np.dtype[Any]:
    """A dtype of named parts one after the other, each on 8 bytes.

    parts    name, dtype of one element, shape (an empty shape is one element)
    """
    names, formats, offsets = [], [], []
    end = 0
    for name, element, shape in parts:
        names.append(name)
        formats.append((element, shape) if shape else element)
        offsets.append(end)
        end = round_up(end + element.itemsize * int(np.prod(shape, dtype=np.int64)), 8)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": end})


def record_dtype(directory: Directory) -> np.dtype[Any]:
    """One journal record: the scan's head, flow cells, storages, interlocks, journaled points."""
    sources, sinks = len(directory["sources"]), len(directory["sinks"])
    journaled = sum(1 for point in directory["points"] if point["journaled"])
    return composite(
        [
            ("head", DTYPES["RecordHead"], ()),
            ("flows", DTYPES["FlowCell"], (sources, sinks)),
            ("storages", DTYPES["StorageRecord"], (len(directory["storages"]),)),
            ("interlocks", np.dtype(np.uint8), (len(directory["interlocks"]),)),
            ("interlock_flags", np.dtype(np.uint8), (len(directory["interlocks"]),)),
            ("points", DTYPES["PointRecord"], (journaled,)),
        ]
    )


def snapshot_dtype(directory: Directory) -> np.dtype[Any]:
    """The process image as readers see it, with lifetime totals and bus counters."""
    sources, sinks = len(directory["sources"]), len(directory["sinks"])
    devices = len(directory["devices"])
    return composite(
        [
            ("head", DTYPES["SnapshotHead"], ()),
            ("record", DTYPES["RecordHead"], ()),
            ("flows", DTYPES["FlowTotal"], (sources, sinks)),
            ("source_totals", DTYPES["FlowTotal"], (sources,)),
            ("sink_totals", DTYPES["FlowTotal"], (sinks,)),
            ("storages", DTYPES["StorageRecord"], (len(directory["storages"]),)),
            ("interlocks", DTYPES["InterlockSnapshot"], (len(directory["interlocks"]),)),
            ("links", DTYPES["DeviceLink"], (devices,)),
            ("device_age_ns", np.dtype(np.int64), (devices,)),
            ("samples", DTYPES["Sample"], (len(directory["points"]),)),
            ("stocks", DTYPES["StockKept"], (len(directory["storages"]),)),
            ("slices", DTYPES["StockSlice"], (len(fifo_storages(directory)), SLICES_MAX)),
        ]
    )


def fifo_storages(directory: Directory) -> list[int]:
    """Batteries whose content the kernel keeps in slices, in the order of those."""
    return [
        at for at, each in enumerate(directory["storages"]) if each.get("carbon_method") == "fifo"
    ]


def slots_for(journal_minutes: float, period_ns: int) -> int:
    """Ring slots that keep `journal_minutes` readable; one slot is always being written."""
    return int(-(-journal_minutes * 60e9 // period_ns)) + 1


def segment_layout(directory: Directory, journal_slots: int) -> SegmentLayout:
    """Lay the segment out.

    directory       of the site, as site_model made it; lists named in LISTS
    journal_slots   records the ring holds

    Raises SegmentError where a list is missing or the ring has no sensible size.
    """
    missing = [name for name in LISTS if not isinstance(directory.get(name), (list, tuple))]
    if missing:
        raise SegmentError(
            where="segment directory",
            problem=f"no list named {', '.join(missing)}",
            because="The sizes of the record and the snapshot follow from these lists.",
            remedy="Build the directory with edgectl.site_model.",
        )
    if not JOURNAL_SLOTS_MIN <= journal_slots <= JOURNAL_SLOTS_MAX:
        raise SegmentError(
            where="segment journal",
            problem=f"{journal_slots} slots, not {JOURNAL_SLOTS_MIN} to {JOURNAL_SLOTS_MAX}",
            because="The ring must outlast a restart of the services and fit into memory.",
            remedy="Set [journal] minutes to 12 in the site file.",
        )
    record, snapshot = record_dtype(directory), snapshot_dtype(directory)
    directory_offset = round_up(DTYPES["SegmentHead"].itemsize, 64)
    directory_bytes = len(pack_directory(directory))
    snapshot_offset = round_up(directory_offset + directory_bytes, 64)
    mailbox_offset = round_up(snapshot_offset + snapshot.itemsize, 64)
    mailbox_end = mailbox_offset + MAILBOX_SLOTS * DTYPES["Mail"].itemsize
    journal_offset = round_up(mailbox_end, PAGE_BYTES)
    total_bytes = round_up(journal_offset + journal_slots * record.itemsize, PAGE_BYTES)
    return SegmentLayout(
        record=record,
        snapshot=snapshot,
        directory_offset=directory_offset,
        directory_bytes=directory_bytes,
        snapshot_offset=snapshot_offset,
        mailbox_offset=mailbox_offset,
        journal_offset=journal_offset,
        journal_slots=journal_slots,
        total_bytes=total_bytes,
    )


def pack_directory(directory: Directory) -> bytes:
    """The directory as it stands in the segment."""
    return bytes(msgpack.packb(dict(directory), use_bin_type=True))


def head_fields(layout: SegmentLayout) -> dict[str, int]:
    """What the head says of the layout; the kernel and every reader check it."""
    return {
        "magic": MAGIC,
        "version": VERSION,
        "head_bytes": DTYPES["SegmentHead"].itemsize,
        "total_bytes": layout.total_bytes,
        "directory_offset": layout.directory_offset,
        "directory_bytes": layout.directory_bytes,
        "snapshot_offset": layout.snapshot_offset,
        "snapshot_bytes": layout.snapshot.itemsize,
        "mailbox_offset": layout.mailbox_offset,
        "journal_offset": layout.journal_offset,
        "record_bytes": layout.record.itemsize,
        "journal_slots": layout.journal_slots,
    }
