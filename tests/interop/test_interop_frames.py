"""Our master's frames and our devices' replies, dissected by Wireshark: clean, and matched."""

import shutil
import subprocess
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from frame_tap import Recording, frames, line_tap, tcp_tap, write_capture
from site_rig import ON_LINE, SiteRig, demo_with_a_line, served

from edgectl.site_model import Site, load_site

pytestmark = pytest.mark.wire

PORTS = {
    "mbtcp": 502,
    "mbrtu": 1502,
}  # the dissector of Modbus TCP tells query from response by 502
WRONG = "_ws.malformed || _ws.expert.severity >= 0x400000"  # notes, warnings, errors
SCANS = 24  # a logger settles for 1.5 s first


@pytest.fixture
def site(root: Path, tmp_path: Path) -> Site:
    if shutil.which("tshark") is None:
        pytest.skip("INTEROPERABILITY NOT TESTED: there is no tshark (Debian package tshark)")
    return load_site(demo_with_a_line(root, tmp_path))


def dissected(capture: Path, dialect: str, wanted: str, *fields: str) -> list[list[str]]:
    """Fields of those packets of a capture that a display filter wants."""
    words = ["-r", str(capture), "-d", f"tcp.port=={PORTS[dialect]},{dialect}", "-Y", wanted]
    words += ["-o", "mbrtu.crc_verification:TRUE", "-T", "fields"]
    for field in fields:
        words += ["-e", field]
    done = subprocess.run(
        ["tshark", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t") for line in done.stdout.splitlines()]


def functions_matched(capture: Path, dialect: str) -> Counter[int]:
    """How often each function was asked for; fails on a complaint, or a response to no request.

    A capture may end before the last response of each connection.
    """
    assert dissected(capture, dialect, WRONG, "frame.number", "_ws.expert.message") == []
    found = dissected(
        capture, dialect, "modbus", "frame.number", "modbus.func_code", "modbus.request_frame",
        "tcp.stream", "modbus.exception_code",
    )  # fmt: skip
    asked = {number: stream for number, _, request, stream, _ in found if not request}
    answered = Counter(request for _, _, request, _, _ in found if request)
    assert set(answered.values()) == {1}, "each request is answered once"
    assert set(answered) <= set(asked)
    open_ends = [asked[number] for number in asked if number not in answered]
    assert len(open_ends) == len(set(open_ends)), "only the last of a connection is open"
    assert not any(exception for *_, exception in found)
    return Counter(int(function) for _, function, request, _, _ in found if not request)


@pytest.mark.slow
def test_frames_of_our_master_and_our_devices_are_clean_to_wireshark(
    site: Site, tmp_path: Path
) -> None:
    taps: list[list[Recording]] = []
    devices = []
    with served(site, standing=False), ExitStack() as stack:
        port, on_line = stack.enter_context(line_tap(str(tmp_path / "line")))
        for device in site.devices:
            if device.line is not None:
                devices.append(replace(device, line=replace(device.line, port=port)))
                continue
            tapped, connections = stack.enter_context(tcp_tap(device.port))
            taps.append(connections)
            devices.append(replace(device, port=tapped))
        rig = SiteRig(replace(site, devices=tuple(devices)))
        rig.scan(SCANS // 2)
        rig.arm()
        rig.scan(SCANS // 2)
        links = rig.links()
        rig.close()
    for name, link in links.items():
        assert (link["timeouts"], link["bad_replies"], link["connects"]) == (0, 0, 1), name
    tcp, rtu = tmp_path / "tcp.pcap", tmp_path / "rtu.pcap"
    write_capture(tcp, PORTS["mbtcp"], [one.passed for each in taps for one in each])
    write_capture(rtu, PORTS["mbrtu"], [list(frames(on_line))])
    over_tcp, over_rtu = functions_matched(tcp, "mbtcp"), functions_matched(rtu, "mbrtu")
    asked = {name: int(link["requests"]) for name, link in links.items()}
    assert over_rtu.total() == sum(asked[name] for name in ON_LINE)
    assert over_tcp.total() == sum(asked.values()) - over_rtu.total()
    assert {3, 16} <= set(over_tcp), "registers are read and written"
    assert over_tcp[2] + over_tcp[1] > 0, "bits are read"


def test_a_frame_that_is_wrong_is_seen(site: Site, tmp_path: Path) -> None:
    request = bytes.fromhex("0103000a0002e409")
    response = bytes.fromhex("01030400010002 2a32")
    for number, last in enumerate((0x32, 0x33)):
        reply = response[:-1] + bytes([last])
        capture = tmp_path / f"{number}.pcap"
        write_capture(capture, PORTS["mbrtu"], [[(1.0, True, request), (1.1, False, reply)]])
        complaints = dissected(capture, "mbrtu", WRONG, "frame.number")
        assert bool(complaints) is bool(number), "the response's CRC"
