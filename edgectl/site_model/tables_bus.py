"""Tables of the field bus: links, devices, blocks, points, probes, outputs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.fieldbus import FirmwareDecode, LinkKind
from edgectl._kernel.layout import DTYPES
from edgectl._kernel.process_image import PointType, WordOrder
from edgectl.profiles.model import Block, Command, Firmware, Point, Probe, Profile
from edgectl.profiles.read_plan import sync_reads
from edgectl.site_model.model import Device, Site
from edgectl.site_model.schedule import idle_ns, outstanding_max, silence_ns

Table = NDArray[np.void]
COIL_ON = 0xFF00


@dataclass(slots=True)
class Bus:
    """The bus's tables, and the tags of the points and outputs in row order."""

    points: Table
    blocks: Table
    outputs: Table
    links: Table
    devices: Table
    probes: Table
    point_names: list[dict[str, Any]] = field(default_factory=list)
    output_tags: list[str] = field(default_factory=list)


def bus_arrays(site: Site) -> Bus:
    """Fill the bus's tables in bus order."""
    profiles = [device.profile for device in site.devices]
    links = site.links
    bus = Bus(
        points=_zeros("PointRow", sum(len(p.points) for p in profiles)),
        blocks=_zeros("BlockRow", sum(len(p.blocks) for p in profiles)),
        outputs=_zeros("OutputRow", sum(len(p.commands) for p in profiles)),
        links=_zeros("LinkRow", len(links)),
        devices=_zeros("BusDeviceRow", len(site.devices)),
        probes=_zeros("ProbeRow", sum(_probes(p) for p in profiles)),
    )
    filled = {"block": 0, "probe": 0, "output": 0, "point": 0}
    first = 0
    for at, devices in enumerate(links.values()):
        _fill_link(bus.links[at], first, devices)
        for device in devices:
            _fill_device(bus, filled, first, at, device)
            first += 1
    return bus


def _zeros(struct: str, count: int) -> Table:
    return np.zeros(count, dtype=DTYPES[struct])


def _fill_link(row: np.void, first: int, devices: Sequence[Device]) -> None:
    """A link is as slow and as patient as the most demanding of its devices."""
    profiles = [each.profile for each in devices]
    row["connect_timeout_ns"] = max(each.connect_timeout_ns for each in profiles)
    row["settle_ns"] = max(each.settle_ns for each in profiles)
    row["gap_ns"] = max(each.gap_ns for each in profiles)
    row["timeouts_to_close"] = max(each.timeouts_to_close for each in profiles)
    row["outstanding_max"] = outstanding_max(devices)
    row["first_device"] = first
    row["devices"] = len(devices)
    line = devices[0].line
    if line is None:
        row["ipv4"] = int(IPv4Address(devices[0].host))
        row["port"] = devices[0].port
        return
    row["kind"] = LinkKind.LINK_SERIAL
    row["char_ns"] = line.char_ns
    row["silence_ns"] = silence_ns(line)
    row["idle_ns"] = idle_ns(line)
    row["latency_ns"] = line.latency_ns


def _fill_device(bus: Bus, filled: dict[str, int], at: int, link: int, device: Device) -> None:
    profile = device.profile
    row = bus.devices[at]
    row["timeout_ns"] = profile.timeout_ns
    row["link"] = link
    row["unit"] = device.unit
    if device.line is None:
        row["any_unit"] = profile.any_unit
    else:  # a reply of another unit is that unit's, and late
        row["sync_function"], row["sync_address"], row["sync_counts"] = sync_reads(profile)
    row["counted"] = device.counted
    for kind, count in (
        ("block", len(profile.blocks)),
        ("probe", _probes(profile)),
        ("output", len(profile.commands)),
    ):
        row[f"first_{kind}"] = filled[kind]
        row[f"{kind}s"] = count
    for probe in profile.probes:
        _fill_probe(bus.probes[filled["probe"]], probe)
        filled["probe"] += 1
    if profile.firmware is not None:
        _fill_firmware(bus.probes[filled["probe"]], profile.firmware)
        filled["probe"] += 1
    first_point = filled["point"]
    for block in profile.blocks:
        _fill_block(bus, filled, at, block, profile)
        bus.point_names += [_point_name(device.id, point) for point in block.points]
    names = {str(each["name"]): n for n, each in enumerate(bus.point_names)}
    for command in profile.commands:
        sf_point = names[f"{device.id}.{command.sf_point}"] if command.sf_point else -1
        _fill_output(bus.outputs[filled["output"]], at, sf_point, command, profile.low_first)
        bus.output_tags.append(f"{device.id}.{command.name}")
        filled["output"] += 1
    assert filled["point"] - first_point == len(profile.points), "the read plan lost a point"


def _point_name(device: str, point: Point) -> dict[str, Any]:
    """What a reader of raw words needs to know of a point.

    factor   names the register whose power of ten the value carries, too; "" where there is none
    modulus  raw value at which a counter rolls over; 0 at its register's width
    """
    factor = "" if point.sf_address is None else f"{device}/{point.function}/{point.sf_address}"
    return {
        "name": f"{device}.{point.name}",
        "unit": point.unit,
        "device": device,
        "type": point.type,
        "scale": point.scale,
        "offset": point.offset,
        "factor": factor,
        "modulus": point.modulus,
    }


def _fill_block(
    bus: Bus, filled: dict[str, int], device: int, block: Block, profile: Profile
) -> None:
    row = bus.blocks[filled["block"]]
    row["device"] = device
    row["first_point"] = filled["point"]
    row["points"] = len(block.points)
    row["every"] = block.every
    row["phase"] = filled["block"] % block.every  # slow blocks of the site in different scans
    row["address"] = block.address
    row["count"] = block.count
    row["function"] = block.function
    for point in block.points:
        place = bus.points[filled["point"]]
        place["block"] = filled["block"]
        place["device"] = device
        _fill_point(place, block, point, profile.low_first)
        filled["point"] += 1
    filled["block"] += 1


def _fill_point(row: np.void, block: Block, point: Point, low_first: bool) -> None:
    row["scale"] = point.scale
    row["offset"] = point.offset
    limits = row["limits"]
    limits["valid_min"] = point.valid_min
    limits["valid_max"] = point.valid_max
    limits["slew_max_per_s"] = point.slew_max_per_s
    limits["stale_after_ns"] = point.stale_after_ns
    limits["frozen_after_ns"] = point.frozen_after_ns
    row["sentinel"] = point.sentinel or 0
    row["has_sentinel"] = point.sentinel is not None
    row["word"] = point.address - block.address
    row["sf_word"] = -1 if point.sf_address is None else point.sf_address - block.address
    row["type"] = PointType[f"TYPE_{point.type.upper()}"]
    row["word_order"] = WordOrder.ORDER_LOW_FIRST if low_first else WordOrder.ORDER_HIGH_FIRST
    row["bit"] = point.bit


def point_rows(block: Block, low_first: bool) -> Table:
    """Rows of a block's points, to decode its reply as the scan does."""
    rows = _zeros("PointRow", len(block.points))
    for row, point in zip(rows, block.points, strict=True):
        _fill_point(row, block, point, low_first)
    return rows


def _fill_probe(row: np.void, probe: Probe) -> None:
    row["alternatives"] = len(probe.alternatives)
    row["address"] = probe.address
    row["count"] = probe.count
    row["function"] = probe.function
    row["mask"][: probe.count] = probe.mask
    for at, words in enumerate(probe.alternatives):
        row["words"][at, : probe.count] = words


def _probes(profile: Profile) -> int:
    """What is asked at each connect: identity, then the firmware's version."""
    return len(profile.probes) + (profile.firmware is not None)


def _fill_firmware(row: np.void, firmware: Firmware) -> None:
    row["address"] = firmware.address
    row["count"] = firmware.count
    row["function"] = firmware.function
    row["decode"] = FirmwareDecode[f"FIRMWARE_{firmware.decode.upper()}"]
    row["ranges"] = len(firmware.ranges)
    for at, (low, high) in enumerate(firmware.ranges):
        row["low"][at], row["high"][at] = low, high


def _fill_output(
    row: np.void, device: int, sf_point: int, command: Command, low_first: bool
) -> None:
    row["scale"] = command.scale
    row["raw_min"] = command.raw_min
    row["raw_max"] = command.raw_max
    row["device"] = device
    row["sf_point"] = sf_point
    row["address"] = command.address
    row["count"] = command.count
    row["value_word"] = command.value_word
    row["function"] = command.function
    row["type"] = PointType[f"TYPE_{command.type.upper()}"]
    if command.function == 5:  # its value goes on the wire as it stands: on is 0xFF00 (MAP 6.5)
        row["scale"] = command.scale / COIL_ON
        row["raw_max"] = COIL_ON
        row["type"] = PointType.TYPE_U16
    row["word_order"] = WordOrder.ORDER_LOW_FIRST if low_first else WordOrder.ORDER_HIGH_FIRST
    row["template_words"][: command.count] = command.template
