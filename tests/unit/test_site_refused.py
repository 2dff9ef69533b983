"""A site file that could mislead is refused: file:line, numbers, reason, remedy, all at once."""

import re
from pathlib import Path

import pytest

from edgectl.errors import Problem, SiteFileError
from edgectl.site_model import load_site, parse_site

LINE = """[[line]]
id = "RS485-1"
port = "/dev/ttyS1"
baud = 19200
parity = "even"
stop_bits = 1

"""
AGAIN = LINE.replace("RS485-1", "RS485-2").replace('"/dev/ttyS1"', "'/dev/ttyS1'")
PV = """[[device]]
id = "PV-01"
profile = "inverter/huawei-sun2000"
host = "127.0.0.1"
port = 15029
unit = 1
reply_ms = 20

[[pv]]
id = "SOLAR-1"
power = "PV-01.active_power"
rating_w = 1_000_000
limit = "PV-01.active_power_limit"
OWN

[[battery]]"""
GOOD = """\
schema = "edgectl.site/1"

[site]
id = "small"
name = "Small"
zone = "US-TEX-ERCO"
latitude_deg = 32.9
longitude_deg = -97.0

[scan]
period_ms = 100
read_lead_ms = 60

[grid]
power = "GRID-01.active_power"
import_cap_w = 2_000_000
import_guard_w = 50_000
export_max_w = 0

[carbon]
basis = "direct, location average"
default_g_per_kwh = 480.0
high_g_per_kwh = 400.0
low_g_per_kwh = 300.0
pv_g_per_kwh = 0.0
initial_stock_g_per_kwh = 480.0

[[device]]
id = "GRID-01"
profile = "meter/socomec-diris-a14"
host = "127.0.0.1"
port = 15020
unit = 1
reply_ms = 20

[[device]]
id = "MTR-01"
profile = "meter/schneider-pm5560"
host = "127.0.0.1"
port = 15021
unit = 1
reply_ms = 20

[[device]]
id = "PCS-01"
profile = "storage/sunspec-der-storage"
host = "127.0.0.1"
port = 15022
unit = 1
reply_ms = 20
stale_after_ms = 600

[[device]]
id = "IO-01"
profile = "io/generic-safety-io"
host = "127.0.0.1"
port = 15023
unit = 1
reply_ms = 20

[[load]]
id = "IT-A"
kind = "it"
power = "MTR-01.active_power"
worst_case_w = 1_500_000

[[battery]]
id = "BESS-01"
power = "PCS-01.active_power"
soc = "PCS-01.soc"
command = "PCS-01.active_power_setpoint"
charge_rating_w = 500_000
discharge_rating_w = 500_000
capacity_j = 3_600_000_000
reserve_ratio = 0.2
ready_ratio = 0.5
full_ratio = 0.9
ramp_w_per_s = 100_000
deadband_w = 2_000
economy_w = 200_000
refresh_ms = 1000
dwell_ms = 60_000
readback_tolerance_w = 5_000
stop_budget_ms = 12_000
charge_efficiency = 0.95
discharge_efficiency = 0.95

[open_request]
command = "IO-01.open_request"

[local_reset]
tag = "IO-01.reset_button"

[[interlock]]
id = "IL-HOT"
title = "Cabinet hot"
group = "BESS-01"
priority = "high"
on_bad_quality = "trip"
on_delay_ms = 1000
off_delay_ms = 0
reset = "operator"
bypass = "never"
cause = { tag = "PCS-01.cabinet_temperature", above_k = 328.15, reset_below_k = 325.15 }
effect = { asset = "BESS-01", action = "zero" }
why = "55 degC"
proof_test = "FAT-1"

[[interlock]]
id = "IL-ESTOP"
title = "E-stop"
group = "SITE"
priority = "critical"
on_bad_quality = "trip"
on_delay_ms = 0
off_delay_ms = 0
reset = "local"
bypass = "never"
causes = [
    { tag = "IO-01.estop_channel_a", equals = 0 },
    { tag = "IO-01.estop_channel_b", equals = 0 },
]
vote = "1oo2"
effects = [{ action = "zero" }, { action = "open_request" }]
why = "I01"
proof_test = "FAT-2"

[[interlock]]
id = "IL-LIMIT"
title = "BMS limit"
group = "BESS-01"
priority = "low"
on_bad_quality = "trip"
on_delay_ms = 0
off_delay_ms = 0
reset = "auto"
bypass = "never"
cause = { tag = "PCS-01.charge_limit", limit = true }
effect = { asset = "BESS-01", action = "limit_charge" }
why = "I06"
proof_test = "FAT-3"
"""


def problems(text: str, path: Path = Path("small.toml")) -> tuple[Problem, ...]:
    with pytest.raises(SiteFileError) as caught:
        parse_site(path, text.encode())
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_the_example_itself_is_sound() -> None:
    site = parse_site(Path("small.toml"), GOOD.encode())
    assert site.batteries[0].readback == "PCS-01.active_power_setpoint_readback"
    limit = site.interlocks[2].causes[0]
    assert (limit.op, limit.on) == ("limit", 500_000.0), "a limit bites under the rating"


# name: (what is replaced, by what, what stands at the line, part of the message)
CASES = {
    "unknown key": ("read_lead_ms = 60", "read_lead_ms = 60\nlead = 5", "lead = 5",
                    "unknown key lead"),
    "unknown key in an interlock": ('why = "I01"', 'whi = "I01"\nwhy = "I01"', "whi",
                                    "unknown key whi"),
    "key in another unit": ("import_cap_w = 2_000_000", "import_cap_kw = 2_000", "import_cap_kw",
                            "wrong unit: import_cap_kw; the key is import_cap_w, in W"),
    "missing section": ("[scan]\nperiod_ms = 100\nread_lead_ms = 60\n", "", "schema",
                        "scan is missing"),
    "no default for bad quality": ('priority = "critical"\non_bad_quality = "trip"\n',
                                   'priority = "critical"\n', '[[interlock]]\nid = "IL-ESTOP"',
                                   "on_bad_quality is missing"),
    "tenant without its load": (
        '[[load]]\nid = "IT-A"', '[[tenant]]\nid = "a"\nname = "A"\nloads = ["IT-B"]\n\n'
        '[[load]]\nid = "IT-A"', 'loads = ["IT-B"]', "tenant a has load IT-B, which the site does",
    ),
    "load of two tenants": (
        '[[load]]\nid = "IT-A"', '[[tenant]]\nid = "a"\nname = "A"\nloads = ["IT-A"]\n'
        '[[tenant]]\nid = "b"\nname = "B"\nloads = ["IT-A", ]\n\n[[load]]\nid = "IT-A"',
        'loads = ["IT-A", ]', "load IT-A is a's and b's",
    ),
    "two tenants of one id": (
        '[[load]]\nid = "IT-A"', '[[tenant]]\nid = "a"\nname = "A"\nloads = ["IT-A"]\n'
        '[[tenant]]\nid = "a" # again\nname = "B"\nloads = ["IT-A"]\n\n[[load]]\nid = "IT-A"',
        'id = "a" # again', "a second tenant a",
    ),
    "unknown device": ("GRID-01.active_power", "GRID-02.active_power", "GRID-02",
                       "unknown device GRID-02 in GRID-02.active_power"),
    "unknown point": ("MTR-01.active_power", "MTR-01.active_pover", "active_pover",
                      "MTR-01 (profile meter/schneider-pm5560) has no point active_pover"),
    "unknown profile": ("meter/schneider-pm5560", "meter/schneider-pm5561", "pm5561",
                        "unknown profile meter/schneider-pm5561"),
    "tag in another unit": ("MTR-01.active_power", "MTR-01.voltage_l1", "MTR-01.voltage_l1",
                            "wrong unit: MTR-01.voltage_l1 is in V; a point in W is needed here"),
    "threshold in another unit": ("above_k = 328.15", "above_degc = 55", "above_degc",
                                  "wrong unit: above_degc; PCS-01.cabinet_temperature is in K"),
    "reset on the wrong side": ("reset_below_k = 325.15", "reset_below_k = 330.15", "330.15",
                                "reset_below_k is 330.15 K; it must be under above_k, 328.15 K"),
    "reset of the other kind": ("reset_below_k = 325.15", "reset_above_k = 325.15", "325.15",
                                "above_k needs reset_below_k, not reset_above_k"),
    "no reset": (", reset_below_k = 325.15", "", "above_k", "above_k needs reset_below_k"),
    "threshold never reached": ("above_k = 328.15", "above_k = 555.15", "555.15",
                                "no good value can ever pass it"),
    "equals on a measurement": ("above_k = 328.15, reset_below_k = 325.15", "equals = 55",
                                "equals = 55", "wrong unit: equals on PCS-01.cabinet_temperature"),
    "above on a state": ("estop_channel_a\", equals = 0", "estop_channel_a\", above_count = 0",
                         "above_count", "is bool, which has no order"),
    "two conditions": ("estop_channel_a\", equals = 0", "estop_channel_a\", equals = 0, bad = true",
                       "bad = true", "the cause has equals and bad"),
    "no condition": ("estop_channel_a\", equals = 0", "estop_channel_a\"", "estop_channel_a",
                     "the cause has no condition"),
    "unknown asset": ('asset = "BESS-01", action = "zero"', 'asset = "BESS-1", action = "zero"',
                      "BESS-1\"", "zero on BESS-1, which is no battery of this site"),
    "unknown action": ('action = "zero" }, { action', 'action = "stop" }, { action', '"stop"',
                       "unknown action stop"),
    "effect without a command": ('{ action = "open_request" }', '{ action = "shed" }', '"shed"',
                                 "shed has no command: the site has no [flexible]"),
    "open request without an output": ('[open_request]\ncommand = "IO-01.open_request"\n', "",
                                       'effects = [{ action = "zero" }',
                                       "open_request has no command"),
    "vote over causes": ('vote = "1oo2"', 'vote = "3oo2"', '"3oo2"',
                         "vote is 3oo2; the row has 2 causes"),
    "no vote": ('vote = "1oo2"\n', "", '[[interlock]]\nid = "IL-ESTOP"', "vote is missing"),
    "duplicate interlock": ('id = "IL-LIMIT"', 'id = "IL-HOT"', None,
                            "there are two interlocks IL-HOT"),
    "duplicate device": ('id = "MTR-01"', 'id = "GRID-01"', None,
                         "GRID-01 is already the id of a device"),
    "same address": ("port = 15021", "port = 15020", None,
                     "MTR-01 and GRID-01 are both unit 1 at 127.0.0.1:15020"),
    "a name for a host": ('host = "127.0.0.1"\nport = 15021', 'host = "meter.lan"\nport = 15021',
                          "meter.lan", "host is 'meter.lan'; it must be an IPv4 address"),
    "wrong unit id": ("port = 15022\nunit = 1", "port = 15022\nunit = 9", "unit = 9",
                      "unit is 9; storage/sunspec-der-storage answers at [1]"),
    "guard over cap": ("import_guard_w = 50_000", "import_guard_w = 3_000_000", "import_guard_w",
                       "import_guard_w is 3 000 000 W; it must be under import_cap_w, 2 000 000 W"),
    "efficiency over one": ("\ncharge_efficiency = 0.95", "\ncharge_efficiency = 1.2",
                            "charge_efficiency = 1.2", "charge_efficiency is 1.2"),
    "efficiency of nothing": ("discharge_efficiency = 0.95", "discharge_efficiency = 0.0",
                              "discharge_efficiency", "greater than 0"),
    "reserve over full": ("reserve_ratio = 0.2", "reserve_ratio = 0.95", "reserve_ratio",
                          "reserve_ratio is 0.95; it must be under full_ratio, 0.9"),
    "ready under reserve": ("ready_ratio = 0.5", "ready_ratio = 0.1", "reserve_ratio",
                            "reserve_ratio is 0.2; it must be under ready_ratio, 0.1"),
    "lead over period": ("read_lead_ms = 60", "read_lead_ms = 100", "read_lead_ms",
                         "read_lead_ms is 100 ms; it must be under period_ms, 100 ms"),
    "line nobody has": ('host = "127.0.0.1"\nport = 15021', 'line = "RS485-1"',
                        'line = "RS485-1"', "unknown line RS485-1"),
    "line and host": ('port = 15021', 'port = 15021\nline = "RS485-1"', 'line = "RS485-1"',
                      "MTR-01 has a line and a host or port"),
    "no address": ('host = "127.0.0.1"\nport = 15021', "", '[[device]]\nid = "MTR-01"',
                   "MTR-01 has neither a line nor both host and port"),
    "twelve bits": ("[grid]", LINE.replace("stop_bits = 1", "stop_bits = 2") + "[grid]",
                    "stop_bits = 2", "stop_bits is 2 with parity even: 12 bits a character"),
    "one port, two lines": ("[grid]", LINE + AGAIN + "[grid]",
                            "ttyS1'", "/dev/ttyS1 is already the port of another line"),
    "broadcast on a line": ('host = "127.0.0.1"\nport = 15021\nunit = 1',
                            'line = "RS485-1"\nunit = 0', "unit = 0",
                            "unit is 0; on a serial line it is 1 to 247"),
    "slow class, short age": ("port = 15021\nunit = 1", "port = 15021\nunit = 1\nevery_scans = 9",
                              'profile = "meter/schneider-pm5560"',
                              "is read every 900 ms and is stale or frozen after 500 ms"),
    "proof by the converter": ('soc = "', 'proof_meter = "PCS-01.active_power"\nsoc = "',
                               "proof_meter", "proof_meter is of PCS-01, which is commanded"),
    "PV proof by the inverter": ("[[battery]]", PV.replace(
                                     "OWN", 'proof_meter = "PV-01.active_power"'),
                                 "proof_meter",
                                 "proof_meter is of PV-01, which is commanded or measures the PV"),
    "PV proof without a limit": ("[[battery]]", PV.replace("limit =", "#").replace(
                                     "OWN", 'proof_meter = "MTR-01.active_power"'),
                                 "proof_meter", "proof_meter is given, and SOLAR-1 has no limit"),
    "PV budget without a limit": ("[[battery]]", PV.replace("limit =", "#").replace(
                                      "OWN", "stop_budget_ms = 1000"),
                                  "stop_budget_ms",
                                  "stop_budget_ms is given, and SOLAR-1 has no limit"),
    "short journal": ("[grid]", "[journal]\nminutes = 5\n\n[grid]", "minutes = 5",
                      "minutes is 5; input should be greater than or equal to 10"),
    "carbon inverted": ("low_g_per_kwh = 300.0", "low_g_per_kwh = 450.0", "low_g_per_kwh",
                        "low_g_per_kwh is 450 g/kWh; it must be under high_g_per_kwh, 400 g/kWh"),
    "local reset without button": ('[local_reset]\ntag = "IO-01.reset_button"\n', "",
                                   'reset = "local"', "the site has no [local_reset]"),
    "bypass of an E-stop": ('reset = "local"\nbypass = "never"',
                            'reset = "local"\nbypass = "authorised"', '"authorised"',
                            "bypass is authorised, and reset is local"),
    "lockout of a latch": ('reset = "operator"',
                           'reset = "operator"\nlockout = { trips = 3, window_s = 60 }',
                           "lockout", "lockout beside reset = operator"),
    "refresh slower than fallback": ("refresh_ms = 1000", "refresh_ms = 4000", "refresh_ms",
                                     "refresh_ms is 4000 ms; PCS-01.active_power_setpoint falls "
                                     "back after 5000 ms"),
    "metered twice": ('power = "MTR-01.active_power"', 'power = "GRID-01.active_power"', None,
                      "GRID-01.active_power already meters [grid]"),
    "full anchor over full": (
        "discharge_efficiency = 0.95", "discharge_efficiency = 0.95\nfull_soc_ratio = 0.95",
        "full_soc_ratio", "full_soc_ratio is 0.95; full_ratio is 0.9"),
    "anchors on each other": (
        "discharge_efficiency = 0.95",
        "discharge_efficiency = 0.95\nfull_soc_ratio = 0.9\nempty_soc_ratio = 0.87",
        "empty_soc_ratio", "empty_soc_ratio is 0.87 and full_soc_ratio 0.9"),
    "loses what it is charged with": (
        "discharge_efficiency = 0.95", "discharge_efficiency = 0.95\nstandby_w = 9e9",
        "standby_w", "standby_w is 9 000 000 000 W; the smaller rating is"),
    "a loss account for no loss": (
        "discharge_efficiency = 0.95",
        'discharge_efficiency = 0.95\nstandby_carbon = "loss account"',
        "standby_carbon", "neither standby_w nor full_soc_ratio is given"),
    "no such method": (
        "discharge_efficiency = 0.95", 'discharge_efficiency = 0.95\ncarbon_method = "lifo"',
        "carbon_method", "carbon_method is 'lifo'"),
    "limit with another effect": ('action = "limit_charge"', 'action = "inhibit_charge"',
                                  '[[interlock]]\nid = "IL-LIMIT"',
                                  "1 limit of 1 causes with 0 clamp"),
    "no IT load": ('kind = "it"', 'kind = "aux"', 'kind = "aux"', "no load is of kind it"),
    "number as text": ("port = 15023", 'port = "15023"', '"15023"', "port is '15023'"),
    "not a number": ("import_cap_w = 2_000_000", "import_cap_w = nan", "import_cap_w", "nan"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_at_its_line(case: str) -> None:
    before, after, place, message = CASES[case]
    assert before in GOOD
    start = GOOD.index(before)
    text = GOOD[:start] + after + GOOD[start + len(before) :]
    at = start if place is None else text.index(place)
    line = text[:at].count("\n") + 1
    line += case == "same address"  # told at the unit, one line under the port
    found = [each for each in problems(text) if message in each.problem]
    assert found, [str(each) for each in problems(text)]
    assert found[0].where.split(" ")[0] == f"small.toml:{line}", str(found[0])
    assert found[0].because
    assert found[0].remedy


def test_the_message_has_the_four_parts_of_the_style() -> None:
    (problem,) = problems(GOOD.replace("reset_below_k = 325.15", "reset_below_k = 330.15"))
    assert re.fullmatch(
        r"small\.toml:\d+ IL-HOT: reset_below_k is 330\.15 K; it must be under above_k, 328\.15 K\n"
        r"  As written the interlock could trip and reset in the same scan\.\n"
        r"  Leave a deadband of at least the meter's noise, for example [\d.]+\.",
        str(problem),
    )


def test_all_problems_come_at_once_and_the_worst_first() -> None:
    text = GOOD.replace("reset_below_k = 325.15", "reset_below_k = 330.15")
    text = text.replace("GRID-01.active_power", "GRID-09.active_power")
    text = text.replace('name = "Small"', 'name = "Small"\ncolour = "red"')
    text = text.replace("unit = 1\nreply_ms = 20\n\n[[load]]", "unit = 300\n\n[[load]]")
    found = problems(text)
    messages = [each.problem for each in found]
    assert "reset_below_k" in messages[0]
    assert any("GRID-09" in each for each in messages)
    assert any("colour" in each for each in messages)
    assert any("unit is 300" in each for each in messages)
    assert [each.rank for each in found] == sorted(each.rank for each in found)


def test_one_mistake_is_reported_once() -> None:
    """A refused device does not make every tag that starts with it a second problem."""
    text = GOOD.replace('id = "IO-01"', 'id = "io-01"')
    found = problems(GOOD.replace("port = 15023", "port = 0"))
    assert len(found) == 1
    assert "port is 0" in found[0].problem
    assert any("id is 'io-01'" in each.problem for each in problems(text))


def test_a_key_in_another_unit_is_not_missing_as_well() -> None:
    (problem,) = problems(GOOD.replace("import_cap_w = 2_000_000", "import_cap_kw = 2_000"))
    assert problem.problem == "wrong unit: import_cap_kw; the key is import_cap_w, in W"


def test_holes_left_by_refused_entries_do_not_move_the_lines() -> None:
    text = GOOD.replace("on_delay_ms = 1000", 'on_delay_ms = "1000"')
    text = text.replace('vote = "1oo2"', 'vote = "2oo3"')
    (vote,) = [each for each in problems(text) if "vote" in each.problem]
    line = text[: text.index('vote = "2oo3"')].count("\n") + 1
    assert vote.where == f"small.toml:{line} IL-ESTOP"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("BESS-1", "BESS-01"), ("BES-01", "BESS-01")],
)
def test_the_nearest_name_is_proposed(given: str, wanted: str) -> None:
    text = GOOD.replace('asset = "BESS-01", action = "zero"', f'asset = "{given}", action = "zero"')
    (problem,) = problems(text)
    assert problem.remedy == f"Did you mean {wanted}?"


def test_broken_toml_is_shown_with_line_column_and_caret() -> None:
    (problem,) = problems(GOOD.replace('zone = "US-TEX-ERCO"', 'zone = "US-TEX-ERCO'))
    assert problem.where.startswith("small.toml:6:")
    shown, caret = problem.because.split("\n")
    assert shown == 'zone = "US-TEX-ERCO'
    assert caret.strip() == "^"


def test_an_unknown_site_names_those_that_ship() -> None:
    with pytest.raises(SiteFileError, match="demo, texas-100mw"):
        load_site("dmo")


def test_too_many_batteries_name_the_bound_of_the_kernel() -> None:
    start = GOOD.index("[[battery]]")
    battery = GOOD[start : GOOD.index("[open_request]")]
    more = "".join(battery.replace("BESS-01", f"BESS-{at}") for at in range(20, 37))
    found = [each.problem for each in problems(GOOD[:start] + more + GOOD[start:])]
    assert any("the site has 18 storages; STORAGES_MAX is 16" in each for each in found)


def test_the_profile_of_a_file_beside_the_site_is_used_and_its_problems_are_told(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.toml").write_text('schema = "edgectl.profile/1"\n[device]\n')
    text = GOOD.replace('"meter/schneider-pm5560"', '"own.toml"')
    found = problems(text, tmp_path / "small.toml")
    assert any(each.where.startswith("own.toml:2") for each in found)
