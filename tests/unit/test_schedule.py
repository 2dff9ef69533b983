"""The schedule's bound: by hand, never passed by the link's own order of service, and refused."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from schedule_rig import NO_SYNC, Master, loads

from edgectl.cli.check import check, summary
from edgectl.cli.check_advice import advice
from edgectl.errors import ProfileError, SiteFileError
from edgectl.profiles import load_profile, profiles_root
from edgectl.profiles.model import Block
from edgectl.site_model import Device, Line, Site, compile_tables, load_site, parse_site
from edgectl.site_model.model import Scan
from edgectl.site_model.schedule import (
    UNBOUNDED_NS,
    Cost,
    Unit,
    link_schedule,
    oldest_ns,
    schedule,
    turn_ns,
    unit_of,
)

MS = 1_000_000
SCAN = Scan(100 * MS, 60 * MS)
LINE = Line("RS485-1", "/dev/ttyS1", 9600, "even", 1, 5 * MS, 2 * MS, rs485=False)
PLAIN = "unit    = 1\nreply_ms = 20\n"


# ---- by hand


def meter(unit: int, line: Line | None = None, reply_ms: int = 60) -> Device:
    """A meter with four blocks, one of them read at every scan, and a timeout of 60 ms."""
    profile = replace(load_profile("meter/schneider-pm5560"), reply_ns=reply_ms * MS)
    return Device(f"MTR-{unit}", profile, "10.0.0.1", 502, unit, True, line)


def test_a_turn_is_every_block_once_the_request_before_and_one_timeout() -> None:
    row = link_schedule([meter(1, reply_ms=20)], SCAN)
    assert row.turn_ns == (20 + 4 * 20 + (60 - 20)) * MS
    assert (row.worst, row.age_ns) == ("MTR-1.active_power", 2 * 100 * MS + row.turn_ns)
    assert row.margin_ns == row.limit_ns - row.age_ns == 160 * MS
    assert row.holds
    assert not replace(row, limit_ns=row.age_ns - 1).holds


def test_a_turn_over_a_period_reads_the_neighbours_fast_blocks_again() -> None:
    row = link_schedule([meter(1), meter(2)], SCAN)
    assert row.turns_ns == (9 * 60 * MS, 9 * 60 * MS), "1 before, 4 own, 4 turns of the other"
    assert row.devices == ("MTR-1", "MTR-2")


def test_reads_and_load_are_those_of_a_scan() -> None:
    row = link_schedule([meter(1, reply_ms=20)], SCAN)
    assert row.requests == pytest.approx(1 + 0.1 + 0.1 + 1 / 600)
    assert row.utilisation == pytest.approx(row.requests * 20 / 100)


def test_eighty_registers_at_9600_baud_take_a_fifth_of_a_second() -> None:
    profile = meter(1).profile
    block = Block(3, 0, 80, 1, profile.points)
    device = replace(meter(1, LINE), profile=replace(profile, blocks=(block,), reply_ns=20 * MS))
    char_ns = 1_145_834  # 8E1: eleven bits
    bytes_ns = (8 + 5 + 160) * char_ns
    assert 198 * MS < bytes_ns < 199 * MS
    silence_ns = 4_010_419  # 3.5 characters
    (cost,) = unit_of(device, 0).reads
    assert cost.answered_ns == bytes_ns + 5 * MS + silence_ns + 20 * MS + silence_ns + 2 * MS
    assert cost.lost_ns == bytes_ns + 5 * MS + 60 * MS + silence_ns + 2 * MS
    (slow,) = unit_of(replace(device, profile=replace(device.profile, reply_ns=60 * MS)), 0).reads
    assert slow.answered_ns == slow.lost_ns, "the kernel waits no longer"


@pytest.mark.parametrize(
    ("function", "count", "bytes_on_line"),
    [(5, 1, 16), (6, 1, 16), (15, 9, 9 + 2 + 8), (16, 3, 9 + 6 + 8)],
)
def test_a_write_on_a_line(function: int, count: int, bytes_on_line: int) -> None:
    profile = load_profile("storage/sunspec-der-storage")
    command = replace(profile.commands[0], function=function, count=count)
    slow = replace(LINE, turnaround_ns=0, latency_ns=0)
    device = replace(meter(1, slow), profile=replace(profile, commands=(command,), reply_ns=0))
    (cost,) = unit_of(device, 0).writes
    assert cost.answered_ns == bytes_on_line * LINE.char_ns + 2 * (LINE.char_ns * 7 // 2)


def test_bits_take_an_eighth_of_a_byte() -> None:
    profile = meter(1).profile
    blocks = (Block(2, 0, 17, 1, profile.points), Block(4, 0, 17, 1, profile.points))
    device = replace(meter(1, LINE), profile=replace(profile, blocks=blocks))
    bits, registers = unit_of(device, 0).reads
    assert registers.lost_ns - bits.lost_ns == (2 * 17 - 3) * LINE.char_ns


def test_above_19200_baud_the_silence_is_fixed_and_a_gap_may_be_longer() -> None:
    fast = replace(LINE, baud=38_400, turnaround_ns=0)
    device = meter(1, fast, reply_ms=10)
    quick, patient = (unit_of(device, gap_ns).reads[0] for gap_ns in (0, 30 * MS))
    carried_ns = quick.lost_ns - 60 * MS - 1_750_000
    assert quick.answered_ns == carried_ns + 10 * MS + 2 * 1_750_000
    assert patient.answered_ns - quick.answered_ns == 30 * MS - 1_750_000


def test_marks_that_fall_together_make_a_lost_reply_cost_more() -> None:
    assert oldest_ns(100, 99, 250) == 2 * 100 + 250
    assert oldest_ns(100, 250, 400) == 4 * 100 + 400
    assert oldest_ns(100, 0, UNBOUNDED_NS) == UNBOUNDED_NS


def test_writes_that_fill_the_link_leave_reads_no_bound() -> None:
    full = Unit((Cost(10, 10),), (1,), (Cost(100, 100),), 0, NO_SYNC)
    assert turn_ns([full], 0, Scan(100, 60), lost=0) == UNBOUNDED_NS
    room = replace(full, writes=(Cost(80, 80),))
    assert turn_ns([room], 0, Scan(100, 60), lost=0) < UNBOUNDED_NS


def test_a_unit_that_rests_is_asked_again_at_the_burst_after() -> None:
    unit = Unit((Cost(10, 50),), (1,), (), 40, Cost(7, 50))
    other = replace(unit, rest_ns=0, sync=NO_SYNC)
    scan = Scan(1000, 600)
    assert turn_ns([unit], 0, scan, lost=1) == 10 + 10 + (50 - 10) + 7 + (40 + 1000)
    assert turn_ns([other, unit], 0, scan, lost=1) == 10 + 10 + 10 + (50 - 10) + 7, "not its rest"


def test_writes_do_not_move_the_turn() -> None:
    """Two units and a write at each scan: D is read after the other has had one turn, not two."""
    writer = Unit((Cost(10, 10),), (1,), (Cost(5, 5),), 0, NO_SYNC)
    reader = Unit((Cost(20, 20),), (1,), (), 0, NO_SYNC)
    assert turn_ns([writer, reader], 1, Scan(1000, 600), lost=0) == 20 + 20 + 10 + 5


# ---- against the kernel's own order of service


@settings(max_examples=150, deadline=None)
@given(
    units=st.booleans().flatmap(lambda serial: st.lists(loads(serial), min_size=1, max_size=4)),
    lead=st.integers(1, 99),
    late=st.sampled_from((0.5, 0.9, 1.0)),
    seed=st.integers(0, 2**32),
)
def test_no_value_grows_older_than_its_bound(
    units: list[Unit], lead: int, late: float, seed: int
) -> None:
    scan = Scan(100, lead)
    turns = [turn_ns(units, own, scan, lost=1) for own in range(len(units))]
    clean = [turn_ns(units, own, scan, lost=0) for own in range(len(units))]
    bounds = {
        (at, item): oldest_ns(every * 100, clean[at] - cost.answered_ns, turns[at])
        for at, unit in enumerate(units)
        for item, (cost, every) in enumerate(zip(unit.reads, unit.every, strict=True))
        if turns[at] < UNBOUNDED_NS
    }
    span = max(bounds.values(), default=0)
    apart = span + 400  # a loss and its rest are over before the next
    master = Master(units, scan, Random(seed), late, apart)
    fresh: dict[tuple[int, int], int] = {}
    for what, at, item, poll in master.run(min(6 * apart, 40_000)):
        if what == "reply":
            assert poll <= turns[at]
            fresh[at, item] = master.now
            continue
        for block, since in fresh.items():
            assert block not in bounds or master.now - since <= bounds[block]


@pytest.mark.parametrize("lost", [0, 1])
def test_the_bound_of_a_turn_is_reached(lost: int) -> None:
    """Two units at 52 of 100 each: a reply is under way at the mark, then the other, then again."""
    units = [Unit((Cost(52, 52 + 40 * lost),), (1,), (), 0, NO_SYNC) for _ in range(2)]
    scan = Scan(100, 60)
    apart = 10_000 if lost else 10**9
    longest = 0
    for start in range(0, 2000, 52):
        master = Master(units, scan, Random(1), 1.0, apart)
        master.next_loss = start + 1 if lost else apart
        polls = [poll for what, _, _, poll in master.run(4000) if what == "reply"]
        longest = max(longest, *polls)
    assert longest == turn_ns(units, 0, scan, lost) == 3 * 52 + 40 * lost


# ---- in a site


def refused(site: Site, before: str, after: str) -> SiteFileError:
    text = site.path.read_text()
    assert before in text
    with pytest.raises(SiteFileError) as caught:
        parse_site(site.path, text.replace(before, after, 1).encode())
    return caught.value


def test_shipped_sites_hold() -> None:
    for name in ("demo", "texas-100mw"):
        assert all(row.holds and row.utilisation < 1 for row in schedule(load_site(name)))


def test_a_site_that_cannot_hold_is_refused_with_numbers() -> None:
    site = load_site("demo")
    text = site.path.read_text()
    first = text.index('id      = "PCS-01"')
    line = text[:first].count("\n")
    late = text[first:].replace("stale_after_ms = 600", "stale_after_ms = 500", 1)
    with pytest.raises(SiteFileError) as caught:
        parse_site(site.path, (text[:first] + late).encode())
    (problem,) = caught.value.problems
    assert problem.where == f"demo.toml:{line} PCS-01"
    assert "PCS-01.charge_limit may be 520 ms old and is stale after 500 ms" in problem.problem
    assert "keep 127.0.0.1:15031 for up to 220 ms" in problem.problem
    assert "stale_after_ms = 520" in problem.remedy
    assert "reply_ms" not in problem.remedy, "it is given"


def test_without_reply_ms_the_timeout_counts_and_the_remedy_says_so() -> None:
    site = load_site("demo")
    (problem,) = refused(site, PLAIN, "unit    = 1\n").problems
    assert "60 ms: give reply_ms" in problem.remedy


def test_a_reply_later_than_the_timeout_is_refused(tmp_path: Path) -> None:
    problems = refused(load_site("demo"), PLAIN, "unit    = 1\nreply_ms = 61\n").problems
    assert any("gives a reply up after 60 ms" in each.problem for each in problems)
    text = (profiles_root() / "meter" / "schneider-pm5560.toml").read_text()
    before, _, after = text.partition("max_registers")
    (tmp_path / "m.toml").write_text(f"{before}reply_ms = 61\nmax_registers{after}")
    with pytest.raises(ProfileError, match="it must be at most timeout_ms, 60 ms"):
        load_profile("m.toml", tmp_path)
    (tmp_path / "m.toml").write_text(f"{before}reply_ms = 25\nmax_registers{after}")
    assert load_profile("m.toml", tmp_path).reply_ns == 25 * MS


def test_many_on_one_link_are_counted_in_the_message(tmp_path: Path) -> None:
    profile = (profiles_root() / "meter" / "schneider-pm5560.toml").read_text()
    before, _, after = profile.partition("[1, 255]")
    (tmp_path / "m.toml").write_text(f"{before}[1, 2, 3, 4, 5, 6]{after}")
    text = load_site("demo").path.read_text().replace('"meter/schneider-pm5560"', '"m.toml"')
    for unit in range(1, 7):
        text = text.replace(f"{15020 + unit}\nunit    = 1\n", f"15021\nunit    = {unit}\n")
    with pytest.raises(SiteFileError) as caught:
        parse_site(tmp_path / "shared.toml", text.encode())
    (problem,) = caught.value.problems
    assert "the reads and writes of its 6 devices keep 127.0.0.1:15021 for" in problem.problem
    assert "put devices on another link" in problem.remedy


def test_a_link_without_a_bound_says_that_reads_may_wait_for_ever() -> None:
    text = load_site("demo").path.read_text()
    quick = text.replace("period_ms        = 100", "period_ms = 20", 1)
    quick = quick.replace("read_lead_ms     = 60", "read_lead_ms = 10", 1)
    with pytest.raises(SiteFileError) as caught:
        parse_site(Path("quick.toml"), quick.encode())
    found = {each.where.split()[1]: each for each in caught.value.problems}
    assert "may never be read" in found["PCS-01"].problem
    assert "stale_after_ms" not in found["PCS-01"].remedy


def test_check_prints_the_table_and_json_has_it(capsys: pytest.CaptureFixture[str]) -> None:
    check("demo")
    lines = capsys.readouterr().out.split("\n")
    assert max(map(len, lines)) <= 100
    (row,) = [line.split() for line in lines if line.startswith("127.0.0.1:15031 ")]
    assert row == ["127.0.0.1:15031", "PCS-01", "3.2", "64%", "220", "PCS-01.charge_limit",
                   "520", "600", "80"]  # fmt: skip
    site = load_site("demo")
    (found,) = [
        each
        for each in json.loads(json.dumps(summary(site, compile_tables(site))))["schedule"]
        if each["devices"] == ["PCS-01"]
    ]
    assert (found["turn_ms"], found["age_ms"], found["margin_ms"]) == (220, 520, 80)
    assert found["utilisation"] == pytest.approx(0.64)


def test_a_link_asked_for_more_than_it_carries_is_worth_a_warning() -> None:
    site = load_site("demo")
    assert not [each for each in advice(site) if "times what it can" in each]
    first, *others = site.devices
    slow = replace(first, profile=replace(first.profile, reply_ns=120 * MS))
    (warning,) = [
        each
        for each in advice(replace(site, devices=(slow, *others)))
        if "times what it can" in each
    ]
    assert warning.startswith("127.0.0.1:15020 is asked to read 1.4 times what it can")


def test_readers_find_each_devices_bound_in_the_directory() -> None:
    devices = compile_tables(load_site("demo")).directory["devices"]
    found = {each["id"]: each["turn_bound_ns"] for each in devices}
    assert (found["PCS-01"], found["GRID-01"]) == (220 * MS, 120 * MS)


def test_readers_find_how_old_each_read_of_a_device_may_be() -> None:
    site = load_site("demo")
    tables = compile_tables(site)
    for device, found in zip(site.devices, tables.directory["devices"], strict=True):
        assert len(found["stale_after"]) == len(device.profile.blocks)
        for block, (point, limit_ns) in zip(
            device.profile.blocks, found["stale_after"], strict=True
        ):
            row = tables.points[point]
            assert row["limits"]["stale_after_ns"] == limit_ns
            assert limit_ns == min(each.stale_after_ns for each in block.points)
            assert site.devices[row["device"]] is device
