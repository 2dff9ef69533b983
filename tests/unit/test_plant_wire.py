"""On the wire the campus is what its physics is: read and written with pymodbus's client."""

import asyncio
import math
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from free_ports import free_ports
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.client.mixin import ModbusClientMixin

from edgectl.errors import DataError, PlantError
from edgectl.plant.host import HostOptions, WireHost
from edgectl.plant.wire import CONVERSION, Pace
from edgectl.profiles.model import Point
from edgectl.site_model import Device, Site, load_site

pytestmark = pytest.mark.wire

START_UTC_NS = 1_690_000_000_000_000_000
MS_NS = 1_000_000
Work = Callable[[WireHost, Site], Awaitable[None]]


class StandingPace(Pace):
    """Time moves only when the test says so."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class FailingPace(Pace):
    """Time that comes to an end by an error."""

    async def run(self) -> None:
        raise DataError(
            where="weather.csv", problem="it ends here", because="No more.", remedy="Get more."
        )


@pytest.fixture(scope="module")
def site() -> Site:
    """The demo on ports that are free now."""
    shipped = load_site("demo")
    ports = free_ports(len(shipped.devices))
    devices = tuple(
        replace(device, port=port) for device, port in zip(shipped.devices, ports, strict=True)
    )
    return replace(shipped, devices=devices)


def serve(site: Site, work: Work, devices: tuple[str, ...] | None = None) -> None:
    """Run a test's work against the served plant, its time standing."""

    async def whole() -> None:
        host = WireHost(site, HostOptions(devices=devices, start_utc_ns=START_UTC_NS))
        host.pace.__class__ = StandingPace
        wire = host.wire()
        await wire.start()
        try:
            await work(host, site)
        finally:
            await wire.stop()

    asyncio.run(whole())


async def client_of(device: Device) -> AsyncModbusTcpClient:
    client = AsyncModbusTcpClient(device.host, port=device.port, timeout=2.0, retries=0)
    assert await client.connect()
    return client


async def read(
    client: AsyncModbusTcpClient, device: Device, function: int, address: int, count: int
) -> list[int]:
    """Words or bits of one range; fails on an exception reply."""
    ask = {
        1: client.read_coils,
        2: client.read_discrete_inputs,
        3: client.read_holding_registers,
        4: client.read_input_registers,
    }[function]
    reply = await ask(address, count=count, device_id=device.unit)
    assert not reply.isError(), f"{device.id}: {reply}"
    return [int(bit) for bit in reply.bits[:count]] if function <= 2 else reply.registers


async def value_of(client: AsyncModbusTcpClient, device: Device, point: Point) -> float:
    """One point in SI, by pymodbus's conversion and the profile's figures."""
    words = await read(client, device, point.function, point.address, point.words)
    exponent = 0
    if point.sf_address is not None:
        factor = await read(client, device, point.function, point.sf_address, 1)
        exponent = factor[0] - 0x10000 if factor[0] & 0x8000 else factor[0]
    if point.type == "bit":
        return float(words[0])
    order = "little" if device.profile.low_first else "big"
    raw = ModbusClientMixin.convert_from_registers(words, CONVERSION[point.type], order)
    assert isinstance(raw, int | float)
    return raw * point.scale * 10.0**exponent + point.offset


def test_every_register_shows_its_signal_to_the_registers_resolution(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        host.pace.advance(2500 * MS_NS)
        read_back = 0
        for wire in host.devices:
            client = await client_of(wire.device)
            for slot in wire.slots.slots:
                shown = await value_of(client, wire.device, slot.point)
                step = abs(slot.point.scale)
                if slot.point.sf_address is not None:
                    step *= 10.0 ** wire.slots.exponent(slot.point.sf_address)
                raw = host.plant.value(slot.signal) * slot.mul + slot.add
                told = raw * math.copysign(step, slot.point.scale) + slot.point.offset
                fine = 1e-6 * abs(told) if not slot.integer else 0.501 * step
                assert shown == pytest.approx(told, abs=fine), f"{wire.device.id} {slot.point.name}"
                assert slot.point.valid_min <= shown <= slot.point.valid_max
                read_back += 1
            client.close()
        assert read_back > 200

    serve(site, work)


def test_the_powers_on_the_wire_are_those_of_the_physics(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        host.plant.write_storage_w(0, -4e6)
        host.pace.advance(1500 * MS_NS)
        for tag, signal, resolution_w in (
            (site.grid.power, "grid.power_w", 10.0),
            (site.loads[0].power, "it0.power_w", 5.0),
            (site.loads[6].power, "aux0.power_w", 1.0),
            (site.batteries[0].power, "storage0.power_w", 1000.0),
        ):
            device = site.device(tag.partition(".")[0])
            client = await client_of(device)
            shown_w = await value_of(client, device, site.point(tag))
            assert shown_w == pytest.approx(host.plant.read(signal), abs=resolution_w)
            client.close()

    serve(site, work)


def test_values_move_with_time_and_stand_between_steps(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        device = site.device("MTR-01")
        client = await client_of(device)
        point = device.profile.point("active_power")
        first = await value_of(client, device, point)
        assert await value_of(client, device, point) == first
        host.pace.advance(20 * MS_NS)
        assert await value_of(client, device, point) != first
        client.close()

    serve(site, work, ("MTR-01",))


def test_identity_is_what_the_profile_asks_for(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        probes = 0
        for device in site.devices:
            client = await client_of(device)
            for probe in device.profile.probes:
                words = await read(client, device, probe.function, probe.address, probe.count)
                answer = [word & mask for word, mask in zip(words, probe.mask, strict=True)]
                assert answer in [list(each) for each in probe.alternatives], device.id
                probes += 1
            client.close()
        assert probes > 10

    serve(site, work)


def test_every_read_of_the_read_plan_is_answered(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        for device in site.devices:
            client = await client_of(device)
            for block in device.profile.blocks:
                words = await read(client, device, block.function, block.address, block.count)
                assert len(words) == block.count
            client.close()

    serve(site, work)


def setpoint_words(site: Site, value_w: float) -> list[int]:
    """The whole block of the converter's command, with a setpoint in W."""
    command = site.command("PCS-01.active_power_setpoint")
    words = list(command.template)
    raw = round(value_w / command.scale)
    put = ModbusClientMixin.convert_to_registers(raw, CONVERSION[command.type])
    words[command.value_word : command.value_word + len(put)] = put
    return words


def test_a_write_moves_the_battery_and_silence_stops_it(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        device = site.device("PCS-01")
        command = site.command("PCS-01.active_power_setpoint")
        client = await client_of(device)
        words = setpoint_words(site, -6e6)
        reply = await client.write_registers(command.address, words, device_id=device.unit)
        assert not reply.isError()
        host.pace.advance(1000 * MS_NS)
        power = device.profile.point("active_power")
        readback = device.profile.point("active_power_setpoint_readback")
        assert await value_of(client, device, power) == pytest.approx(-6e6, rel=0.01)
        assert await value_of(client, device, readback) == pytest.approx(-6e6)
        for _ in range(6):
            host.pace.advance(1000 * MS_NS)
        assert await value_of(client, device, power) == 0.0
        assert await value_of(client, device, readback) == 0.0
        client.close()

    serve(site, work)


def test_limit_deferral_and_open_request_reach_the_physics(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        for tag, value, signal in (
            ("PV-01.active_power_limit", 3_000_000, "pv0.limit_w"),
            ("FLEX-01.defer_request", 2_000_000, "defer_request_w"),
        ):
            device, command = site.device(tag.partition(".")[0]), site.command(tag)
            client = await client_of(device)
            words = ModbusClientMixin.convert_to_registers(value, CONVERSION[command.type])
            reply = await client.write_registers(command.address, words, device_id=device.unit)
            assert not reply.isError()
            host.pace.advance(1000 * MS_NS)
            assert host.plant.read(signal) == value
            client.close()
        device, command = site.device("IO-01"), site.command("IO-01.open_request")
        client = await client_of(device)
        reply = await client.write_coils(command.address, [True], device_id=device.unit)
        assert not reply.isError()
        assert host.plant.read("open_request") == 1.0
        assert await read(client, device, 1, command.address, 1) == [1]
        client.close()
        assert host.commands.writes == 3

    serve(site, work)


def test_a_register_that_is_no_command_takes_no_write(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        device = site.device("PCS-01")
        client = await client_of(device)
        power = device.profile.point("active_power")
        reply = await client.write_register(power.address, 1234, device_id=device.unit)
        assert reply.isError()
        assert reply.exception_code == 2, "illegal data address, MAP 7"
        assert host.commands.writes == 0
        client.close()

    serve(site, work, ("PCS-01",))


def test_a_gap_is_an_illegal_address_where_the_profile_says_so(site: Site) -> None:
    async def work(host: WireHost, site: Site) -> None:
        device = site.device("BMS-01")
        assert not device.profile.gaps_legal
        client = await client_of(device)
        last = max(point.address for point in device.profile.points)
        reply = await client.read_holding_registers(last + 40, count=1, device_id=device.unit)
        assert reply.isError()
        client.close()

    serve(site, work, ("BMS-01",))


def test_two_units_share_one_port(site: Site) -> None:
    first, second = site.device("MTR-01"), site.device("MTR-02")
    shared = replace(second, port=first.port, unit=2)
    gateway = replace(
        site, devices=tuple(shared if each is second else each for each in site.devices)
    )

    async def work(host: WireHost, site: Site) -> None:
        host.pace.advance(500 * MS_NS)
        for device_id, signal in (("MTR-01", "it0.power_w"), ("MTR-02", "it1.power_w")):
            device = site.device(device_id)
            client = await client_of(device)
            shown_w = await value_of(client, device, device.profile.point("active_power"))
            assert shown_w == pytest.approx(host.plant.read(signal), abs=5.0)
            client.close()

    serve(gateway, work, ("MTR-01", "MTR-02"))


def test_a_port_in_use_is_named_and_nothing_is_left_listening(site: Site) -> None:
    taken = site.device("MTR-02")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((taken.host, taken.port))
        holder.listen()

        async def work(host: WireHost, site: Site) -> None:
            raise AssertionError("unreachable")

        with pytest.raises(PlantError, match=f"127.0.0.1:{taken.port}"):
            serve(site, work, ("MTR-01", "MTR-02"))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", site.device("MTR-01").port)) != 0


@pytest.mark.untraced
def test_a_long_stall_is_made_up_in_seconds_and_the_weather_is_renewed(site: Site) -> None:
    host = WireHost(site, HostOptions(start_utc_ns=START_UTC_NS, devices=("GRID-01",)))
    steps = host.plant.steps
    end_ns = host.plant.table_end_utc_ns
    host.pace.advance(26 * 3_600_000 * MS_NS)
    assert host.plant.steps - steps == 26 * 3600
    assert host.pace.utc_ns == START_UTC_NS + 26 * 3_600_000 * MS_NS
    assert host.plant.table_end_utc_ns > end_ns


def test_a_plant_whose_physics_end_by_an_error_stops_serving_and_says_why(site: Site) -> None:
    (meter,) = (each for each in site.devices if each.id == "MTR-01")

    async def whole() -> None:
        host = WireHost(site, HostOptions(devices=("MTR-01",), start_utc_ns=START_UTC_NS))
        host.pace.__class__ = FailingPace
        wire = host.wire()
        await wire.start()
        await asyncio.wait_for(wire.until(asyncio.Event()), 10.0)
        with pytest.raises(DataError, match="it ends here"):
            await wire.stop()
        await wire.stop()  # nothing is left, and nothing is told twice

    asyncio.run(whole())
    with socket.socket() as probe:
        assert probe.connect_ex((meter.host, meter.port)) != 0, "nobody shows values that stand"


def test_requests_are_counted_by_device(site: Site) -> None:
    async def work(host: WireHost, _: Site) -> None:
        (device,) = host.devices
        client = await client_of(device.device)
        for _ in range(3):
            point = device.device.profile.points[0]
            await read(client, device.device, point.function, point.address, point.words)
        client.close()
        assert device.requests == 3

    serve(site, work, ("MTR-01",))
