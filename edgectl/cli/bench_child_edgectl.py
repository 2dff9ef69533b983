"""Our own master as a client of a bench, with all its checks, polled in the measuring thread."""

import time
from contextlib import ExitStack

from edgectl._kernel.clock import now_ns
from edgectl._kernel.fieldbus import FieldBus, LinkState
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.process_image import PointType
from edgectl.cli.bench_child import CONNECT_TIMEOUT_S, Asked, Lap, serve
from edgectl.cli.bench_tables import Draft, add_internal, common_arrays, directory_of, tables_of
from edgectl.image import private_segment
from edgectl.site_model.tables import KernelTables

BLOCKS_ONE, BLOCKS_SEVERAL = 8, 24  # of a device; due again before all are read: no link is idle
PERIOD_PER_CONNECTION_NS = 16_000  # half of what 8 reads take at 4 us each
PERIOD_PER_CONNECTION_SEVERAL_NS = 8_000  # of what 24 take at 0.7 us each
PERIOD_NS_MIN = 50_000
NEVER_NS = 3_600_000_000_000  # replies wait in the socket while other clients have their laps


def closed_loop_tables(asked: Asked) -> KernelTables:
    """Devices of equal reads, due again before they are through."""
    (count,) = asked.sizes
    one = asked.outstanding == 1
    blocks = BLOCKS_ONE if one else BLOCKS_SEVERAL
    each_ns = PERIOD_PER_CONNECTION_NS if one else PERIOD_PER_CONNECTION_SEVERAL_NS
    period_ns = max(each_ns * len(asked.ports), PERIOD_NS_MIN)
    draft = Draft()
    for device, port in enumerate(asked.ports):
        draft.links.append(
            {"first_device": device, "port": port, "outstanding_max": asked.outstanding}
        )
        draft.devices.append(
            {
                "link": device, "timeout_ns": NEVER_NS,
                "first_block": len(draft.blocks), "blocks": blocks,
            }
        )  # fmt: skip
        for _ in range(blocks):
            block = {"device": device, "first_point": len(draft.points), "points": 1}
            draft.points.append(
                {"block": len(draft.blocks), "device": device, "type": PointType.TYPE_U16}
            )
            draft.blocks.append(block | {"count": count})
    first = add_internal(draft, 0)
    arrays = common_arrays(draft, period_ns, loads=0, first_internal=first, meters=[{}])
    return tables_of(arrays, directory_of(draft, period_ns, loads=0, storages=0, interlocks=0))


def edgectl_client(asked: Asked, _stack: ExitStack) -> Lap:
    """Closed loop over devices of one read.

    A lap raises OSError when any reply before it was late, wrong or an exception.
    """
    tables = closed_loop_tables(asked)
    segment = private_segment(tables.directory, 64)
    kernel = Kernel(tables, segment.buffer)
    bus = FieldBus(kernel, tables.links, tables.devices, tables.probes)
    reader = segment.reader()
    bus.open(now_ns())
    deadline_ns = now_ns() + int(CONNECT_TIMEOUT_S * 1e9)
    while min(bus.link_states()) < LinkState.LINK_READY:
        if now_ns() > deadline_ns:
            raise OSError("the field bus could not connect to every device of the responder")
        bus.poll(now_ns() + PERIOD_NS_MIN)

    def lap(seconds: float) -> tuple[int, int]:
        sent, cpu_ns = bus.transactions, time.thread_time_ns()
        bus.poll(now_ns() + int(seconds * 1e9))
        sent, cpu_ns = bus.transactions - sent, time.thread_time_ns() - cpu_ns
        kernel.step(now_ns(), time.time_ns())  # copies the links' counters out
        links = reader.snapshot()["links"]
        failed = {
            name: int(links[name].sum()) for name in ("timeouts", "bad_replies", "exceptions")
        }
        if any(failed.values()) or int(links["connects"].max()) != 1:
            raise OSError(f"the responder did not answer the field bus as it should: {failed}")
        return sent, cpu_ns

    return lap


if __name__ == "__main__":
    serve(edgectl_client)
