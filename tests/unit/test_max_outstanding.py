"""`max_outstanding` of a profile: what is refused, who gets it, and what the field bus takes."""

from pathlib import Path

import pytest
from link_rig import BenchUnit, LinkRig

from edgectl._kernel.fieldbus import FieldBus, LinkKind
from edgectl.errors import ProfileError, SiteFileError
from edgectl.profiles import load_profile, profile_names, profiles_root
from edgectl.site_model import Site, compile_tables, load_site, parse_site
from edgectl.site_model.schedule import link_schedule, outstanding_max

MS = 1_000_000
SHIPPED = "meter/schneider-pm5560"
LINE = """[[line]]
id        = "RS485-1"
port      = "/dev/ttyS1"
baud      = 19_200
parity    = "even"
stop_bits = 1

[[device]]"""


def profile_text(*modbus: str) -> str:
    """The shipped meter, whose timeout is 60 ms, with more keys under [modbus]."""
    text = (profiles_root() / f"{SHIPPED}.toml").read_text()
    before, _, after = text.partition("max_registers ")
    wider = after.replace("[1, 255]", "[1, 2, 255]", 1)
    return before + "".join(f"{line}\n" for line in modbus) + "max_registers " + wider


def refusals(tmp_path: Path, *modbus: str) -> list[str]:
    (tmp_path / "m.toml").write_text(profile_text(*modbus))
    with pytest.raises(ProfileError) as caught:
        load_profile("m.toml", tmp_path)
    for each in caught.value.problems:
        line = profile_text(*modbus).split("\n")[int(each.where.split(":")[1].split()[0]) - 1]
        assert line.startswith("max_outstanding"), "the message points at it"
    return [each.problem for each in caught.value.problems]


def test_every_shipped_profile_has_one_request_outstanding() -> None:
    for name in profile_names():
        assert load_profile(name).outstanding_max == 1, "none was tried with more"


def test_several_behind_each_other_must_be_answered_within_the_timeout(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(profile_text("max_outstanding = 4", "reply_ms = 15"))
    assert load_profile("m.toml", tmp_path).outstanding_max == 4
    (problem,) = refusals(tmp_path, "max_outstanding = 4", "reply_ms = 16")
    assert problem == (
        "max_outstanding is 4, reply_ms 16 ms, timeout_ms 60 ms; "
        "max_outstanding times reply_ms must be at most timeout_ms"
    )


def test_without_the_time_of_a_reply_none_can_be_behind_another(tmp_path: Path) -> None:
    (problem,) = refusals(tmp_path, "max_outstanding = 2")
    assert "max_outstanding is 2, reply_ms not given" in problem


def test_a_device_that_needs_a_pause_takes_one_at_a_time(tmp_path: Path) -> None:
    (problem,) = refusals(tmp_path, "max_outstanding = 2", "reply_ms = 5", "gap_ms = 10")
    assert problem == "max_outstanding is 2 and gap_ms 10 ms"
    (tmp_path / "m.toml").write_text(profile_text("max_outstanding = 1", "gap_ms = 10"))
    assert load_profile("m.toml", tmp_path).gap_ns == 10 * MS


@pytest.mark.parametrize("most", [0, 9, 1.5])
def test_one_to_eight_are_taken(tmp_path: Path, most: float) -> None:
    (problem,) = refusals(tmp_path, f"max_outstanding = {most}", "reply_ms = 1")
    assert "max_outstanding" in problem


PATIENT = "stale_after_ms = 1200\n"
SLOWER = ("15021\nunit    = 1\n", "15021\nunit    = 1\nreply_ms = 16\n")
SHARED = (
    (f'"{SHIPPED}"', '"m.toml"'),
    ("15022\nunit    = 1\nreply_ms = 20\n", f"15021\nunit    = 2\n{PATIENT}"),
)


def demo_with(tmp_path: Path, *changes: tuple[str, str]) -> Site:
    """The demo, its first meter behind a profile that takes four at once, 15 ms each."""
    (tmp_path / "m.toml").write_text(profile_text("max_outstanding = 4", "reply_ms = 15"))
    text = load_site("demo").path.read_text()
    _, _, after = text.partition('id      = "MTR-01"')
    entry = after.partition("[[device]]")[0]
    own = entry.replace(f'"{SHIPPED}"', '"m.toml"').replace("reply_ms = 20\n", PATIENT)
    assert own != entry
    text = text.replace(entry, own, 1)
    for before, now in changes:
        assert before in text
        text = text.replace(before, now, 1)
    return parse_site(tmp_path / "site.toml", text.encode())


def outstanding(site: Site) -> dict[str, int]:
    """What the kernel is told of the link of each device."""
    tables = compile_tables(site)
    return {
        device.id: int(tables.links[row["link"]]["outstanding_max"])
        for device, row in zip(site.devices, tables.devices, strict=True)
    }


def test_a_device_alone_on_its_connection_is_asked_as_its_profile_says(tmp_path: Path) -> None:
    found = outstanding(demo_with(tmp_path))
    assert found.pop("MTR-01") == 4
    assert set(found.values()) == {1}


def test_devices_that_share_a_connection_are_asked_one_at_a_time(tmp_path: Path) -> None:
    """A gateway stands between: it would only make a queue of more."""
    site = demo_with(tmp_path, *SHARED)
    found = outstanding(site)
    assert (found["MTR-01"], found["MTR-02"]) == (1, 1)
    assert [len(each) for each in site.links.values()].count(2) == 1


def test_a_device_on_a_line_is_asked_one_at_a_time(tmp_path: Path) -> None:
    on_line = ('host    = "127.0.0.1"\nport    = 15021\n', 'line = "RS485-1"\n')
    site = demo_with(tmp_path, on_line, ("[[device]]", LINE))
    assert outstanding(site)["MTR-01"] == 1


def test_the_schedule_of_a_link_counts_what_is_under_way(tmp_path: Path) -> None:
    site = demo_with(tmp_path)
    (own,) = [devices for devices in site.links.values() if devices[0].id == "MTR-01"]
    blocks = len(own[0].profile.blocks)
    assert outstanding_max(own) == 4
    row = link_schedule(own, site.scan)
    assert row.turn_ns >= (4 + blocks) * 15 * MS + (60 - 15) * MS


def replies_refused(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    with pytest.raises(SiteFileError) as caught:
        demo_with(tmp_path, *changes)
    problems = [each.problem for each in caught.value.problems]
    return [each for each in problems if each.startswith("reply_ms is")]


def test_a_site_whose_device_answers_too_late_for_several_is_refused(tmp_path: Path) -> None:
    (problem,) = replies_refused(tmp_path, SLOWER)
    assert problem == (
        "reply_ms is 16 ms, and waits for 3 others; m.toml gives a reply up after 60 ms"
    )
    in_time = SLOWER[1].replace("16", "15")
    assert outstanding(demo_with(tmp_path, (SLOWER[0], in_time)))["MTR-01"] == 4


def test_on_a_shared_connection_nothing_waits_for_others_of_its_device(tmp_path: Path) -> None:
    site = demo_with(tmp_path, *SHARED, SLOWER)
    assert outstanding(site)["MTR-01"] == 1


FIT_NONE = {
    "none": {"outstanding_max": 0},
    "nine": {"outstanding_max": 9},
    "with a gap": {"outstanding_max": 2, "gap_ns": 1},
    "on a line": {"outstanding_max": 2, "kind": LinkKind.LINK_SERIAL},
    "of two devices": {"outstanding_max": 2, "devices": 2},
}


def bus_of(**fields: int) -> FieldBus:
    """A bus of one link whose row says so."""
    unit = BenchUnit([4], [(1, 0)], 0, 60 * MS)
    rig = LinkRig([unit] * fields.get("devices", 1), serial=False)
    for name, value in fields.items():
        rig.tables.links[name] = value
    return FieldBus(rig.kernel, rig.tables.links, rig.tables.devices, rig.tables.probes)


@pytest.mark.parametrize("case", FIT_NONE)
def test_the_field_bus_refuses_tables_that_ask_for_more_than_a_link_has(case: str) -> None:
    with pytest.raises(
        ValueError, match=r"link 0 has \d requests outstanding at once; 1 to \d fit"
    ):
        bus_of(**FIT_NONE[case])


@pytest.mark.parametrize("fields", [{"outstanding_max": 8}, {"gap_ns": 1}, {"devices": 2}])
def test_and_takes_the_others(fields: dict[str, int]) -> None:
    assert bus_of(**fields).transactions == 0
