"""`edgectl scan`: ranges are bounded, hosts are tried one connection at a time, all are named."""

import json
import socket
import sys
from collections.abc import Iterator

import pytest
from device_rig import HOST, chain, holding_of, serial_line, serve, sunspec_model
from hypothesis import given
from hypothesis import strategies as st

from edgectl.cli import main as cli
from edgectl.commissioning.identify import shipped_profiles
from edgectl.commissioning.sweep import HOSTS_MAX, Plan, parse_numbers, parse_range, sweep
from edgectl.plant.fault_server import Fault, FaultServer, Step
from edgectl.profiles import Profile, load_profile

# Python that reads with pymodbus: nothing of ext/ is reached anew
pytestmark = [pytest.mark.untraced, pytest.mark.wire]

METER = "meter/socomec-diris-a14"
COMMON = {"Mn": "Acme", "Md": "Roof 30"}


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", "scan", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def shipped() -> list[Profile]:
    return shipped_profiles()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses for as long as the test holds it."""
    with socket.socket() as holder:
        holder.bind((HOST, 0))
        yield holder.getsockname()[1]


def plan(*ports: int, units: tuple[int, ...] | None = None, timeout_ms: int = 200) -> Plan:
    return Plan(ports, units, timeout_ms, 200)


# ---- ranges


@pytest.mark.parametrize(
    ("text", "count", "first", "last"),
    [
        ("192.168.10.0/24", 254, "192.168.10.1", "192.168.10.254"),
        ("192.168.10.20-40", 21, "192.168.10.20", "192.168.10.40"),
        ("10.0.0.250-10.0.1.5", 12, "10.0.0.250", "10.0.1.5"),
        ("10.0.0.7", 1, "10.0.0.7", "10.0.0.7"),
        ("10.0.0.7/32", 1, "10.0.0.7", "10.0.0.7"),
        ("meter-1.plant", 1, "meter-1.plant", "meter-1.plant"),
        ("10.0.0.1, 10.0.0.9,10.0.0.1", 2, "10.0.0.1", "10.0.0.9"),
        ("10.0.0.0/20", 4094, "10.0.0.1", "10.0.15.254"),
    ],
)
def test_a_range_is_the_hosts_it_names(text: str, count: int, first: str, last: str) -> None:
    hosts = parse_range(text)
    assert (len(hosts), hosts[0], hosts[-1]) == (count, first, last)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.0/19", "10.0.0.0-10.0.16.0", "10.0.0.0/20,10.1.0.0/24", "10.0.0.9-3", "", ",",
     "10.0.0.1-300", "10.0.0.0/33", "10.0.0.1-x", "10.0.0.400", "10.0.0"],
)  # fmt: skip
def test_a_range_too_large_or_without_sense_contacts_nobody(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def contacted(*_: object) -> None:
        raise AssertionError("somebody was contacted")

    monkeypatch.setattr(socket, "create_connection", contacted)
    with pytest.raises(ValueError, match=r"\S"):
        parse_range(text)
    assert status_of(monkeypatch, text) == 2


@given(st.text(alphabet="0123456789./-,: ax", max_size=24))
def test_no_text_gives_more_hosts_than_the_bound(text: str) -> None:
    try:
        hosts = parse_range(text)
    except ValueError:
        return
    assert 1 <= len(hosts) <= HOSTS_MAX


@pytest.mark.parametrize(
    ("text", "numbers"), [("502", (502,)), ("1,2,247", (1, 2, 247)), ("1-4,3", (1, 2, 3, 4))]
)
def test_units_and_ports_are_numbers_and_runs(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_numbers(text, 0, 65_535) == numbers


@pytest.mark.parametrize("text", ["", "x", "-1", "256", "9-3", "1-"])
def test_units_out_of_bounds_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_numbers(text, 0, 255)


# ---- who is there


def test_a_sweep_names_profile_sunspec_maker_and_the_unknown(
    shipped: list[Profile], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    roof = chain([sunspec_model(1, **COMMON), sunspec_model(101), sunspec_model(120)])
    with (
        serve({1: holding_of(load_profile(METER))}) as meter,
        serve({1: roof}) as inverter,
        serve({1: {0: 1}}) as unknown,
    ):
        ports = f"{meter},{inverter},{unknown}"
        assert status_of(monkeypatch, HOST, "--port", ports) == 0
        shown = capsys.readouterr().out
        assert status_of(monkeypatch, HOST, "--port", ports, "--json") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert METER in shown
    assert [each["device"] for each in said["devices"]] == [
        METER, "SunSpec: Acme Roof 30", "unknown"
    ]  # fmt: skip
    assert said["devices"][1]["note"] == "models 1 101 120"


def test_a_candidate_is_named_with_perhaps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({1: holding_of(load_profile("battery/byd-c130"), word=20)}) as port:
        assert status_of(monkeypatch, HOST, "--port", str(port), "--json") == 0
    (device,) = json.loads(capsys.readouterr().out.splitlines()[-1])["devices"]
    assert device["profile"] is None
    assert "perhaps battery/byd-c130" in device["note"]


def test_nobody_at_home_is_exit_status_1(
    closed_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, HOST, "--port", str(closed_port)) == 1
    told = capsys.readouterr().out
    assert f"1 of 1 tried are not there: the host refuses connections at port {closed_port}" in told


def test_a_host_that_takes_connections_and_is_silent_is_listed_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultServer(reads=[Step(Fault.SILENT)] * 100) as server:
        words = (HOST, "--port", str(server.port), "--timeout-ms", "20")
        assert status_of(monkeypatch, *words) == 1
    assert "takes connections; no answer within 20 ms" in capsys.readouterr().out


def test_without_units_the_first_that_answers_is_enough(shipped: list[Profile]) -> None:
    with serve({0: {0: 0}}) as port:
        found = sweep([HOST], plan(port), shipped).answering
    assert [each.probed.unit for each in found if each.probed] == [1]


def test_every_unit_that_is_asked_for_is_tried(shipped: list[Profile]) -> None:
    away = [Step(Fault.EXCEPTION, code=11)] * 100
    with FaultServer(reads=away) as server:
        sweep([HOST], plan(server.port, units=(1, 2, 247)), shipped)
        assert {each.unit for each in server.requests} == {1, 2, 247}


def test_a_host_gets_one_connection_at_a_time(shipped: list[Profile]) -> None:
    """Two ports of one host are tried one after the other."""
    with FaultServer() as first, FaultServer() as second:
        sweep([HOST], plan(first.port, second.port), shipped)
        last = max(each.time_ns for each in first.requests)
        assert last < min(each.time_ns for each in second.requests)


def test_one_silent_host_does_not_hide_the_others(shipped: list[Profile]) -> None:
    """Results stand in the order of the range, whoever is done first."""
    with FaultServer(reads=[Step(Fault.SILENT)] * 100) as mute:
        hosts = ["127.0.0.2", HOST, "127.0.0.3"]
        result = sweep(hosts, plan(mute.port, timeout_ms=20), shipped)
    assert (result.hosts, result.away, len(result.found)) == (3, 2, 1)


def test_units_of_a_serial_line_are_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serial_line({2: holding_of(load_profile(METER)), 5: {0: 1}}) as path:
        line = ("--serial", path, "--baud", "115200", "--parity", "none", "--timeout-ms", "60")
        assert status_of(monkeypatch, *line, "--units", "1-5", "--json") == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(each["unit"], each["device"]) for each in said["devices"]] == [
        (2, METER), (5, "unknown")
    ]  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [(), (HOST, "--serial", "/dev/ttyS0"), (HOST, "--port", "0"), (HOST, "--units", "256"),
     ("--serial", "/dev/ttyS0", "--parity", "mark")],
)  # fmt: skip
def test_a_wrong_command_line_is_refused(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status_of(monkeypatch, *words) == 2
