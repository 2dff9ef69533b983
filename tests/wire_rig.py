"""Kernel and field bus on real sockets against scripted devices, stepped scan by scan."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from edgectl._kernel.clock import now_ns
from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.fieldbus import FieldBus, LinkState
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.process_image import PointType
from edgectl._kernel.quality import Quality, Reason
from edgectl.cli.bench_tables import (
    INTERNAL,
    STORAGE_INTERNAL,
    Draft,
    common_arrays,
    directory_of,
    tables_of,
)
from edgectl.image import private_segment
from edgectl.image.mailbox import post
from edgectl.plant.fault_server import FaultServer
from edgectl.plant.rows import rows

PERIOD_NS = 60_000_000
LEAD_NS = 50_000_000
TIMEOUT_NS = 30_000_000
STALE_NS = 4 * PERIOD_NS
REGISTERS = 4  # of a block; register n reads as n until a test changes it
BLOCKS = ((100, REGISTERS), (200, REGISTERS))  # first addresses: same shape, other contents
# No two as long, nor where one has a register less or three more than was asked for.
SEVERAL_BLOCKS = ((100, 2), (110, 7), (120, 12), (140, 17), (200, 22), (230, 27))
SETPOINT_ADDRESS, READBACK_ADDRESS, SOC_PERCENT_ADDRESS = 300, 300, 400
Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """One point after one scan."""

    address: int
    value: float
    quality: Quality
    reason: Reason


def device_rows(
    draft: Draft, link: Fields, unit: Fields, blocks: Sequence[tuple[int, int]]
) -> dict[int, int]:
    """Add one device; returns the point of each register address."""
    device = len(draft.devices)
    draft.links.append({"first_device": device, "timeouts_to_close": 3} | link)
    draft.devices.append(
        {
            "link": device, "timeout_ns": TIMEOUT_NS,
            "first_block": len(draft.blocks), "blocks": len(blocks),
        }
        | unit
    )  # fmt: skip
    points = {}
    for address, count in blocks:
        draft.blocks.append(
            {"device": device, "first_point": len(draft.points), "points": count,
             "address": address, "count": count}
        )  # fmt: skip
        for word in range(count):
            points[address + word] = len(draft.points)
            draft.points.append(
                {
                    "block": len(draft.blocks) - 1, "device": device, "word": word,
                    "type": PointType.TYPE_U16, "limits.stale_after_ns": STALE_NS,
                    "scale": 0.01 if address == SOC_PERCENT_ADDRESS else 1.0,
                }
            )  # fmt: skip
    return points


class WireRig:
    """One kernel and one bus over some devices; `scan` runs one period and looks.

    ports        one device a port
    unit         of every device; any_unit accepts another in the reply
    battery      the first device is a converter too: register 300 is its setpoint, W,
                 and reads back; register 400 its state of charge, %
    probes       fields of identity probes of the first device
    outstanding  requests on their way at once, on every link
    blocks       first address and count of what is read of every device
    """

    def __init__(
        self,
        ports: Sequence[int],
        *,
        unit: int = 1,
        any_unit: bool = False,
        battery: Fields | None = None,
        probes: Sequence[Fields] = (),
        outstanding: int = 1,
        blocks: Sequence[tuple[int, int]] = BLOCKS,
    ) -> None:
        draft = Draft()
        self.blocks = blocks
        own = {"unit": unit, "any_unit": int(any_unit)}
        self.points = []
        for at, port in enumerate(ports):
            converts = [(READBACK_ADDRESS, 1), (SOC_PERCENT_ADDRESS, 1)]
            read = [*blocks, *(converts if battery is not None and at == 0 else ())]
            link = {"port": port, "outstanding_max": outstanding}
            self.points.append(device_rows(draft, link, own, read))
        draft.devices[0]["probes"] = len(probes)
        storages = 0 if battery is None else 1
        first = len(draft.points)
        internal = len(INTERNAL) + len(ports) + storages * len(STORAGE_INTERNAL)
        draft.points += [{} for _ in range(internal)]
        self.tables = self._tables(draft, first, battery, probes)
        self.segment = private_segment(self.tables.directory, 1024)
        self.kernel = Kernel(self.tables, self.segment.buffer)
        self.bus = FieldBus(self.kernel, self.tables.links, self.tables.devices, self.tables.probes)
        self.reader = self.segment.reader()
        self.period = 0
        self.origin_ns = now_ns() + 2 * PERIOD_NS
        self.bus.open(self.origin_ns)

    def _tables(
        self, draft: Draft, first: int, battery: Fields | None, probes: Sequence[Fields]
    ) -> Any:
        own = first + len(INTERNAL) + len(draft.devices)
        storages: list[Fields] = []
        outputs: list[Fields] = []
        if battery is not None:
            points = self.points[0]
            output = {"type": PointType.TYPE_U16, "raw_min": 0, "raw_max": 65535}
            outputs.append(output | {"address": SETPOINT_ADDRESS, "count": 1, "device": 0})
            draft.devices[0]["outputs"] = 1
            row = {
                "charge_rating_w": 3e4, "discharge_rating_w": 0.0, "capacity_j": 1e9,
                "ramp_w_per_s": 1e9, "power_point": points[self.blocks[0][0]], "output": 0,
                "soc_point": points[SOC_PERCENT_ADDRESS], "proof.readback_tolerance_w": 1,
                "proof.readback_point": points[READBACK_ADDRESS],
                "proof.power_point": points[self.blocks[0][0]],
            }  # fmt: skip
            self.own = {name: own + at for at, name in enumerate(STORAGE_INTERNAL)}
            row |= {f"{name}_point": point for name, point in self.own.items()}
            storages.append(row | battery)
        meters = [{"point": 0}] * (1 + len(storages))
        arrays = common_arrays(draft, PERIOD_NS, loads=0, first_internal=first, meters=meters)
        arrays["scan"]["lead_ns"] = LEAD_NS
        arrays |= {
            "outputs": rows("OutputRow", *outputs),
            "probes": rows("ProbeRow", *probes),
            "storages": rows("StorageRow", *storages),
            "dispatch": rows("DispatchRow", {"storages": len(storages), "grid_point": 0}),
            "stocks": rows("StockRow", *({},) * len(storages)),
        }
        directory = directory_of(draft, PERIOD_NS, loads=0, storages=len(storages), interlocks=0)
        return tables_of(arrays, directory)

    def scan(self, device: int = 0) -> list[Reading]:
        """Serve the bus until the next period and scan; returns one device's readings."""
        deadline_ns = self.origin_ns + self.period * PERIOD_NS
        self.bus.poll(deadline_ns)
        self.kernel.step(now_ns(), time.time_ns(), self.period, 0)
        self.period += 1
        while now_ns() > self.origin_ns + self.period * PERIOD_NS:
            self.period += 1  # the host stalled: keep the phase, as the scan thread does
        return self.readings(device)

    def readings(self, device: int = 0) -> list[Reading]:
        """What the image holds of one device's registers."""
        found = []
        for address, point in self.points[device].items():
            value, quality, reason, _, _ = self.kernel.sample(point)
            found.append(Reading(address, value, Quality(quality), Reason(reason)))
        return found

    def proof(self, name: str) -> float:
        """One of the battery's own points: proof.effect_error and the like."""
        return self.kernel.sample(self.own[name])[0]

    def link(self, device: int = 0) -> Any:
        """The DeviceLink counters of a device."""
        return self.reader.snapshot()["links"][device]

    def link_state(self, device: int = 0) -> LinkState:
        """The state of a device's link."""
        return LinkState(self.bus.link_states()[device])

    def ask(self, kind: MailKind, value: float = 0.0) -> None:
        """Post one request to the kernel, as an operator."""
        expiry_ns = now_ns() + 3_600_000_000_000
        authority = int(RequestSource.SOURCE_OPERATOR)
        post(self.segment.head, self.segment.mailbox, int(kind), 0, value, authority, expiry_ns)

    def scan_until(self, done: Any, scans_max: int = 40, device: int = 0) -> int:
        """Scan until done(readings); returns how many scans it took, fails when it never is."""
        for scans in range(1, scans_max + 1):
            if done(self.scan(device)):
                return scans
        raise AssertionError(f"not within {scans_max} scans: {self.readings(device)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del self.bus  # closes the connections


@dataclass(frozen=True, slots=True)
class Links:
    """What the links of a rig are: how many requests at once, and the reads of each device."""

    outstanding: int
    blocks: Sequence[tuple[int, int]]

    def rig(self, ports: Sequence[int], **options: Any) -> WireRig:
        """A rig of such links."""
        return WireRig(ports, outstanding=self.outstanding, blocks=self.blocks, **options)


ONE_AT_A_TIME = Links(1, BLOCKS)
SEVERAL_AT_ONCE = Links(4, SEVERAL_BLOCKS)


def all_good(readings: Sequence[Reading]) -> bool:
    """Every point of good quality."""
    return all(reading.quality == Quality.QUALITY_GOOD for reading in readings)


def assert_no_wrong_value(readings: Sequence[Reading], server: FaultServer) -> None:
    """A good value is what the device's register holds."""
    for reading in readings:
        if reading.quality == Quality.QUALITY_GOOD and reading.address < SETPOINT_ADDRESS:
            held = server.registers.get(reading.address, reading.address)
            assert reading.value == held, f"register {reading.address}"
