"""A profile that could mislead is refused, with line, reason and remedy, all problems at once."""

import pytest

from edgectl.errors import Problem, ProfileError
from edgectl.profiles import load_profile, parse_profile

FIRMWARE = """[firmware]
table = "holding"
address = 900
count = 1
decode = "words"
ranges = [RANGES]
source = "a page"

"""
GOOD = """\
schema = "edgectl.profile/1"

[device]
class = "storage"
vendor = "Example"
models = ["EX-1"]
source = "EX-1 map, rev 2"
verified = "paper"
firmware_note = "one version is known"

[modbus]
word_order = "high_first"
timeout_ms = 60
max_registers = 16
gaps = "illegal"
units = [1]

[[identity]]
table = "holding"
address = 900
equals = [[340]]
source = "page 3"

[[point]]
name = "active_power"
table = "holding"
address = 12
type = "s32"
unit = "W"
valid = [-1e6, 1e6]

[[point]]
name = "setpoint_seen"
table = "holding"
address = 14
type = "s32"
unit = "W"
valid = [-1e6, 1e6]

[[command]]
name = "setpoint"
function = 16
address = 40
layout = ["u16:1", "s32:value"]
unit = "W"
valid = [-1e6, 1e6]
readback = "setpoint_seen"
refresh_ms = 1000
"""


def line_of(text: str, fragment: str) -> int:
    """Line, from 1, of the only place where a fragment stands."""
    at = text.index(fragment)
    return text[:at].count("\n") + 1


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(ProfileError) as caught:
        parse_profile("example.toml", text.encode())
    assert caught.value.exit_code == 2
    return caught.value.problems


def test_the_example_itself_is_sound() -> None:
    profile = parse_profile("example.toml", GOOD.encode())
    assert profile.command("setpoint").template == (1, 0, 0)


CASES = {
    "unknown key": ("valid = [-1e6, 1e6]\n\n[[point]]",
                    "valid = [-1e6, 1e6]\nsize = 2\n\n[[point]]",
                    "size = 2", "unknown key size"),
    "near key": ("max_registers = 16", "max_register = 16", "max_register = 16",
                 "unknown key max_register"),
    "firmware unsaid": ('firmware_note = "one version is known"\n', "", "[[command]]",
                        "the profile has commands and says nothing of firmware versions"),
    "firmware overlaps": ("[modbus]", FIRMWARE.replace("RANGES", '["1", "2"], ["1.9", "3"]')
                          + "[modbus]", "[firmware]", "ranges overlap at 1.9"),
    "firmware backwards": ("[modbus]", FIRMWARE.replace("RANGES", '["2", "1"]') + "[modbus]",
                           "[firmware]", "range 2 up to 1 holds no version"),
    "firmware no number": ("[modbus]", FIRMWARE.replace("RANGES", '["v1", "2"]') + "[modbus]",
                           "[firmware]", "'v1' is not up to 4 numbers of 0 to 65535"),
    "firmware too wide": ("[modbus]", FIRMWARE.replace("RANGES", '["1", "2"]')
                          .replace("count = 1", "count = 5") + "[modbus]", "[firmware]",
                          "count is 5; decode words takes at most 4 registers"),
    "overlapping points": ("address = 14", "address = 13", "address = 13",
                           "setpoint_seen (s32 at 13) overlaps active_power (s32 at 12)"),
    "straddling point": ("max_registers = 16", "max_registers = 1", "address = 12",
                         "s32 at 12 takes 2 registers; it would straddle two requests"),
    "past the last register": ("address = 14", "address = 65535", "address = 65535",
                               "straddle the end of the address space"),
    "wrong unit": ('unit = "W"\nvalid = [-1e6, 1e6]\n\n[[point]]',
                   'unit = "Watt"\nvalid = [-1e6, 1e6]\n\n[[point]]', 'unit = "Watt"',
                   "wrong unit: 'Watt' is none that edgectl knows"),
    "missing source": ('source = "EX-1 map, rev 2"\n', "", "[device]", "source is missing"),
    "no read-back": ('readback = "setpoint_seen"\n', "", "[[command]]", "readback is missing"),
    "read-back of nothing": ('readback = "setpoint_seen"', 'readback = "setpoint_sen"',
                             'readback = "setpoint_sen"', "which is no point of this profile"),
    "read-back without reason": ('readback = "setpoint_seen"', 'readback = "none: no"',
                                 'readback = "none: no"', "no reason follows"),
    "range inverted": ("valid = [-1e6, 1e6]\n\n[[point]]", "valid = [1e6, -1e6]\n\n[[point]]",
                       "valid = [1e6, -1e6]", "valid is [1 000 000 W, -1 000 000 W]"),
    "duplicate name": ('name = "setpoint_seen"', 'name = "active_power"', 'name = "active_power"',
                       "there are two points named active_power"),
    "commands without identity": (
        '[[identity]]\ntable = "holding"\naddress = 900\nequals = [[340]]\nsource = "page 3"\n', "",
        "[[command]]", "the profile has commands and no [[identity]]"),
    "scale factor out of reach": ('valid = [-1e6, 1e6]\n\n[[point]]',
                                  'valid = [-1e6, 1e6]\nscale_factor = 60\n\n[[point]]',
                                  "scale_factor = 60", "is 49 registers from its value at 12"),
    "scale factor beyond a gap": ('valid = [-1e6, 1e6]\n\n[[point]]',
                                  'valid = [-1e6, 1e6]\nscale_factor = 18\n\n[[point]]',
                                  "scale_factor = 18", "lies across registers that no point names"),
    "sentinel too wide": ('unit = "W"\nvalid = [-1e6, 1e6]\n\n[[point]]',
                          'unit = "W"\nsentinel = 0x1_0000_0000\nvalid = [-1e6, 1e6]\n\n[[point]]',
                          "sentinel = ", "sentinel is 0x100000000; type s32 has 32 bits"),
    "roll-over of a power": ('unit = "W"\nvalid = [-1e6, 1e6]\n\n[[point]]',
                             'unit = "W"\nmodulus = 1000\nmodulus_source = "p. 9"\n'
                             'valid = [-1e6, 1e6]\n\n[[point]]',
                             "modulus = ", "which counts no energy"),
    "roll-over without source": ('unit = "W"\nvalid = [-1e6, 1e6]\n\n[[point]]',
                                 'unit = "kWh"\nmodulus = 1000\n'
                                 'valid = [-1e6, 1e6]\n\n[[point]]',
                                 "modulus = ", "stand together"),
    "roll-over beyond the register": ('unit = "W"\nvalid = [-1e6, 1e6]\n\n[[point]]',
                                      'unit = "kWh"\nmodulus = 2147483649\nmodulus_source = "x"\n'
                                      'valid = [-1e6, 1e6]\n\n[[point]]',
                                      "modulus = ", "a s32 counts to 2147483647"),
    "two values": ('layout = ["u16:1", "s32:value"]', 'layout = ["s32:value", "s32:value"]',
                   "layout = ", "the layout has 2 values"),
    "constant too large": ('layout = ["u16:1", "s32:value"]', 'layout = ["u16:70000", "s32:value"]',
                           "layout = ", "70000.0 does not fit u16"),
    "reverts before refresh": ("refresh_ms = 1000", "refresh_ms = 1000\nrevert_ms = 1500",
                               "revert_ms", "revert_ms is 1 500 ms"),
    "identity twice": ('equals = [[340]]', 'equals = [[340]]\ntext = "EX"', "[[identity]]",
                       "identity needs either equals or text"),
    "no number": ("address = 12", 'address = "12"', 'address = "12"', "address is '12'"),
    "too many registers": ("max_registers = 16", "max_registers = 126", "max_registers = 126",
                           "less than or equal to 125"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_at_its_line(case: str) -> None:
    before, after, place, message = CASES[case]
    assert GOOD.count(before) >= 1
    head, _, tail = GOOD.rpartition(before) if case == "duplicate name" else GOOD.partition(before)
    text = head + after + tail
    found = [each for each in problems(text) if message in each.problem]
    assert found, [str(each) for each in problems(text)]
    line = line_of(text, place)
    if case == "duplicate name":
        line = text[: text.rindex(place)].count("\n") + 1
    assert found[0].where.split(" ")[0] == f"example.toml:{line}"
    assert found[0].because
    assert found[0].remedy


def test_the_nearest_key_is_proposed() -> None:
    text = GOOD.replace("max_registers = 16", "max_register = 16")
    remedies = [each.remedy for each in problems(text) if "unknown key" in each.problem]
    assert remedies == ["Did you mean max_registers?"]


def test_all_problems_come_at_once_and_the_worst_first() -> None:
    text = GOOD.replace('readback = "setpoint_seen"', 'readback = "nothing"')
    text = text.replace('unit = "W"', 'unit = "Watt"')
    found = problems(text)
    assert len(found) == 4
    assert "readback" in found[0].problem
    assert [each.rank for each in found] == sorted(each.rank for each in found)


def test_broken_toml_is_shown_with_a_caret() -> None:
    text = GOOD.replace("timeout_ms = 60", "timeout_ms = sixty")
    (problem,) = problems(text)
    line = line_of(text, "sixty")
    assert problem.where.startswith(f"example.toml:{line}:")
    shown, caret = problem.because.split("\n")
    assert shown == "timeout_ms = sixty"
    assert caret.index("^") - 2 == shown.index("sixty")


def test_an_unknown_profile_is_named_with_its_likeliest_neighbour() -> None:
    with pytest.raises(ProfileError, match="Did you mean meter/abb-b23"):
        load_profile("meter/abb-b24")
