"""Rows, monitors and heartbeats that would protect less than they say are refused at their line."""

import pytest
from catalogue_rig import ALARM, ROWS, refused, site_of

HOT = """
[[interlock]]
id             = "IL-HOT"
title          = "Cells hot"
group          = "BESS-01"
priority       = "high"
cause          = { tag = "PCS-01.cell_temperature_max", above_k = 328.15, reset_below_k = 318.15 }
on_bad_quality = "trip"
on_delay_ms    = 1000
off_delay_ms   = 0
reset          = "operator"
bypass         = "never"
effect         = { asset = "BESS-01", action = "zero" }
why            = "55 degC"
proof_test     = "FAT-1"
"""
SPREAD = """
[[monitor]]
id     = "SPREAD-01"
kind   = "spread"
inputs = ["PCS-01.cell_voltage_max", "PCS-01.cell_voltage_min"]
why    = "both ends of a string"
"""
BALANCE = """
[[monitor]]
id      = "BALANCE-01"
kind    = "balance"
inputs  = ["GRID-01.active_power", "MTR-01.active_power"]
least_w = 500_000
why     = "feeders against the main"
"""
DEMAND = """
[[monitor]]
id       = "DEMAND-01"
kind     = "demand_room"
inputs   = ["SITE.grid_power", "IO-01.sync_pulse"]
window_s = 900.0
limit_w  = 9_000_000
why      = "the contract"
"""
COUNT = """
[[monitor]]
id       = "DIPS-01"
kind     = "count"
inputs   = ["GRID-01.voltage"]
window_s = 60.0
below_v  = 18_000
why      = "dips"
"""
HEARTBEAT = """
[[heartbeat]]
command  = "PCS-01.controller_heartbeat"
every_ms = 1000
"""
LOW = ROWS["I07-low"]
HIGH = ROWS["I07-high"]


def test_the_examples_themselves_are_sound() -> None:
    site = site_of(SPREAD + BALANCE + DEMAND + COUNT + HEARTBEAT + HOT + LOW + HIGH)
    assert len(site.monitors) == 4
    assert len(site.interlocks) == 3
    assert len(site.heartbeats) == 1


# name: (text, what is replaced, by what, part of the message, what stands at the line)
CASES = {
    "row on a tag that is not there": (HOT, "cell_temperature_max", "cell_temp", "has no point",
                                       'cause '),
    "row on a device that is not there": (HOT, "PCS-01.cell", "PCS-09.cell",
                                          "unknown device PCS-09",
                                          'cause '),
    "reset threshold on the wrong side": (HOT, "318.15", "338.15", "it must be under above_k",
                                          'cause '),
    "effect without its command": (HOT, 'asset = "BESS-01", action = "zero"',
                                   'asset = "UPS-09", action = "zero"',
                                   "zero on UPS-09, which is no battery", "effect "),
    "delay shorter than the scan": (HOT, "1000", "50", "on_delay_ms is 50 ms; the scan period is "
                                    "100 ms", "on_delay_ms"),
    "discrepancy shorter than the scan": (HOT, 'reset ', "discrepancy_ms = 99\nreset ",
                                          "discrepancy_ms is 99 ms; the scan period is 100 ms",
                                          "discrepancy_ms"),
    "derate of what": (HOT, 'action = "zero"', 'action = "derate"', "derate needs to_ratio",
                       "effect "),
    "ratio of a zero": (HOT, 'action = "zero"', 'action = "zero", to_ratio = 0.5',
                        "to_ratio says nothing to zero", "effect "),
    "tier that is not there": (HOT, 'asset = "BESS-01", action = "zero"',
                               'action = "shed", tier = 4',
                               "tier is 4; [flexible] tiers_ratio has 3",
                               "effect "),
    "asset of the site": (HOT, 'action = "zero"', 'action = "shed"',
                          "shed acts on the site, not on BESS-01", "effect "),
    "one and many": (HOT, 'effect ', 'effects = [{ action = "alarm" }]\neffect ',
                     "the row needs either effect or effects, not both", "[[interlock]]"),
    "no such catalogue number": (HOT, "reset ", 'catalogue = "J01"\nreset ', "catalogue is 'J01'",
                                 "catalogue"),
    "proof test of every day": (HOT, "reset ", "proof_interval_days = 0\nreset ",
                                "proof_interval_days is 0", "proof_interval_days"),
    "inputs of different units": (SPREAD, "PCS-01.cell_voltage_min", "PCS-01.soc",
                                  "PCS-01.soc is in ratio; spread needs V here", "inputs"),
    "input that is not there": (SPREAD, "cell_voltage_min", "cell_volt", "has no point cell_volt",
                                "inputs"),
    "too few inputs": (SPREAD, ', "PCS-01.cell_voltage_min"', "",
                       "1 inputs; spread has 2 to 64", "inputs"),
    "key of another kind": (SPREAD, "why ", "window_s = 5.0\nwhy ",
                            "window_s says nothing to a monitor of kind spread", "window_s"),
    "kind that is none": (SPREAD, '"spread"', '"median"', "kind is 'median'", "kind "),
    "level in another unit": (BALANCE, "least_w = 500_000", "least_a = 5", "unknown key least_a",
                              "least_a"),
    "no level": (BALANCE, "least_w = 500_000\n", "", "balance needs exactly one of: least_w",
                 "[[monitor]]"),
    "level that is text": (BALANCE, "500_000", '"much"', "least_w is 'much'", "least_w"),
    "no limit": (DEMAND, "limit_w  = 9_000_000\n", "", "demand_room needs limit_w", "[[monitor]]"),
    "window of a day": (DEMAND, "900.0", "86_400.0", "window_s is 86400 s", "window_s"),
    "pulse that is a power": (DEMAND, "IO-01.sync_pulse", "GRID-01.active_power",
                              "GRID-01.active_power is in W; demand_room needs bool here",
                              "inputs"),
    "two levels": (COUNT, "below_v  = 18_000", "below_v  = 18_000\nabove_v = 22_000",
                   "count needs exactly one of", "[[monitor]]"),
    "window of nothing": (COUNT, "60.0", "0.0", "window_s is 0 s", "window_s"),
    "id of a device": (SPREAD, '"SPREAD-01"', '"PCS-01"', "PCS-01 is already the id of a device",
                       "id "),
    "heartbeat that does not count": (HEARTBEAT, "controller_heartbeat", "active_power_setpoint",
                                      "wrong unit: PCS-01.active_power_setpoint is in W",
                                      "command"),
    "heartbeat of nobody": (HEARTBEAT, "controller_heartbeat", "heart", "has no command heart",
                            "command"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_at_its_line(case: str) -> None:
    text, before, after, message, place = CASES[case]
    assert before in text
    wrong = text.replace(before, after, 1)
    rows = wrong if "[[interlock]]" in wrong else wrong + ALARM
    found = [(p, line) for p, line in refused(rows) if message in p.problem]
    assert found, [str(each) for each, _ in refused(rows)]
    problem, line = found[0]
    assert line == rows[: rows.index(place)].count("\n") + 1, str(problem)
    assert problem.because
    assert problem.remedy


def test_a_vote_over_different_units_is_refused_and_joined_by_any_is_not() -> None:
    two = HOT.replace(
        'cause          = { tag = "PCS-01.cell_temperature_max", above_k = 328.15, '
        "reset_below_k = 318.15 }",
        'vote   = "1oo2"\ncauses = [{ tag = "PCS-01.cell_temperature_max", above_k = 328.15, '
        'reset_below_k = 318.15 }, { tag = "PCS-01.hvac_fault", equals = 1 }]',
    )
    ((problem, line),) = refused(two)
    assert problem.problem == "vote is 1oo2 over tags in K, bool"
    assert line == two[: two.index("vote")].count("\n") + 1
    assert site_of(two.replace('"1oo2"', '"any"')).interlocks[0].vote == 1


@pytest.mark.parametrize("name", ["I01-estop", "I02-fire", "I02-gas", "I04-state", "I04-alarm"])
def test_what_has_no_way_around_may_not_be_given_one(name: str) -> None:
    rows = ROWS[name] + 'bypass = "authorised"\nreset = "operator"\n'
    ((problem, line),) = refused(rows)
    assert problem.problem.startswith("bypass is authorised, and the row is ")
    assert line == rows[: rows.index("bypass")].count("\n") + 1


def test_two_heartbeats_on_one_command_are_refused() -> None:
    ((problem, _),) = refused(HEARTBEAT + HEARTBEAT + ALARM)
    assert "is already the command of another heartbeat" in problem.problem


def test_a_band_with_no_way_out_is_refused() -> None:
    rows = HIGH + LOW + "cause = { below_ratio = 0.95, reset_above_ratio = 0.97 }\n"
    ((problem, line),) = refused(rows)
    assert problem.problem == (
        "IL-SOC-HIGH and IL-SOC-LOW both stand while PCS-01.soc is between 0.9 and 0.95"
    )
    assert line == HIGH.count("\n") + 1
    apart = rows.replace('asset      = "BESS-01"', 'asset      = "UPS-01"', 1)
    assert len(site_of(apart).interlocks) == 2, "of two batteries each has a way out"


def test_shedding_and_refusing_to_in_one_row_is_refused() -> None:
    rows = HOT.replace(
        'effect         = { asset = "BESS-01", action = "zero" }',
        'effects = [{ action = "shed" }, { action = "refuse_shed" }]',
    )
    ((problem, _),) = refused(rows)
    assert problem.problem == "IL-HOT asks to shed load and refuses to"


def test_shedding_and_refusing_to_by_one_cause_is_refused() -> None:
    one = HOT.replace('asset = "BESS-01", action = "zero"', 'action = "shed"')
    other = one.replace("IL-HOT", "IL-NO").replace('"shed"', '"refuse_shed"')
    ((problem, _),) = refused(one + other)
    assert "have one cause, and one sheds what the other refuses to" in problem.problem


@pytest.mark.parametrize("tiers", ["[0.6, 0.3]", "[0.0]", "[0.5, 0.5]"])
def test_tiers_that_do_not_rise_are_refused(tiers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import catalogue_rig

    text = catalogue_rig.PLANT.replace("[0.3, 0.6, 1.0]", tiers)
    monkeypatch.setattr(catalogue_rig, "PLANT", text)
    ((problem, _),) = refused(ALARM)
    assert "each must be over the one before" in problem.problem
