"""`edgectl probe --outstanding`: how many requests at once a device takes, and how it fails."""

import json
import sys
from dataclasses import replace
from typing import Any

import pytest
import several_rig
from device_rig import HOST, campus, chain, demo_devices, holding_of, serve, sunspec_model
from several_rig import Way, several, slowly, together

from edgectl.cli import main as cli
from edgectl.commissioning.client import DeviceError, Line, TcpAddress
from edgectl.commissioning.identify import Asker, shipped_profiles
from edgectl.commissioning.outstanding import NUMBERS, ROUNDS, Tally, Trouble
from edgectl.commissioning.outstanding_reads import READS_MAX, samples
from edgectl.commissioning.outstanding_verdict import Outstanding, outstanding, propose
from edgectl.commissioning.probe import Probed, recognise
from edgectl.plant.fault_server import Fault as WireFault
from edgectl.plant.fault_server import FaultServer, Step
from edgectl.plant.responder import ResponderProcess
from edgectl.profiles import Profile, load_profile, parse_profile
from edgectl.profiles.load import profiles_root

# Python on sockets: nothing of ext/ is reached anew
pytestmark = [pytest.mark.untraced, pytest.mark.wire]

METER = load_profile("meter/socomec-diris-a14")
TIMEOUT_MS, SHORT_MS = 1000, 80
NS_PER_MS = 1_000_000
HELD = {**dict.fromkeys(range(0xFFFF), 0), **holding_of(METER, 7)}  # whatever is asked for


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", "probe", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def found_at(port: int, timeout_ms: int = TIMEOUT_MS, gap_ms: int = 0) -> Outstanding:
    """What is found out of the device at a port, which is known by its identity."""
    with Line(TcpAddress(HOST, port), timeout_ms, gap_ms=gap_ms) as line:
        probed = recognise(Asker(line, 1), [METER])
        return outstanding(line, probed, lambda: None)


def tally(at_once: int, read_ms: float, slowest_ms: float, **troubles: int) -> Tally:
    return Tally(
        at_once, rounds=ROUNDS, slowest_ns=int(slowest_ms * NS_PER_MS),
        times_ns=[read_ms * NS_PER_MS],
        troubles={Trouble[name]: times for name, times in troubles.items()},
    )  # fmt: skip


# ---- devices that take several


def test_a_device_that_takes_them_all_is_found_to_take_eight() -> None:
    with several(several_rig.all_of_them, HELD) as (port, device):
        found = found_at(port)
    assert [each.at_once for each in found.tallies] == [*NUMBERS]
    assert all(each.passed and each.out_of_order == 0 for each in found.tallies)
    assert all(each.answered == each.asked == 2 * each.at_once * ROUNDS for each in found.tallies)
    assert found.failed is None
    assert device.most_at_once == READS_MAX, "they must leave in one segment"
    assert {each.function for each in device.requests} <= {1, 2, 3, 4, 43}, "nothing is written"


def said_of(
    port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    words = (f"{HOST}:{port}", "--unit", "1", "--timeout-ms", "300", "--outstanding", "--json")
    assert status_of(monkeypatch, *words) in (0, 3)
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])["outstanding"]
    assert found["answers_singly_afterwards"]
    counts = [each["count"] for each in found["reads"]]
    assert len(set(counts)) == len(counts) == READS_MAX
    return found


def test_the_compiled_responder_takes_eight(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ResponderProcess(1) as responder:
        found = said_of(responder.ports[0], monkeypatch, capsys)
    assert found["takes"] == READS_MAX, found["numbers"]
    assert [each["out_of_order"] for each in found["numbers"]] == [0, 0, 0, 0]


@pytest.mark.parametrize("behind", ["pymodbus", "the simulated campus"])
def test_pymodbus_own_server_answers_only_the_first_of_a_segment(
    behind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its framer gives one request to each batch of bytes; the campus is served by it."""
    if behind == "pymodbus":
        with serve({1: holding_of(METER, 7)}) as port:
            found = said_of(port, monkeypatch, capsys)
    else:
        devices = demo_devices()
        with campus(devices):
            grid = next(each for each in devices if each.id == "GRID-01")
            found = said_of(grid.port, monkeypatch, capsys)
    assert found["takes"] == 1
    assert set(found["numbers"][-1]["troubles"]) == {"lost"}
    assert "request 2 of the round" in found["numbers"][-1]["first_trouble"]


def test_replies_out_of_order_are_seen_and_are_no_failure() -> None:
    with several(several_rig.backwards, HELD) as (port, _):
        found = found_at(port)
    assert found.greatest is not None
    assert found.greatest.at_once == READS_MAX
    assert [each.out_of_order > 0 for each in found.tallies] == [False, True, True, True]


# ---- devices that do not


@pytest.mark.parametrize(
    ("way", "takes", "trouble", "said"),
    [
        (several_rig.first_only, 1, Trouble.LOST, "no reply to "),
        (several_rig.up_to_four, 4, Trouble.LOST, "request 5 of the round"),
        (several_rig.ids_exchanged, 1, Trouble.MIXED, "came with as many registers as"),
        (several_rig.last_id_for_all, 1, Trouble.MIXED, "came with as many registers as"),
        (several_rig.last_address_for_all, 1, Trouble.MIXED, "read singly, with"),
        (several_rig.closes, 1, Trouble.CLOSED, "2 of 2 requests unanswered"),
        (several_rig.busy, 1, Trouble.REFUSED, "exception 6, device busy"),
        (several_rig.twice, 1, Trouble.UNASKED, "which nothing waits for"),
        (several_rig.glued, 1, Trouble.BROKEN, "no Modbus TCP"),
        (slowly(0.02), 2, Trouble.LATE, "came after"),
    ],
)
def test_the_way_in_which_a_device_fails_is_named(
    way: Way, takes: int, trouble: Trouble, said: str
) -> None:
    with several(way, HELD) as (port, _):
        found = found_at(port, 70 if trouble is Trouble.LATE else SHORT_MS)
    assert found.greatest is not None
    assert found.failed is not None
    assert (found.greatest.at_once, found.failed.at_once) == (takes, 2 * takes)
    assert found.failed.kind is trouble
    assert said in found.failed.first
    assert found.after == "", "it answers singly as before"
    if takes == 1:
        assert found.proposal.max_outstanding == 1
        assert trouble.value in found.proposal.why


def test_a_device_that_never_comes_back_is_said_to_be_gone() -> None:
    alone = 3  # connections: to know it, for single reads, for two at once
    with several(several_rig.closes, HELD, connections_max=alone) as (port, _):
        found = found_at(port, SHORT_MS)
    assert found.failed is not None
    assert found.failed.kind is Trouble.CLOSED
    assert "refuses connections" in found.after


def test_what_only_waits_in_a_queue_is_left_at_one() -> None:
    with several(slowly(0.01), HELD) as (port, _):
        found = found_at(port)
    assert found.greatest is not None
    assert found.greatest.at_once == READS_MAX, "it takes them"
    assert found.proposal.max_outstanding == 1
    assert "nothing is gained" in found.proposal.why


def test_a_device_that_works_on_them_side_by_side_is_worth_it() -> None:
    with several(together(0.01), HELD) as (port, _):
        found = found_at(port)
    assert found.proposal.max_outstanding == READS_MAX
    assert found.proposal.reply_ms is not None
    assert found.proposal.reply_ms >= 15, "half as much again as the slowest single reply"


def test_a_device_that_fails_singly_is_not_strained() -> None:
    with FaultServer(HELD) as server, Line(TcpAddress(HOST, server.port), SHORT_MS) as line:
        probed = recognise(Asker(line, 1), [METER])
        samples(line, probed)
        server.reads.extend([Step()] * READS_MAX + [Step(WireFault.SILENT)] * 10)
        with pytest.raises(DeviceError, match="fails when asked one at a time"):
            outstanding(line, probed, lambda: None)


def test_what_needs_a_pause_is_asked_one_at_a_time() -> None:
    with several(several_rig.all_of_them, HELD) as (port, device):
        found = found_at(port, gap_ms=1)
    assert found.proposal.max_outstanding == 1
    assert "gap_ms = 1" in found.proposal.why
    assert not found.tallies
    assert device.most_at_once == 1


# ---- what is asked


@pytest.mark.parametrize("profile", shipped_profiles(), ids=lambda each: each.name)
def test_reads_of_every_profile_are_unlike_each_other(profile: Profile) -> None:
    with FaultServer() as server, Line(TcpAddress(HOST, server.port)) as line:
        found = samples(line, Probed(1, profile=profile, fits=bool(profile.probes)))
        spans = [(each.function, each.address, each.count) for each in found]
        assert len(set(spans)) == len(spans) >= 2
        assert len({each.count for each in found}) >= 2
        assert max(each.count for each in found if each.function > 2) <= profile.max_registers
        if profile.probes:
            assert any(any(each.constant) for each in found), "what says who it is, is compared"


def test_a_sunspec_device_without_a_profile_is_read_by_its_models() -> None:
    models = [sunspec_model(1, Mn="Acme", Md="Roof"), sunspec_model(103), sunspec_model(120)]
    with serve({1: chain(models)}) as port, Line(TcpAddress(HOST, port), TIMEOUT_MS) as line:
        found = samples(line, recognise(Asker(line, 1), []))
    assert len({each.count for each in found}) == len(found) == READS_MAX
    assert any(all(each.constant) for each in found)


def test_a_device_with_one_register_cannot_show_a_mix_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve({1: {0: 7}}) as port:
        assert status_of(monkeypatch, f"{HOST}:{port}", "--unit", "1", "--outstanding") == 1
    assert "1 different reads are answered" in capsys.readouterr().err


# ---- what is proposed


def test_a_proposal_satisfies_the_check_of_profiles() -> None:
    """Its three lines put into the profile are a profile that loads."""
    found = [tally(1, 5.0, 9.0), tally(2, 3.0, 12.0), tally(4, 2.0, 21.0, LOST=1)]
    proposal = propose(found, METER)
    assert (proposal.max_outstanding, proposal.reply_ms, proposal.timeout_ms) == (2, 14, 60)
    text = profiles_root().joinpath(f"{METER.name}.toml").read_text(encoding="utf-8")
    for lines in (
        f"max_outstanding = 2\nreply_ms = 14\ntimeout_ms = {proposal.timeout_ms}\n",
        f"max_outstanding = 8\nreply_ms = 14\ntimeout_ms = {8 * 14}\n",
    ):
        kept = [
            each for each in text.split("\n")
            if not each.startswith(("timeout_ms", "reply_ms", "max_outstanding"))
        ]  # fmt: skip
        written = "\n".join(kept).replace("[modbus]\n", f"[modbus]\n{lines}", 1)
        profile = parse_profile("changed.toml", written.encode())
        assert profile.outstanding_max * profile.reply_ns <= profile.timeout_ns


def test_eight_at_once_get_the_time_that_eight_need() -> None:
    found = [tally(each, 12.0 / each, 13.0) for each in NUMBERS]
    proposal = propose(found, METER)
    assert (proposal.max_outstanding, proposal.reply_ms, proposal.timeout_ms) == (8, 20, 160)


def test_a_device_that_holds_replies_back_until_they_are_acknowledged_is_left_at_one() -> None:
    """As libmodbus' server does, without TCP_NODELAY: 40 ms of each round are a delayed ACK."""
    proposal = propose([tally(1, 0.02, 2.0), tally(2, 11.0, 48.0)], None)
    assert proposal.max_outstanding == 1
    assert "TCP_NODELAY" in proposal.why


def test_times_shorter_than_can_be_told_apart_decide_nothing() -> None:
    assert propose([tally(1, 0.3, 2.0), tally(2, 0.5, 2.0)], None).max_outstanding == 2


def test_a_profile_that_says_a_longer_reply_keeps_it() -> None:
    slow = replace(METER, reply_ns=30 * NS_PER_MS, timeout_ns=400 * NS_PER_MS)
    proposal = propose([tally(1, 5.0, 6.0), tally(2, 3.0, 7.0)], slow)
    assert (proposal.reply_ms, proposal.timeout_ms) == (30, 400)


def test_without_a_profile_the_timeout_is_three_times_the_slowest_reply() -> None:
    proposal = propose([tally(1, 5.0, 9.0), tally(2, 3.0, 30.0)], None)
    assert (proposal.reply_ms, proposal.timeout_ms) == (23, 90)


# ---- the verb


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("/dev/ttyUSB0", "--outstanding"), "carries one request at a time"),
        (("host", "--outstanding", "--write-profile", "new.toml"), "are two steps"),
        (("host", "--outstanding", "--all-units"), "stands alone"),
    ],
)
def test_what_cannot_be_asked_contacts_nobody(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def contacted(_: Line) -> None:
        raise AssertionError("a device was contacted")

    monkeypatch.setattr(Line, "open", contacted)
    assert status_of(monkeypatch, *words) == 2
    assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_the_report_says_what_it_takes_how_it_fails_and_what_to_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--unit", "1", "--timeout-ms", str(SHORT_MS), "--outstanding")
    with several(several_rig.up_to_four, holding_of(METER, 7)) as (port, _):
        assert status_of(monkeypatch, f"{HOST}:{port}", *words) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "takes 4 at once: every reply with its own id and length within 80 ms, in order" in told
    assert "at 8 lost replies: no reply to holding " in told
    assert "since it answers singly as before" in told
    assert "10 registers that never change were compared" in told
    assert "change in [modbus] of meter/socomec-diris-a14: max_outstanding = 4 was 1" in told


def test_a_device_that_takes_one_is_a_result_and_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--unit", "1", "--timeout-ms", str(SHORT_MS), "--outstanding")
    with several(several_rig.first_only, holding_of(METER, 7)) as (port, _):
        assert status_of(monkeypatch, f"{HOST}:{port}", *words) == 0
        assert "leave max_outstanding = 1; 2 at once: lost replies" in " ".join(
            capsys.readouterr().out.split()
        )
        assert status_of(monkeypatch, f"{HOST}:{port}", *words, "--json") == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])["outstanding"]
    assert found["takes"] == 1
    assert found["proposal"]["max_outstanding"] == 1
    assert found["numbers"][-1]["troubles"] == {"lost": 3}


def test_without_the_flag_nothing_is_sent_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with several(several_rig.all_of_them, holding_of(METER, 7)) as (port, device):
        assert status_of(monkeypatch, f"{HOST}:{port}", "--unit", "1", "--json") == 0
    assert device.most_at_once == 1
    assert "outstanding" not in json.loads(capsys.readouterr().out.splitlines()[-1])
