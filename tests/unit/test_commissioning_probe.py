"""`edgectl probe` against devices of other makers: who is there, and nothing that is not so."""

import json
import math
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import serial
from device_rig import HOST, campus, demo_devices, holding_of, serial_line, serve

from edgectl.cli import main as cli
from edgectl.cli import probe as probe_verb
from edgectl.cli.device_parts import shown
from edgectl.commissioning.client import (
    Fault,
    Line,
    Reply,
    SerialAddress,
    TcpAddress,
)
from edgectl.commissioning.identify import SILENT_MAX, Asker, best, shipped_profiles, verdicts
from edgectl.commissioning.probe import probe
from edgectl.commissioning.reading import read_points
from edgectl.plant.fault_server import Fault as WireFault
from edgectl.plant.fault_server import FaultServer, Step
from edgectl.profiles import Profile, load_profile, parse_profile
from edgectl.site_model import Device

# Python that reads with pymodbus: nothing of ext/ is reached anew
pytestmark = [pytest.mark.untraced, pytest.mark.wire]

TIMEOUT_MS = 2_000  # where all answer: how long they take is no matter of these tests
ABSENT_MS = 150
METER = "meter/socomec-diris-a14"
SMALL = """
schema = "edgectl.profile/1"
[device]
class = "meter"
vendor = "Acme"
models = ["M1"]
source = "a test"
verified = "synthetic"
identity_none = "made for a test"
[modbus]
word_order = "high_first"
timeout_ms = 60
max_registers = 125
gaps = "legal"
units = [1]
"""


def small_profile(*points: str) -> Profile:
    """Points as `name address type unit extra`."""
    text = SMALL
    for each in points:
        name, address, kind, unit, extra = each.split(" ", 4)
        text += f'\n[[point]]\nname = "{name}"\naddress = {address}\ntype = "{kind}"\n'
        text += f'unit = "{unit}"\n' + extra.replace(";", "\n") + "\n"
    return parse_profile("small.toml", text.encode())


def line_to(port: int) -> Line:
    return Line(TcpAddress(HOST, port), TIMEOUT_MS)


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


# ---- who is it


@pytest.fixture(scope="module")
def shipped() -> list[Profile]:
    return shipped_profiles()


def test_every_profile_with_an_identity_is_told_from_all_others(shipped: list[Profile]) -> None:
    """A device that answers what one profile wants, and nothing else, is that profile's."""
    known = [each for each in shipped if each.probes]
    assert len(known) > 10
    for profile in known:
        registers = holding_of(profile)
        inputs = registers if any(each.function == 4 for each in profile.probes) else {}
        with serve({1: registers}, inputs) as port, line_to(port) as line:
            found = verdicts(Asker(line, 1), shipped)
            assert best(found) == profile, [each.profile.name for each in found if each.matches]


def test_a_refusal_names_the_read_and_what_came_back(shipped: list[Profile]) -> None:
    profile = load_profile(METER)
    registers = holding_of(profile)
    wrong = profile.probes[-1]
    registers[wrong.address] ^= 0x0101
    with serve({1: registers}) as port, line_to(port) as line:
        found = {each.profile.name: each for each in verdicts(Asker(line, 1), shipped)}
    refused = found[METER]
    assert not refused.matches
    assert refused.probe == wrong
    assert isinstance(refused.answer, Reply)
    assert refused.answer.words[0] == registers[wrong.address]


def test_each_distinct_identity_read_is_sent_once(shipped: list[Profile]) -> None:
    with FaultServer({40000: 0}) as server, line_to(server.port) as line:
        verdicts(Asker(line, 1), shipped)
        reads = [(each.function, each.address, each.count) for each in server.requests]
    assert len(reads) == len(set(reads))


def test_two_profiles_that_fit_alike_are_both_named_and_none_is_chosen() -> None:
    one = load_profile(METER)
    twin = replace(one, name="meter/twin", sha256="other")
    with serve({1: holding_of(one)}) as port, line_to(port) as line:
        found = probe(line, 1, [one, twin], None)
    assert [each.name for each in found.matches] == [METER, "meter/twin"]
    assert found.profile is None
    assert not found.readings


def test_a_profile_without_identity_is_a_candidate_and_never_a_match(
    shipped: list[Profile],
) -> None:
    profile = load_profile("battery/byd-c130")
    with serve({1: holding_of(profile)}) as port, line_to(port) as line:
        found = probe(line, 1, shipped, None)
    assert found.profile is None
    assert not found.matches
    assert profile in [each.profile for each in found.candidates]


def test_a_mute_unit_is_soon_left_alone(shipped: list[Profile]) -> None:
    silent = [Step(WireFault.SILENT)] * 100
    with FaultServer(reads=silent) as server, Line(TcpAddress(HOST, server.port), 20) as line:
        found = probe(line, 1, shipped, None)
        assert found.absent is not None
        assert found.absent.fault == Fault.SILENT
        assert len(server.requests) <= SILENT_MAX


def test_a_gateway_without_the_unit_says_that_nobody_is_there(shipped: list[Profile]) -> None:
    away = [Step(WireFault.EXCEPTION, code=11)] * 100
    with FaultServer(reads=away) as server, line_to(server.port) as line:
        found = probe(line, 1, shipped, None)
    assert found.absent is not None
    assert "gateway target does not respond" in found.absent.text


def test_device_identification_is_read_where_it_is_answered() -> None:
    with (
        serve(
            {1: {0: 1}}, VendorName="Acme", ProductCode="EM100", MajorMinorRevision="2.1"
        ) as port,
        line_to(port) as line,
    ):
        found = probe(line, 1, [], None)
    assert found.identification == {0: "Acme", 1: "EM100", 2: "2.1"}
    assert found.named == "Acme EM100"


def test_a_devices_text_does_not_steer_the_terminal() -> None:
    with serve({1: {0: 1}}, VendorName="Ac\x1b[2Jme") as port, line_to(port) as line:
        assert line.identification(1) == {0: "Ac?[2Jme"}


@pytest.mark.parametrize(
    ("decode", "words", "version"),
    [
        ("words", [1, 12], "1.12"),
        ("bytes", [0x0105, 0x0200], "1.5.2"),
        ("nibbles", [0x1305], "1.3.5"),
        ("text", [0x5631, 0x2E31, 0x3200], "1.12"),
    ],
)
def test_firmware_is_read_and_held_against_the_profiles_ranges(
    decode: str, words: list[int], version: str
) -> None:
    below = f'ranges = [["0", "{version}"]]'  # up to, without the latter
    within = f'ranges = [["{version}", "99"]]'
    registers = {0: 0, 3: 231} | {500 + at: word for at, word in enumerate(words)}
    with serve({1: registers}) as port, line_to(port) as line:
        for ranges, held in ((within, True), (below, False)):
            text = SMALL.replace(
                "[modbus]",
                f'[firmware]\ntable = "holding"\naddress = 500\ncount = {len(words)}\n'
                f'decode = "{decode}"\n{ranges}\nsource = "a test"\n[modbus]',
            )
            text += '[[point]]\nname="v"\naddress=3\ntype="u16"\nunit="V"\nvalid=[0,500]\n'
            found = probe(line, 1, [], parse_profile("held.toml", text.encode()))
            assert found.firmware is not None
            assert (found.firmware.version, found.firmware.held) == (version, held)


def test_firmware_that_cannot_be_read_is_not_held() -> None:
    text = SMALL.replace(
        "[modbus]",
        '[firmware]\ntable = "holding"\naddress = 500\ncount = 1\ndecode = "words"\n'
        'ranges = [["1", "9"]]\nsource = "a test"\n[modbus]',
    )
    text += '[[point]]\nname="v"\naddress=3\ntype="u16"\nunit="V"\nvalid=[0,500]\n'
    with serve({1: {0: 0, 3: 231}}) as port, line_to(port) as line:
        found = probe(line, 1, [], parse_profile("held.toml", text.encode()))
    assert found.firmware is not None
    assert not found.firmware.held
    assert "exception 2" in found.firmware.text


# ---- what does it say


def test_points_are_decoded_judged_and_kept_with_their_words() -> None:
    profile = small_profile(
        "power 10 s32 kW valid=[-10,10];sign='export_positive'",
        "none 12 u16 V valid=[0,500];sentinel=0xFFFF",
        "wild 13 s16 degC valid=[-40,90]",
        "scaled 14 u16 A valid=[0,100];scale_factor=15",
    )
    registers = {10: 0xFFFF, 11: 0xFFFD, 12: 0xFFFF, 13: 200, 14: 123, 15: 0x8000}
    with serve({1: registers}) as port, line_to(port) as line:
        power, none, wild, scaled = read_points(line, 1, profile)
    assert (power.value, power.good, power.words) == (3000.0, True, (0xFFFF, 0xFFFD))
    assert (none.good, none.reason, math.isnan(none.value)) == (False, "not implemented", True)
    assert wild.value == pytest.approx(473.15), "a value out of range is shown"
    assert wild.reason == "out of range 233.15 to 363.15 K"
    assert scaled.reason == "scale factor 0x8000 is none"


def test_a_refused_block_is_read_point_by_point_and_the_missing_register_named() -> None:
    profile = small_profile(
        "first 10 u16 V valid=[0,500]",
        "absent 12 u16 V valid=[0,500]",
        "last 14 u16 V valid=[0,500]",
    )
    with serve({1: {10: 230, 14: 231}}) as port, line_to(port) as line:
        first, absent, last = read_points(line, 1, profile)
    assert (first.value, last.value) == (230.0, 231.0)
    assert "10-14 as one is refused" in first.reason
    assert absent.reason == "exception 2 illegal data address"
    assert not first.good, "in the scan the whole block would fail"


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (71_911_100.0, "W", "71.9111 MW"),
        (-14_418.0, "var", "-14.418 kvar"),
        (950.0, "W", "950 W"),
        (3.6e9, "J", "1 MWh"),
        (300.15, "K", "27 degC"),
        (0.62, "ratio", "62 %"),
        (10_500.0, "V", "10 500 V"),
        (18.0, "bits", "0x12"),
        (3.0, "state", "3"),
        (1.0, "bool", "on"),
        (math.nan, "W", "–"),
    ],
)
def test_values_are_printed_as_people_read_them(value: float, unit: str, expected: str) -> None:
    assert shown(value, unit) == expected


# ---- a serial line


def test_a_unit_on_a_serial_line_is_known_and_read(shipped: list[Profile]) -> None:
    profile = load_profile(METER)
    with serial_line({3: holding_of(profile)}) as path:
        address = SerialAddress(path, 115_200, "none")
        with Line(address, ABSENT_MS) as line:
            assert probe(line, 4, shipped, None).absent is not None
        with Line(address, TIMEOUT_MS) as line:
            found = probe(line, 3, shipped, None)
    assert found.profile == profile
    assert all(each.words for each in found.readings)


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("/dev/ttyNothing", "there is no such serial port"),
        ("/dev/null", "this is no serial port"),
        ("/", "this is no serial port"),
    ],
)
def test_a_serial_port_that_is_none_is_said_so(
    port: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, "probe", port, "--unit", "1") == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Errno" not in told


def test_a_serial_port_that_another_program_has_is_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serial_line({}) as path, serial.Serial(path, exclusive=True):
        assert status_of(monkeypatch, "probe", path, "--unit", "1") == 1
    assert "another program has this serial port" in capsys.readouterr().err


def test_a_unit_that_refuses_every_read_alike_may_not_be_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({3: holding_of(load_profile(METER))}) as port:
        assert status_of(monkeypatch, "probe", f"{HOST}:{port}", "--unit", "4") == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "every read is refused with exception 4, device failure; perhaps nobody has" in told


# ---- the verb


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses for as long as the test holds it."""
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        yield holder.getsockname()[1]


def test_probe_ends_by_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], closed_port: int
) -> None:
    registers = holding_of(load_profile(METER))
    with serve({1: registers, 5: {0: 7}}) as port:
        target = f"{HOST}:{port}"
        assert status_of(monkeypatch, "probe", target) == 0
        text = capsys.readouterr().out
        assert METER in text
        assert "identity agrees" in text
        assert "active_power" in text
        assert status_of(monkeypatch, "probe", target, "--unit", "5") == 3
        assert "none: no shipped profile's identity agrees" in capsys.readouterr().out
        other = ("--profile", "meter/abb-b23")
        assert status_of(monkeypatch, "probe", target, *other) == 3
        assert "does NOT agree" in capsys.readouterr().out
    with FaultServer(reads=[Step(WireFault.SILENT)] * 100) as mute:
        words = (f"{HOST}:{mute.port}", "--unit", "9", "--timeout-ms", "30")
        assert status_of(monkeypatch, "probe", *words) == 1
        assert "nobody answers" in capsys.readouterr().err
    assert status_of(monkeypatch, "probe", f"{HOST}:{closed_port}") == 1
    assert "refuses connections" in capsys.readouterr().err
    assert status_of(monkeypatch, "probe", "nobody.invalid") == 1
    assert "no host of the name" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("host:99999",),
        ("",),
        ("a host",),
        ("host", "--profile", "meter/nothing"),
        ("/dev/ttyS0", "--parity", "mark"),
        ("host", "--all-units", "--unit", "1"),
        ("host", "--write-profile", "somewhere.json"),
    ],
)
def test_a_wrong_command_line_contacts_nobody(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def contacted(_: Line) -> None:
        raise AssertionError("a device was contacted")

    monkeypatch.setattr(Line, "open", contacted)
    assert status_of(monkeypatch, "probe", *words) == 2


def test_the_json_of_a_probe_holds_every_point_in_si(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = load_profile(METER)
    with serve({1: holding_of(profile)}) as port:
        assert status_of(monkeypatch, "probe", f"{HOST}:{port}", "--json") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["profile"] == METER
    assert {each["name"] for each in said["points"]} == {each.name for each in profile.points}
    power = next(each for each in said["points"] if each["name"] == "active_power")
    assert (power["value"], power["unit"], power["words"]) == (0.0, "W", [0, 0])


def test_all_units_lists_who_answers_with_runs_put_together(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe_verb, "shipped_profiles", lambda: [load_profile(METER)])
    with serve({0: {0: 0}, 7: holding_of(load_profile(METER))}) as port:  # 0: all the others
        assert status_of(monkeypatch, "probe", f"{HOST}:{port}", "--all-units") == 3
    text = capsys.readouterr().out
    assert "0-6, 8-247, 255" in text
    assert "ignore" not in text, "unit 7 is another device than the rest"
    assert METER in text


# ---- the simulated campus


def test_every_device_of_the_demo_campus_is_what_its_site_file_says(
    shipped: list[Profile],
) -> None:
    """By identity where its profile has one, else as a candidate whose values are believable."""
    devices = demo_devices()
    with campus(devices):
        wrong = [each.id for each in devices if not _is_itself(each, shipped)]
    assert wrong == []


def _is_itself(device: Device, shipped: list[Profile]) -> bool:
    with Line(TcpAddress(device.host, device.port)) as line:
        found = probe(line, device.unit, shipped, None)
    if device.profile.probes:
        name = found.profile.name if found.profile else ""
        return name == device.profile.name and all(each.words for each in found.readings)
    first = found.candidates[0] if found.candidates else None
    return first is not None and first.profile.name == device.profile.name


def test_a_profile_file_of_ones_own_is_probed_like_a_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "own.toml"
    own = '\n[[point]]\nname="volts"\naddress=3\ntype="u16"\nunit="V"\nvalid=[0,500]\n'
    file.write_text(SMALL + own)
    with serve({1: {0: 0, 3: 231}}) as port:
        assert status_of(monkeypatch, "probe", f"{HOST}:{port}", "--profile", str(file)) == 0
    assert "231 V" in capsys.readouterr().out
