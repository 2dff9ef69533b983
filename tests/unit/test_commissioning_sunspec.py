"""SunSpec discovery and the profile written from it, against chains that pysunspec2 encodes."""

import itertools
import sys
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from device_rig import HOST, chain, grouped_model, serve, sunspec_model, words_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sunspec2 import device as sunspec_device

from edgectl.cli import main as cli
from edgectl.commissioning import models, sunspec, sunspec_profile
from edgectl.commissioning.client import DeviceError, Failure, Fault, Line, Reply, TcpAddress
from edgectl.commissioning.identify import Asker
from edgectl.commissioning.probe import probe
from edgectl.commissioning.reading import Reading, read_points
from edgectl.commissioning.sunspec import Chain
from edgectl.commissioning.sunspec_points import COVERED
from edgectl.profiles import Profile

pytestmark = pytest.mark.wire

DAY = date(2026, 3, 1)
COMMON = {"Mn": "Acme", "Md": "Roof 30", "Vr": "2.1", "SN": "12345"}
INVERTER: dict[str, Any] = {
    "W": 2345, "W_SF": 1, "Hz": 5001, "Hz_SF": -2, "WH": 123_456, "WH_SF": 2, "St": 4,
    "AphA": 101, "A_SF": -1, "TmpCab": 312, "Tmp_SF": -1, "Evt1": 0, "PF": 99, "PF_SF": -2,
}  # fmt: skip


class Registers:
    """An asker whose unit is a table of registers; what is not in it is exception 2."""

    def __init__(self, registers: Mapping[int, int]) -> None:
        self.registers, self.reads = registers, 0

    def read(self, function: int, address: int, count: int) -> Reply | Failure:
        """As Asker.read."""
        self.reads += 1
        span = range(address, address + count)
        if function != 3 or any(each not in self.registers for each in span):
            return Failure(Fault.EXCEPTION, "exception 2 illegal data address", 2)
        return Reply(tuple(self.registers[each] for each in span), 1)


def discovered(registers: Mapping[int, int]) -> Chain:
    found = sunspec.discover(Registers(registers))  # type: ignore[arg-type]
    assert found is not None
    return found


def filled(number: int, **fixed: Any) -> sunspec_device.Model:
    """A model with a different raw value in every point, scale factors small."""
    counter = itertools.count(3)
    model = sunspec_model(number, **fixed)

    def fill(group: Any) -> None:
        for point in group.points.values():
            kind = point.pdef["type"]
            if point.pdef["name"] in ("ID", "L") and group is model:
                continue
            if kind == "sunssf":
                point.value = -(next(counter) % 3)
            elif kind.startswith("float"):
                point.value = next(counter) * 0.5
            elif kind not in ("string", "pad", "count") and point.pdef["name"] not in fixed:
                point.value = next(counter)
        for inner in group.groups.values():
            for each in inner if isinstance(inner, list) else [inner]:
                fill(each)

    fill(model)
    return model


# ---- the chain


@pytest.mark.parametrize("base", sunspec.BASES)
def test_a_chain_is_found_at_each_of_its_places_and_walked_to_its_end(base: int) -> None:
    wire = chain([sunspec_model(1, **COMMON), sunspec_model(103), sunspec_model(120)], base)
    found = discovered(wire)
    assert (found.base, found.ids, found.problem) == (base, (1, 103, 120), "")
    assert [each.address for each in found.models] == [base + 2, base + 70, base + 122]
    assert found.device == "Acme Roof 30"
    assert (found.common["Vr"], found.common["SN"]) == ("2.1", "12345")


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("number", [*COVERED[1:], 705, 706, 707, 711, 712, 803, 804, 805])
def test_every_length_that_pysunspec2_encodes_is_called_ok(number: int, times: int) -> None:
    last = discovered(chain([sunspec_model(1), grouped_model(number, times)])).models[-1]
    assert (last.id, last.verdict) == (number, "ok")


@pytest.mark.parametrize(("number", "name", "count"), [(160, "module", 4), (714, "Prt", 3)])
def test_repeating_groups_count_from_the_device(number: int, name: str, count: int) -> None:
    counted = {160: "N", 714: "NPrt"}[number]
    model = sunspec_model(number, **{counted: count, name: [{"DCA": 7}] * count})
    found = discovered(chain([sunspec_model(1), model])).models[-1]
    assert found.verdict == "ok"
    laid = models.layout(number, found.words)
    assert laid is not None
    paths = [each.path for each in laid.fields if each.name == "DCA" and "[" in each.path]
    assert paths == [f"{name}[{at}].DCA" for at in range(1, count + 1)]


def test_the_common_model_may_lack_its_pad_register() -> None:
    short = words_of(sunspec_model(1))[:-1]
    short[1] = 65
    assert discovered(chain([short, sunspec_model(103)])).ids == (1, 103)
    assert discovered(chain([short, sunspec_model(103)])).models[0].verdict == "ok"


def test_a_short_vendor_model_is_said_to_be_short_and_nothing_past_it_is_read() -> None:
    short = words_of(sunspec_model(103))[:40]
    short[1] = 38
    model = discovered(chain([sunspec_model(1), short])).models[1]
    assert model.verdict == "12 short"
    laid = models.layout(103, model.words)
    assert laid is not None
    assert max(each.offset + each.words for each in laid.fields) <= 40


def test_a_model_nobody_knows_is_stepped_over() -> None:
    vendor = [64_110, 3, 1, 2, 3]
    found = discovered(chain([sunspec_model(1), vendor, sunspec_model(203)]))
    assert found.ids == (1, 64_110, 203)
    assert (found.models[1].label, found.models[1].verdict) == ("vendor's own", "")


@pytest.mark.parametrize(
    ("tail", "problem"),
    [
        ([103, 0], "model 103 at 40070 has length 0: the chain leads nowhere"),
        ([103, 60_000], "it would run past the last register"),
        ([], "no end marker: header at 40070: exception 2 illegal data address"),
    ],
)
def test_a_broken_chain_is_left_where_it_breaks(tail: list[int], problem: str) -> None:
    found = discovered(chain([sunspec_model(1)], end=tail))
    assert found.ids == (1,)
    assert problem in found.problem


def test_a_chain_that_does_not_begin_with_model_1_is_none() -> None:
    found = discovered(chain([sunspec_model(103)]))
    assert found.models == ()
    assert "the first model is 103" in found.problem


def test_a_map_without_marker_is_no_chain() -> None:
    nearly = Registers({40000: 0x5375, 40001: 0x6E54})
    assert sunspec.discover(nearly) is None  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(st.sampled_from([0, 1, 2, 66, 103, 160, 203, 701, 0xFFFF, 64_001]), max_size=40),
    rest=st.integers(0, 0xFFFF),
)
def test_any_rubbish_behind_a_marker_ends_within_a_bound(words: list[int], rest: int) -> None:
    registers = dict.fromkeys(range(40000, 0x10000), rest)
    head = [0x5375, 0x6E53, 1, 66, *[0] * 66, *words]
    registers |= {40000 + at: word for at, word in enumerate(head)}
    asker = Registers(registers)
    found = sunspec.discover(asker)  # type: ignore[arg-type]
    assert found is not None
    assert len(found.models) <= sunspec.MODELS_MAX
    assert all(each.end <= models.ADDRESSES for each in found.models)
    assert asker.reads < 2000


def test_rubbish_counts_in_a_model_lay_out_no_more_than_was_read() -> None:
    words = words_of(grouped_model(705, 2))
    for at in range(2, len(words)):
        words[at] = 0xFFFF
    found = discovered(chain([sunspec_model(1), words])).models[-1]
    laid = models.layout(705, found.words)
    assert laid is not None
    assert max(each.offset + each.words for each in laid.fields) <= len(found.words)


# ---- the profile


def written(registers: Mapping[int, int], keep_all: bool = False) -> sunspec_profile.Written:
    return sunspec_profile.write(discovered(registers), 1, 1_000_000, keep_all, DAY)


def read_by(profile: Profile, registers: Mapping[int, int]) -> dict[str, Reading]:
    """The points of a profile over the wire."""
    with serve({1: registers}) as port, Line(TcpAddress(HOST, port)) as line:
        return {each.point.name: each for each in read_points(line, 1, profile)}


def test_the_written_profile_knows_its_device_and_says_what_it_says() -> None:
    registers = chain([sunspec_model(1, **COMMON), sunspec_model(103, **INVERTER)])
    result = written(registers)
    read = read_by(result.profile, registers)
    values = {name: each.value for name, each in read.items()}
    assert values["active_power"] == pytest.approx(-23_450.0), "generating is negative"
    assert values["frequency"] == pytest.approx(50.01)
    assert values["energy_export"] == pytest.approx(123_456 * 100 * 3600.0)
    assert values["current_l1"] == pytest.approx(10.1)
    assert values["temperature_cabinet"] == pytest.approx(31.2 + 273.15)
    assert values["status"] == 4.0
    assert all(each.good for each in read.values())
    with serve({1: registers}) as port, Line(TcpAddress(HOST, port)) as line:
        found = probe(line, 1, [result.profile], None)
    assert found.profile == result.profile
    assert result.profile.verified == "bench"
    assert not result.profile.commands


@pytest.mark.parametrize(
    "change", [{40004: 0x4263}, {40020: 0x0000}, {40070: 101}, {40071: 52}, {40000: 0}]
)
def test_the_written_profile_refuses_another_device(change: dict[int, int]) -> None:
    registers = chain([sunspec_model(1, **COMMON), sunspec_model(103, **INVERTER)])
    profile = written(registers).profile
    with serve({1: registers | change}) as port, Line(TcpAddress(HOST, port)) as line:
        assert not probe(line, 1, [profile], None).matches


def groups_of(number: int) -> dict[str, Any]:
    """What makes a model's groups appear."""
    return {160: {"N": 2, "module": [{}, {}]}, 714: {"NPrt": 2, "Prt": [{}, {}]}}.get(number, {})


@pytest.mark.parametrize("number", [each for each in COVERED if each != 1])
def test_every_point_of_every_covered_model_reads_back_as_pysunspec2_computes_it(
    number: int,
) -> None:
    """Each value by the kernel from our profile, against the library's own computed value."""
    model = filled(number, **groups_of(number))
    result = written(chain([sunspec_model(1, **COMMON), model]))
    assert result.differs == ()
    points = [each for each in result.drafted.points if each.model.id == number]
    assert points
    for each in points:
        expected = computed(model, each.field.path)
        sign = -1.0 if each.export else 1.0
        assert each.value == pytest.approx(sign * expected, rel=1e-9), each.field.path
    skipped = {name for names in result.drafted.left_out.values() for name in names}
    for path in paths_of(model):
        taken = f"{number}.{path}" in skipped or path in {each.field.path for each in points}
        assert taken, f"{path} is neither a point nor named as left out"


def computed(model: sunspec_device.Model, path: str) -> float:
    """pysunspec2's value of a path such as Prt[2].DCW, scale factor applied."""
    *groups, name = path.split(".")
    at: Any = model
    for each in groups:
        group, _, ordinal = each.rstrip("]").partition("[")
        at = at.groups[group]
        at = at[int(ordinal) - 1] if ordinal else at
    value: float = at.points[name].cvalue
    return value


def paths_of(group: Any, path: str = "") -> list[str]:
    """Every number of a model."""
    kinds = ("sunssf", "string", "pad")
    found = [
        path + name
        for name, point in group.points.items()
        if point.pdef["type"] not in kinds and (path or name not in ("ID", "L"))
    ]
    for name, inner in group.groups.items():
        listed = inner if isinstance(inner, list) else [inner]
        for at, each in enumerate(listed, start=1):
            ordinal = f"[{at}]" if isinstance(inner, list) else ""
            found += paths_of(each, f"{path}{name}{ordinal}.")
    return found


@settings(max_examples=40, deadline=None)
@given(number=st.sampled_from(COVERED[1:]), length=st.integers(1, 200), data=st.data())
def test_whatever_a_model_holds_and_however_short_the_file_reads_it_back(
    number: int, length: int, data: st.DataObject
) -> None:
    """Any registers in a model of any length: a sound file that says the same, or none."""
    word = st.sampled_from([0, 1, 2, 10, 100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FC0, 0x7F80])
    some = data.draw(st.lists(word, min_size=1, max_size=12))
    body = [some[at % len(some)] for at in range(length)]
    registers = chain([sunspec_model(1, **COMMON), [number, length, *body]])
    for keep_all in (False, True):
        try:
            result = written(registers, keep_all)
        except DeviceError:
            continue
        assert result.differs == ()


def test_a_scale_factor_past_a_short_models_end_takes_its_points_along() -> None:
    short = words_of(sunspec_model(101, W=5, W_SF=0, WH=7, WH_SF=0, DCW=1, DCW_SF=0))[:32]
    short[1] = 30
    result = written(chain([sunspec_model(1), short]))
    assert "101.DCW" in result.drafted.left_out["its scale factor would lie past the model's end"]
    assert {"active_power", "energy_export"} <= {each.name for each in result.profile.points}


def test_points_too_far_from_their_scale_factor_are_left_out_and_named() -> None:
    model = filled(160, N=8, module=[{} for _ in range(8)])
    result = written(chain([sunspec_model(1), model]))
    far = result.drafted.left_out["over 125 registers from its scale factor"]
    assert "160.module[8].DCW" in far
    assert "160.module[1].DCW" not in far
    assert "module[8].DCW" in result.text
    assert all(block.count <= 125 for block in result.profile.blocks)


def test_what_is_not_implemented_is_left_out_unless_all_is_wanted() -> None:
    registers = chain([sunspec_model(1), sunspec_model(103, **INVERTER)])
    few, all_of_it = written(registers), written(registers, keep_all=True)
    assert "current_l2" not in {each.name for each in few.profile.points}
    assert "103.AphB" in few.drafted.left_out["not implemented, so the device said"]
    assert "current_l2" in {each.name for each in all_of_it.profile.points}
    read = read_by(all_of_it.profile, registers)
    assert read["current_l2"].reason == "not implemented"


def test_ratings_bound_what_is_believed() -> None:
    rated = sunspec_model(120, WRtg=3000, WRtg_SF=1)
    registers = chain([sunspec_model(1), sunspec_model(103, **INVERTER), rated])
    power = written(registers).profile.point("active_power")
    assert (power.valid_min, power.valid_max) == (-45_000.0, 45_000.0)


def test_each_name_is_given_once_even_where_models_repeat() -> None:
    twice = [sunspec_model(1), sunspec_model(203, W=1, W_SF=0), sunspec_model(203, W=2, W_SF=0)]
    names = [each.name for each in written(chain(twice)).profile.points]
    assert len(names) == len(set(names))
    assert {"active_power", "m203_active_power"} <= set(names)


def test_a_second_measuring_model_does_not_fill_up_the_names_of_the_first() -> None:
    both = [sunspec_model(1), sunspec_model(103, W=1, W_SF=0), sunspec_model(203, A=2, A_SF=0)]
    names = {each.name for each in written(chain(both)).profile.points}
    assert {"active_power", "m203_current"} <= names
    assert "current" not in names


def test_a_makers_odd_name_stays_a_text() -> None:
    odd = {**COMMON, "Mn": 'A"c\\me', "Md": "x" * 32}
    result = written(chain([sunspec_model(1, **odd), sunspec_model(103, **INVERTER)]))
    assert tomllib.loads(result.text)["device"]["vendor"] == 'A"c\\me'
    assert result.profile.probes[-1].text == "x" * 20


def test_control_characters_of_a_device_do_not_reach_the_file_as_code() -> None:
    odd = words_of(sunspec_model(1, **COMMON))
    odd[2:5] = [0x0A5B, 0x5B78, 0x1B5B]  # a newline, [[x, an escape sequence
    result = written(chain([odd, sunspec_model(103, **INVERTER)]))
    assert "\x1b" not in result.text
    assert set(tomllib.loads(result.text)) == {"schema", "device", "modbus", "identity", "point"}


# ---- the verb


def status_of(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["edgectl", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_written_file_passes_lint_and_is_known_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "roof.toml"
    registers = chain([sunspec_model(1, **COMMON), sunspec_model(103, **INVERTER)])
    with serve({1: registers}) as port:
        target = f"{HOST}:{port}"
        assert status_of(monkeypatch, "probe", target, "--write-profile", str(file)) == 0
        assert "SunSpec chain" in capsys.readouterr().out
        assert status_of(monkeypatch, "profile", "lint", str(file)) == 0
        assert status_of(monkeypatch, "probe", target, "--profile", str(file)) == 0
        assert status_of(monkeypatch, "probe", target, "--write-profile", str(file)) == 2, "over it"
    assert "There is no [[command]]" in file.read_text()


def test_a_device_without_sunspec_gets_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.toml"
    with serve({1: {0: 0}}) as port:
        words = ("probe", f"{HOST}:{port}", "--write-profile", str(file))
        assert status_of(monkeypatch, *words) == 1
    assert "no SunSpec map" in capsys.readouterr().err
    assert not file.exists()


def test_discovery_over_the_wire_is_the_one_of_the_table() -> None:
    registers = chain([sunspec_model(1, **COMMON), sunspec_model(203), grouped_model(714, 2)])
    with serve({1: registers}) as port, Line(TcpAddress(HOST, port)) as line:
        over_wire = sunspec.discover(Asker(line, 1))
    assert over_wire == discovered(registers)
