"""One trace of each profile as bytes on a wire, written down once.

Made with pymodbus from the register maps; what is compared here are constants. A change of an
address, a scale, a sign or a word order in a profile is a change here, and is meant to be seen.
"""

import pytest
from profile_rig import one_device

from edgectl._kernel.modbus import ModbusStatus, check, encode
from edgectl._kernel.process_image import decode
from edgectl._kernel.quality import Quality
from edgectl.profiles import load_profile, profile_names
from edgectl.site_model.tables_bus import bus_arrays

# Profile: request, reply, and values in SI.
TRACES: dict[str, tuple[str, str, dict[str, float]]] = {
    "battery/byd-c130": (
        "4321 0000 0006 0103 2100 000d",
        "43 2100 0000 1d01 031a 15ae deba 0001 0025 0025 5eb8 09b0 5eb8 09b0 5eb8 00c0 5eb8 00c0",
        {"soc": 0.37, "cell_temperature_min": 292.35},
    ),
    "battery/soltaro-cluster-c": (
        "4321 0000 0006 0103 1047 0001",
        "43 2100 0000 0501 0302 0025",
        {"soc": 0.37},
    ),
    "flexible/generic-workload-gateway": (
        "4321 0000 0006 0103 0000 0007",
        "43 2100 0000 1101 030e 0b06 e040 0b06 e040 0b06 e040 5eb8",
        {"deferrable_power": 185000000.0, "jobs_held": 24248.0},
    ),
    "inverter/huawei-sun2000": (
        "4321 0000 0006 0103 7d50 0002",
        "43 2100 0000 0701 0304 01e0 1658",
        {"active_power": -31463000.0},
    ),
    "inverter/sma-tripower": (
        "4321 0000 0006 0103 7837 0002",
        "43 2100 0000 0701 0304 0060 12ec",
        {"active_power": -6296300.0},
    ),
    "inverter/sungrow-ihomemanager": (
        "4321 0000 0006 0104 1fe2 0001",
        "43 2100 0000 0501 0402 0172",
        {"soc": 0.37},
    ),
    "inverter/sungrow-sh-hybrid": (
        "4321 0000 0006 0104 32de 0001",
        "43 2100 0000 0501 0402 0172",
        {"soc": 0.37},
    ),
    "inverter/sunspec-inverter-103": (
        "4321 0000 0006 0103 9c94 0002",
        "43 2100 0000 0701 0304 7ffe ffff",
        {"active_power": -3276.6},
    ),
    "io/generic-safety-io": (
        "4321 0000 0006 0101 0000 0001",
        "4321 0000 0004 0101 0101",
        {"open_request_readback": 1.0},
    ),
    "meter/abb-b23": (
        "4321 0000 0006 0103 5b14 0002",
        "43 2100 0000 0701 0304 deb8 51ec",
        {"active_power": -5583457.48},
    ),
    "meter/accuenergy-acuvim-ii": (
        "4321 0000 0006 0103 4022 0002",
        "43 2100 0000 0701 0304 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/carlo-gavazzi-em24-ethernet": (
        "4321 0000 0006 0104 0028 0002",
        "43 2100 0000 0701 0404 b700 f080",
        {"active_power": -26000000.0},
    ),
    "meter/carlo-gavazzi-em24-rs485": (
        "4321 0000 0006 0104 0028 0002",
        "43 2100 0000 0701 0404 b700 f080",
        {"active_power": -26000000.0},
    ),
    "meter/carlo-gavazzi-em340": (
        "4321 0000 0006 0104 0028 0002",
        "43 2100 0000 0701 0404 b700 f080",
        {"active_power": -26000000.0},
    ),
    "meter/eastron-sdm630": (
        "4321 0000 0006 0104 0034 0002",
        "43 2100 0000 0701 0404 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/janitza-b23": (
        "4321 0000 0006 0103 4a7c 0002",
        "43 2100 0000 0701 0304 52ac 4b70",
        {"energy_import": 1332000011059200.0},
    ),
    "meter/janitza-umg604": (
        "4321 0000 0006 0103 0559 0002",
        "43 2100 0000 0701 0304 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/janitza-umg806": (
        "4321 0000 0006 0103 4a52 0002",
        "43 2100 0000 0701 0304 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/janitza-umg96rm-e": (
        "4321 0000 0006 0103 4a52 0002",
        "43 2100 0000 0701 0304 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/schneider-iem3155": (
        "4321 0000 0006 0103 0bed 0008",
        "43 2100 0000 1301 0310 c6cb 2000 c6cb 2000 c6cb 2000 c6cb 2000",
        {"active_power": -26000000.0},
    ),
    "meter/schneider-pm5560": (
        "4321 0000 0006 0103 0bf3 0002",
        "43 2100 0000 0701 0304 c6cb 2000",
        {"active_power": -26000000.0},
    ),
    "meter/siemens-7kt-pac1600": (
        "4321 0000 0006 0103 0039 0004",
        "43 2100 0000 0b01 0308 e101 6e00 e101 6e00",
        {"active_power": -5200000.0, "reactive_power": -5200000.0},
    ),
    "meter/siemens-pac2200": (
        "4321 0000 0006 0103 0041 0002",
        "43 2100 0000 0701 0304 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/siemens-sicam-t": (
        "4321 0000 0006 0103 00e8 0002",
        "43 2100 0000 0701 0304 cbc6 5d40",
        {"active_power": -26000000.0},
    ),
    "meter/socomec-countis-e23": (
        "4321 0000 0006 0103 c702 0008",
        "43 2100 0000 1301 0310 5eb8 51eb 0000 0000 0000 0000 5eb8 51eb",
        {"energy_import": 57208964364000.0, "energy_export": 57208964364000.0},
    ),
    "meter/socomec-countis-e34": (
        "4321 0000 0006 0103 c702 0008",
        "43 2100 0000 1301 0310 5eb8 51eb 0000 0000 0000 0000 5eb8 51eb",
        {"energy_import": 57208964364000.0, "energy_export": 57208964364000.0},
    ),
    "meter/socomec-diris-a14": (
        "4321 0000 0006 0103 c568 0002",
        "43 2100 0000 0701 0304 ff39 a2c0",
        {"active_power": -130000000.0},
    ),
    "meter/socomec-diris-b30": (
        "4321 0000 0006 0103 4d83 0005",
        "43 2100 0000 0d01 030a 5eb8 51eb 0000 5eb8 51eb",
        {"energy_import": 5720896436400000.0, "energy_export": 5720896436400000.0},
    ),
    "meter/sunspec-meter-203": (
        "4321 0000 0006 0103 9c98 0005",
        "43 2100 0000 0d01 030a 8001 8001 8001 8001 ffff",
        {"active_power": -3276.7},
    ),
    "storage/sinexcel-pcs": (
        "4321 0000 0006 0103 007a 0001",
        "43 2100 0000 0501 0302 2148",
        {"active_power": -85200.0},
    ),
    "storage/sma-sunny-island": (
        "4321 0000 0006 0103 7837 0002",
        "43 2100 0000 0701 0304 0027 ac40",
        {"active_power": -2600000.0},
    ),
    "storage/sunspec-der-storage": (
        "4321 0000 0006 0103 9dac 002e",
        "43 2100 0000 5f01 035c 0172 0000 0000 0000 0000 0000 0001 5eb8 0000 0000 0000 "
        "0025 0000 0000 0000 5eb8 51eb 0000 0000 0000 0000 0000 0000 4844 0000 0000 "
        "0000 0000 0000 0000 0000 0000 0000 8001 fffe fffe 0000 0000 0000 0000 0000 "
        "0000 0000 0000 0000 ffff",
        {"soc": 0.37, "battery_events": 1589137899.0},
    ),
    "ups/apc-smart-ups": (
        "4321 0000 0006 0103 0080 0004",
        "43 2100 0000 0b01 0308 5eb8 51eb 4a00 deb8",
        {"soc": 0.37, "battery_voltage": -266.25},
    ),
    "ups/liebert-aps": (
        "4321 0000 0006 0104 01b4 0005",
        "43 2100 0000 0d01 040a 5eb8 0e74 deb0 0025 5eb8",
        {"soc": 0.37, "battery_status": 24248.0},
    ),
    "ups/liebert-gxt": (
        "4321 0000 0006 0104 0072 0002",
        "43 2100 0000 0701 0404 5eb8 0025",
        {"soc": 0.37},
    ),
    "ups/liebert-nx": (
        "4321 0000 0006 0103 0056 0001",
        "43 2100 0000 0501 0302 001d",
        {"alarms_present": 1.0, "battery_depleted": 1.0},
    ),
    "ups/tripp-lite-modbuscard": (
        "4321 0000 0006 0104 0422 0005",
        "43 2100 0000 0d01 040a 5eb8 0025 0e74 deba 0024",
        {"soc": 0.37, "battery_temperature": 309.15},
    ),
    "ups/vertiv-unity-apm": (
        "4321 0000 0006 0104 01b5 0001",
        "43 2100 0000 0501 0402 0e74",
        {"output_power": 3700000.0},
    ),
}


def test_every_shipped_profile_has_its_trace() -> None:
    assert sorted(TRACES) == profile_names()


@pytest.mark.parametrize("name", TRACES)
def test_these_bytes_are_asked_and_mean_these_values(name: str) -> None:
    request, reply, values = TRACES[name]
    bus = bus_arrays(one_device(name))
    asked = []
    for block, row in zip(load_profile(name).blocks, bus.blocks, strict=True):
        fields = {
            "transaction": 0x4321, "unit": 1, "function": block.function,
            "address": block.address, "count": block.count,
        }  # fmt: skip
        asked.append(encode(fields))
        if asked[-1] != bytes.fromhex(request):
            continue
        status, words, _ = check(bytes.fromhex(reply), fields)
        assert status == ModbusStatus.MODBUS_OK
        first = int(row["first_point"])
        decoded = decode(bus.points[first : first + len(block.points)], words, 1)
        found = {point.name: each for point, each in zip(block.points, decoded, strict=True)}
        for point, value in values.items():
            assert found[point][0] == pytest.approx(value, rel=1e-9), point
            assert found[point][1] == Quality.QUALITY_GOOD, point
    assert asked.count(bytes.fromhex(request)) == 1, "the read plan asks exactly this"
