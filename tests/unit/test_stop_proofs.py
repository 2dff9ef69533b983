"""The record of proven stops: what it holds, what makes it void, and what it lets be armed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edgectl.errors import SiteFileError
from edgectl.site_model import Site, compile_tables, load_site
from edgectl.site_model.proofs import (
    NS_PER_MS,
    StopProof,
    load_proofs,
    proofs_text,
    stop_text,
    store_proof,
    unproven,
)

SITE = load_site("demo")
BUDGET_MS = SITE.batteries[0].stop_budget_ns // NS_PER_MS


def proof(at: int = 0, **changed: Any) -> StopProof:
    """A proof of one of the demo site's batteries, stopped in time."""
    battery = SITE.batteries[at]
    device = battery.command.partition(".")[0]
    profile = SITE.device(device).profile
    fields: dict[str, Any] = {
        "device": device, "command": battery.command, "profile": profile.name,
        "profile_sha256": profile.sha256, "power_w": 5e5, "observed_through": battery.power,
        "independent": False, "mode": "no_writes", "outcome": "to zero", "stop_ms": 5200,
        "resolution_ms": 200, "tolerance_w": 25e3, "last_power_w": 12.5, "observed_ms": 30_000,
        "tested_utc": datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC), "edgectl_version": "0.1.0",
        "by": 'A. "Nobody" \\ Müller',
    }  # fmt: skip
    return StopProof(**(fields | changed))


def pv_proof(at: int, **changed: Any) -> StopProof:
    """A proof of one of the demo site's inverters, which kept its limit."""
    pv = SITE.pvs[at]
    assert pv.limit is not None
    profile = SITE.device(pv.limit.partition(".")[0]).profile
    fields = {
        "device": pv.limit.partition(".")[0], "command": pv.limit, "profile": profile.name,
        "profile_sha256": profile.sha256, "observed_through": pv.power, "stop_ms": None,
        "power_w": -4e6, "last_power_w": -4e6, "outcome": "kept its setpoint",
    }  # fmt: skip
    return proof(**(fields | changed))


def site_with(path: Path, *proofs: StopProof, inverters: bool = True) -> Site:
    """The demo site with a record of its own; inverters: with what it needs of those."""
    kept = tuple(pv_proof(at) for at in range(len(SITE.pvs))) if inverters else ()
    path.write_text(proofs_text((*proofs, *kept)))
    return replace(SITE, proofs=path)


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "demo.proofs.toml"
    stuck = proof(1, outcome="kept its setpoint", stop_ms=None)
    store_proof(path, stuck)
    store_proof(path, proof())
    assert load_proofs(path) == (proof(), stuck)
    store_proof(path, proof(1))
    assert load_proofs(path) == (proof(), proof(1)), "the other device's entry stays"
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing is left beside it"


@pytest.mark.parametrize(
    ("change", "where", "problem"),
    [
        (lambda t: t.replace("= 5200", '= "5200"'), "p.toml:17", "stop_ms is '5200'"),
        (lambda t: t.replace("stop_ms", "stop_s"), "p.toml:17", "stop_s"),
        (lambda t: t.replace("to zero", "to hell"), "p.toml:16", "outcome is 'to hell'"),
        (lambda t: t.replace("= 5200", "= 31000"), "p.toml", "seen for 30000 ms"),
        (lambda t: t.replace("to zero", "kept its setpoint"), "p.toml", "has no stop_ms"),
        (lambda t: t + t[t.index("[[stop]]"):], "p.toml:", "stands here twice"),
        (lambda t: t.replace("proofs/1", "proofs/2"), "p.toml:5", "schema"),
        (lambda t: t + "[[stop", "p.toml:25", "not TOML"),
    ],
)  # fmt: skip
def test_a_broken_record_is_refused_with_its_line_and_allows_nothing(
    tmp_path: Path, change: Callable[[str], str], where: str, problem: str
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(change(proofs_text([proof()])))
    with pytest.raises(SiteFileError) as refused:
        load_proofs(path)
    assert where in str(refused.value)
    assert problem in str(refused.value)
    reasons = [each.reason for each in unproven(replace(SITE, proofs=path))]
    assert len(reasons) == len(SITE.batteries) + len(SITE.pvs)
    assert all("is broken" in reason for reason in reasons)


def test_the_budget_itself_is_in_time_and_a_millisecond_more_is_not(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    assert unproven(site_with(path, proof(stop_ms=BUDGET_MS), proof(1))) == ()
    late = unproven(site_with(path, proof(stop_ms=BUDGET_MS + 1), proof(1)))
    assert [each.asset for each in late] == ["BESS-01"]
    assert f"{(BUDGET_MS + 1) / 1000:g} s to stop" in late[0].reason
    assert f"budget is {BUDGET_MS / 1000:g} s" in late[0].reason


def test_what_is_not_proven_is_said_for_each_battery(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    assert {each.reason for each in unproven(replace(SITE, proofs=None))} == {
        "its stop was never proven: the site file names no record of proofs"
    }
    absent = unproven(replace(SITE, proofs=tmp_path / "none.toml"))
    assert [each.asset for each in absent] == ["BESS-01", "BESS-02", "SOLAR-1", "SOLAR-2"]
    assert "No such file" in absent[0].reason
    assert str(unproven(site_with(path, proof()))[0]) == (
        "BESS-02: the stop of PCS-02 was never proven"
    )
    stuck = proof(outcome="kept its setpoint", stop_ms=None, last_power_w=5e5)
    assert unproven(site_with(path, stuck, proof(1)))[0].reason == (
        "PCS-01 did not stop within 30 s of silence on 2026-11-23: it kept its setpoint, 500000 W"
    )


@pytest.mark.parametrize("changed", [{"profile_sha256": "0" * 64}, {"profile": "storage/other"}])
def test_another_register_map_makes_a_proof_void(tmp_path: Path, changed: dict[str, str]) -> None:
    found = unproven(site_with(tmp_path / "p.toml", proof(**changed), proof(1)))
    assert [each.asset for each in found] == ["BESS-01"]
    assert "void" in found[0].reason


def test_the_tables_carry_the_refusal_and_check_shows_the_proof(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    proven = site_with(path, proof(), proof(1))
    assert compile_tables(proven).scan["may_arm"][0] == 1
    command = proven.batteries[0].command
    assert stop_text(proven, command) == "stop proven 5.2 s of 12 s on 2026-11-23, by its own word"
    assert compile_tables(site_with(path, proof())).scan["may_arm"][0] == 0
    without = replace(SITE, proofs=None, batteries=(), pvs=())
    assert unproven(without) == (), "a site that commands nothing has nothing to prove"


def test_an_inverter_that_is_limited_needs_a_proof_of_what_it_does_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    bare = site_with(path, proof(), proof(1), inverters=False)
    assert [str(each) for each in unproven(bare)] == [
        f"SOLAR-{at}: what PV-0{at} does when it is no longer limited was never proven"
        for at in (1, 2)
    ]
    assert compile_tables(bare).scan["may_arm"][0] == 0
    unlimited = tuple(replace(each, limit=None) for each in SITE.pvs)
    assert unproven(replace(bare, pvs=unlimited)) == ()
    lifted = pv_proof(0, outcome="limit lifted", stop_ms=5000, last_power_w=-9e6)
    known = site_with(path, proof(), proof(1), lifted, pv_proof(1), inverters=False)
    assert unproven(known) == (), "either way is known, and the site's owner judges it"
    assert SITE.pvs[0].limit is not None
    assert stop_text(known, SITE.pvs[0].limit) == "limit lifted 5 s on 2026-11-23, by its own word"
    astray = pv_proof(1, outcome="went elsewhere", last_power_w=-1e6)
    (found,) = unproven(site_with(path, proof(), proof(1), pv_proof(0), astray, inverters=False))
    assert "neither kept nor lifted its limit" in found.reason
    void = pv_proof(0, profile_sha256="0" * 64)
    (found,) = unproven(site_with(path, proof(), proof(1), void, pv_proof(1), inverters=False))
    assert "void" in found.reason


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"outcome": "to zero", "stop_ms": 4000}, ""),
        ({"outcome": "to zero", "stop_ms": 6000}, "took 6 s to zero on 2026-11-23; the budget"),
        ({"outcome": "limit lifted", "stop_ms": 4000}, "did not go to zero on 2026-11-23: limit"),
        ({}, "did not go to zero on 2026-11-23: kept its setpoint; the budget to zero is 5 s"),
    ],
)
def test_an_inverter_with_a_budget_must_have_gone_to_zero_within_it(
    tmp_path: Path, seen: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "p.toml"
    proofs = proof(), proof(1), pv_proof(0, **seen), pv_proof(1)
    site = site_with(path, *proofs, inverters=False)
    assert unproven(site) == (), "without a budget each of these is known, and that is enough"
    strict = replace(site.pvs[0], stop_budget_ns=5_000_000_000)
    found = unproven(replace(site, pvs=(strict, site.pvs[1])))
    assert [each.asset for each in found] == (["SOLAR-1"] if reason else [])
    assert all(reason in each.reason for each in found)
    assert (compile_tables(replace(site, pvs=(strict, site.pvs[1]))).scan["may_arm"][0]) == (
        not reason
    )


@pytest.mark.parametrize("name", ["demo", "texas-100mw"])
def test_the_shipped_records_hold_for_the_shipped_profiles(name: str) -> None:
    found = [str(each) for each in unproven(load_site(name))]
    again = (
        f"edgectl plant {name} --scenario steady, and: edgectl stoptest {name} --all "
        "--power-w 2000000 --by NAME, and with --device PV-01 --device PV-02 --power-w -4000000"
    )
    assert not found, f"{found}; prove them again: {again}"
