"""One link of the kernel's own master under a simulated clock: units, their blocks and commands."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgectl._kernel.fieldbus import LinkKind, RequestKind
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.process_image import PointType
from edgectl.cli.bench_tables import Draft, add_internal, common_arrays, directory_of, tables_of
from edgectl.image import private_segment
from edgectl.plant._link_bench import LinkBench
from edgectl.plant.rows import rows

PERIOD_NS = 100_000_000
SYNC_COUNTS = (1, 2, 3)


@dataclass(frozen=True, slots=True)
class BenchUnit:
    """A device behind the link.

    counts  registers of each block
    every   scans from one due mark of a block to its next, and the phase of the first
    """

    counts: Sequence[int]
    every: Sequence[tuple[int, int]]
    outputs: int
    timeout_ns: int


class LinkRig:
    """The bench and who is who in its tables."""

    def __init__(
        self,
        units: Sequence[BenchUnit],
        *,
        serial: bool,
        outstanding: int = 1,
        sync_counts: tuple[int, int, int] = SYNC_COUNTS,
    ) -> None:
        self.units = units
        self.first_block = [sum(len(u.counts) for u in units[:at]) for at in range(len(units))]
        self.first_output = [sum(u.outputs for u in units[:at]) for at in range(len(units))]
        draft = Draft()
        kind = LinkKind.LINK_SERIAL if serial else LinkKind.LINK_TCP
        draft.links.append({"kind": kind, "devices": len(units), "outstanding_max": outstanding})
        for at, unit in enumerate(units):
            draft.devices.append(
                {
                    "link": 0, "unit": at + 1, "timeout_ns": unit.timeout_ns,
                    "first_block": self.first_block[at], "blocks": len(unit.counts),
                    "first_output": self.first_output[at], "outputs": unit.outputs,
                    "sync_function": 3, "sync_counts": sync_counts,
                }
            )  # fmt: skip
            for count, (every, phase) in zip(unit.counts, unit.every, strict=True):
                draft.points.append(
                    {"block": len(draft.blocks), "device": at, "type": PointType.TYPE_U16}
                )
                draft.blocks.append(
                    {"device": at, "first_point": len(draft.blocks), "points": 1, "count": count,
                     "every": every, "phase": phase}
                )  # fmt: skip
        first = add_internal(draft, 0)
        arrays = common_arrays(
            draft, PERIOD_NS, loads=0, first_internal=first, meters=[{"point": 0}]
        )
        owners = [at for at, unit in enumerate(units) for _ in range(unit.outputs)]
        arrays["outputs"] = rows("OutputRow", *({"device": at} for at in owners))
        arrays["dispatch"] = rows("DispatchRow", {"grid_point": 0})
        directory = directory_of(draft, PERIOD_NS, loads=0, storages=0, interlocks=0)
        self.tables = tables_of(arrays, directory)
        self.segment = private_segment(self.tables.directory, 64)
        self.kernel = Kernel(self.tables, self.segment.buffer)
        self.bench = LinkBench(
            self.kernel, self.tables.links, self.tables.devices, self.tables.probes
        )

    def connect(self, now_ns: int) -> None:
        """Connect, and answer what a serial unit is asked to be found in step."""
        self.bench.connect(now_ns)
        while (asked := self.bench.ask(now_ns)) is not None:
            assert asked[0] == RequestKind.REQUEST_SYNC
            self.bench.answer(now_ns)
