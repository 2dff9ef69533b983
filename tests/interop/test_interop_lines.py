"""Masters of other makers against our simulated devices: mbpoll on a line, pysunspec2 over TCP."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_rig import ON_LINE, Served, demo_with_a_line, served
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from edgectl.site_model import Site, load_site

pytestmark = pytest.mark.untraced  # strangers against pymodbus: nothing of ext/ is reached
CHARGE_W = 4e6
CHAIN = [(1, 66), (701, 153), (702, 50), (704, 65), (713, 7), (802, 62)]  # of the profile
SETTINGS = [(703, 17), (707, 38), (708, 38), (709, 47), (710, 47)]  # behind it
RATED = ("NorOpCatRtg", "AbnOpCatRtg")  # what the converter says of itself, measured by nobody


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Site:
    return load_site(demo_with_a_line(root, tmp_path))


@pytest.fixture
def plant(site: Site) -> Iterator[Served]:
    with served(site, (*ON_LINE, "PCS-01")) as running:
        running.host.plant.write_storage_w(0, CHARGE_W)
        running.host.pace.advance(1_500_000_000)
        yield running


def with_mbpoll(plant: Served, unit: int, address: int, count: int) -> list[int]:
    """Holding registers as mbpoll prints them, with the settings of the line."""
    line = plant.wire.lines[0].line
    done = subprocess.run(
        ["mbpoll", "-m", "rtu", "-b", str(line.baud), "-P", line.parity, "-s", str(line.stop_bits),
         "-0", "-1", "-q", "-o", "10", "-a", str(unit), "-t", "4:hex", "-r", str(address),
         "-c", str(count), line.port],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = re.findall(r"^\[(\d+)\]:\s+(\w+)", done.stdout, re.MULTILINE)
    assert [int(at) for at, _ in found] == list(range(address, address + count)), done
    return [int(word, 16) for _, word in found]


def test_mbpoll_reads_every_block_of_the_units_of_a_line(plant: Served) -> None:
    if shutil.which("mbpoll") is None:
        pytest.skip("INTEROPERABILITY NOT TESTED: there is no mbpoll (Debian package mbpoll)")
    for device, unit in ON_LINE.items():
        measured = plant.measured(device)
        seen: set[int] = set()
        for block in plant.device(device).device.profile.blocks:
            words = with_mbpoll(plant, unit, block.address, block.count)
            for at, word in enumerate(words, block.address):
                if at in measured:
                    assert word == measured[at], f"{device} register {at}"
                    seen.add(at)
        assert seen == set(measured)


@pytest.fixture
def client(plant: Served) -> Iterator[SunSpecModbusClientDeviceTCP]:
    device = plant.device("PCS-01").device
    found = SunSpecModbusClientDeviceTCP(device.unit, device.host, device.port, timeout=10.0)
    found.scan()
    yield found
    found.disconnect()


def test_pysunspec2_finds_the_chain_of_the_converter_and_no_fault_in_it(
    client: SunSpecModbusClientDeviceTCP,
) -> None:
    assert client.base_addr == 40000
    assert [(model.model_id, model.model_len) for model in client.model_list] == CHAIN + SETTINGS
    assert [model.error_info for model in client.model_list] == [""] * len(CHAIN + SETTINGS)
    common = client.models[1][0]
    assert (common.Mn.value, common.SN.value) == ("edgectl", "PCS-01")


def test_pysunspec2_reads_what_the_physics_are(
    plant: Served, client: SunSpecModbusClientDeviceTCP
) -> None:
    core = plant.device("PCS-01").slots
    slots = {slot.point.address: slot for slot in core.slots}
    compared = set()
    for model in client.model_list:
        for name, point in model.points.items():
            if name in RATED or model.model_id in dict(SETTINGS):
                continue
            slot = slots.get(model.model_addr + point.offset)
            if slot is None:
                measured = point.value is not None and not name.endswith("_SF")
                assert not measured or model.model_id in (1, 704) or name in ("ID", "L"), name
                continue
            assert slot.point.words == point.len, name
            raw = plant.host.plant.value(slot.signal) * slot.mul + slot.add
            sf_address = slot.point.sf_address
            step = 10.0 ** (core.exponent(sf_address) if sf_address is not None else 0)
            assert point.cvalue == pytest.approx(raw * step, abs=0.51 * step), name
            compared.add(slot.point.address)
    assert compared == set(slots)
    w = client.models[701][0].W
    assert w.cvalue == pytest.approx(-CHARGE_W, rel=0.02), "charging is negative in SunSpec DER"
    assert client.models[704][0].WSetEna.value == 1
