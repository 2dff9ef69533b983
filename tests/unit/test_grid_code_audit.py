"""The audit on the wire: simulated converters, strangers, silence; and pysunspec2's own reading."""

import json
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from device_rig import HOST, chain, serve, sunspec_model
from site_rig import Served, demo_elsewhere, served
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from edgectl.cli import main as cli
from edgectl.errors import PlantError, SiteFileError
from edgectl.grid_code.code import load_rules
from edgectl.grid_code.site import audit_device, audited_devices, site_rules
from edgectl.plant.der_settings import DerSetting, parse_der_setting, settings
from edgectl.site_model import Site, load_site

# Commissioning against pymodbus: nothing of ext/ is reached.
pytestmark = [pytest.mark.untraced, pytest.mark.wire]
CONVERTERS = ("PCS-01", "PCS-02")
COMMON = {"Mn": "Acme", "Md": "Roof 30"}
LIMIT_MS = 500


@pytest.fixture
def path(root: Path, tmp_path: Path) -> Path:
    return demo_elsewhere(root, tmp_path, "gc")


@pytest.fixture
def plant(path: Path) -> Iterator[Served]:
    wrong = (
        DerSetting("PCS-02", "UV1", 0.70, 2.0),
        DerSetting("PCS-02", "OV1", 1.15),
        DerSetting("PCS-02", "ES_DELAY", 601.0),
        DerSetting("PCS-02", "OF", 0.0),
        DerSetting("PCS-02", "UV-MAY2", 0.7, 9.0),
    )
    with served(load_site(path), (*CONVERTERS, "GRID-01"), der_settings=wrong) as running:
        yield running


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: how it ended and what it printed."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out.splitlines()[-1])
        return found


class Shell:
    """The command line, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *words: str) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["edgectl", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = self._capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(monkeypatch, capsys)


@pytest.mark.usefixtures("plant")
def test_a_converter_at_the_defaults_passes_and_says_who_owns_the_fast_trips(
    shell: Shell, path: Path
) -> None:
    ran = shell("gridcode", "audit", str(path), "PCS-01")
    assert ran.status == 0, ran
    shown = " ".join(ran.out.split())
    assert "OV2 0.16 s, UF2 0.16 s, OF2 0.16 s: faster than a controller can" in shown
    assert "The inverter or its relay owns every trip here" in shown
    assert "0 outside, 0 within but not the default, 0 could not be read" in shown


@pytest.mark.usefixtures("plant")
def test_each_wrong_setting_is_found_and_no_other(shell: Shell, path: Path) -> None:
    ran = shell("gridcode", "audit", str(path), "--json")
    assert ran.status == 1
    sound, wrong = ran.json["devices"]
    assert (sound["device"], sound["status"]) == ("PCS-01", 0)
    assert {each["verdict"] for each in sound["settings"]} == {"ok"}
    verdicts = {e["setting"]: e["verdict"] for e in wrong["settings"] if e["verdict"] != "ok"}
    assert verdicts == {
        "UV1": "outside range", "OV1": "not default", "ES_DELAY": "outside range",
        "OF1": "outside range", "OF2": "outside range", "UV-MAY2": "outside range",
    }  # fmt: skip
    uv1 = next(each for each in wrong["settings"] if each["setting"] == "UV1")
    assert (uv1["value"], uv1["time_s"], uv1["required_s"]) == (0.7, 2.0, 21.0)
    assert uv1["verified"] is True
    assert uv1["clause"] == "table 13"


def test_the_audit_writes_nothing(
    plant: Served, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Any] = []
    for device in plant.wire.devices:
        monkeypatch.setattr(
            type(device), "_write", lambda *words: written.append(words), raising=True
        )
    site = load_site(path)
    for device in audited_devices(site, ()):
        assert audit_device(site, site_rules(site), device, LIMIT_MS).settings is not None
    assert written == []


@pytest.mark.usefixtures("plant")
def test_what_is_no_sunspec_or_not_there_is_unknown_and_not_sound(shell: Shell, path: Path) -> None:
    ran = shell("gridcode", "audit", str(path), "GRID-01", "PV-01", "PCS-01", "--json")
    assert ran.status == 2
    problems = [each["problem"] for each in ran.json["devices"]]
    assert problems[0] == "no SunSpec map in it"
    assert problems[1].startswith("cannot be reached: the host refuses connections")
    assert problems[2] == ""
    assert "nothing was read of GRID-01" in shell("gridcode", "audit", str(path), "GRID-01").out


def with_device_at(path: Path, port: int) -> Site:
    site = load_site(path)
    pcs = replace(site.device("PCS-01"), host=HOST, port=port)
    return replace(site, devices=(pcs,))


def test_a_sunspec_device_without_those_models_leaves_every_setting_unread(path: Path) -> None:
    registers = chain([sunspec_model(1, **COMMON), sunspec_model(103, W=5, W_SF=0)])
    with serve({1: registers}) as port:
        site = with_device_at(path, port)
        rules = load_rules("ieee-1547-2018", "III")
        audited = audit_device(site, rules, site.device("PCS-01"), LIMIT_MS)
    assert audited.status == 2
    assert {each.verdict.value for each in audited.findings} == {"cannot be read"}
    reasons = {each.setting: each.reason for each in audited.findings}
    assert reasons["UV1"] == "no model 707 in its SunSpec map"
    assert reasons["ES_DELAY"] == "no model 703 in its SunSpec map"


def curve(*points: tuple[int, int]) -> dict[str, Any]:
    return {"ActPt": len(points), "Pt": [{"V": v, "Tms": t} for v, t in points]}


def low_voltage(**changed: Any) -> Any:
    stored = {
        "ReadOnly": 1, "MustTrip": curve((50, 20), (88, 210)), "MayTrip": curve((0, 0), (0, 0)),
        "MomCess": curve((0, 0), (0, 0)),
    }  # fmt: skip
    stored["MayTrip"]["ActPt"] = stored["MomCess"]["ActPt"] = 0
    data = {"Ena": 1, "NPt": 2, "NCrvSet": 1, "V_SF": 0, "Tms_SF": -1, "Crv": [stored]}
    return sunspec_model(707, **(data | changed))


@pytest.mark.parametrize(
    ("changed", "verdict", "says"),
    [
        ({}, "ok", ""),  # in per cent without decimals, inner stage first: as good as any
        ({"Ena": 0}, "outside range", "disabled"),
        ({"Ena": 0xFFFF}, "cannot be read", "silent about Ena"),
        ({"V_SF": 0x8000 - 0x10000}, "cannot be read", "no must-trip curve"),
        ({"NCrvSet": 0, "Crv": []}, "cannot be read", "no must-trip curve"),
    ],
)
def test_what_a_trip_model_says_is_taken_as_it_says_it(
    path: Path, changed: dict[str, Any], verdict: str, says: str
) -> None:
    registers = chain([sunspec_model(1, **COMMON), low_voltage(**changed)])
    with serve({1: registers}) as port:
        site = with_device_at(path, port)
        rules = load_rules("ieee-1547-2018", "III")
        audited = audit_device(site, rules, site.device("PCS-01"), LIMIT_MS)
    uv1, uv2 = (each for each in audited.findings if each.setting in ("UV1", "UV2"))
    assert (uv1.verdict.value, uv2.verdict.value) == (verdict, verdict)
    assert says in uv1.reason
    if verdict != "cannot be read":
        assert (uv1.value, uv1.time_s) == (0.88, 21.0)


def test_a_model_of_another_length_than_its_definition_is_not_believed(path: Path) -> None:
    words = [707, 39, *([0] * 39)]
    with serve({1: chain([sunspec_model(1, **COMMON), words])}) as port:
        site = with_device_at(path, port)
        rules = load_rules("ieee-1547-2018", "III")
        audited = audit_device(site, rules, site.device("PCS-01"), LIMIT_MS)
    (uv1,) = (each for each in audited.findings if each.setting == "UV1")
    assert (uv1.verdict.value, uv1.reason) == ("cannot be read", "model 707: 32 longer")


def test_droop_is_compared_where_there_is_model_711(path: Path) -> None:
    control = {"DbOf": 36, "DbUf": 16, "KOf": 5, "KUf": 5, "RspTms": 5, "ReadOnly": 1}
    droop = sunspec_model(711, Ena=1, NCtl=1, Db_SF=-3, K_SF=-2, RspTms_SF=0, Ctl=[control])
    with serve({1: chain([sunspec_model(1, **COMMON), droop])}) as port:
        site = with_device_at(path, port)
        rules = load_rules("ieee-1547-2018", "III")
        audited = audit_device(site, rules, site.device("PCS-01"), LIMIT_MS)
    found = {e.setting: e.verdict.value for e in audited.findings if e.setting.startswith("DROOP")}
    assert found == {
        "DROOP_DB_OF": "ok", "DROOP_DB_UF": "outside range", "DROOP_K_OF": "ok",
        "DROOP_K_UF": "ok", "DROOP_T": "ok",
    }  # fmt: skip
    assert audited.settings is not None
    assert audited.settings.notes == ("frequency droop (model 711) is enabled",)


def test_a_host_that_swallows_everything_is_given_up(path: Path) -> None:
    with socket.create_server((HOST, 0)) as mute:
        site = with_device_at(path, mute.getsockname()[1])
        rules = load_rules("ieee-1547-2018", "III")
        audited = audit_device(site, rules, site.device("PCS-01"), 50)
    assert audited.status == 2
    assert audited.problem.startswith("no answer")


# ---- what pysunspec2 makes of the simulated converter


def points_of(curve_: Any, axis: str) -> list[tuple[float, float]]:
    active = curve_.ActPt.cvalue
    return [(getattr(each, axis).cvalue, each.Tms.cvalue) for each in curve_.Pt[:active]]


def test_pysunspec2_reads_every_stage_of_category_iii(plant: Served) -> None:
    device = plant.device("PCS-01").device
    client = SunSpecModbusClientDeviceTCP(device.unit, device.host, device.port, timeout=10.0)
    client.scan()
    try:
        read = {
            number: points_of(client.models[number][0].Crv[0].MustTrip, axis)
            for number, axis in ((707, "V"), (708, "V"), (709, "Hz"), (710, "Hz"))
        }
        enter = client.models[703][0]
        limits = (enter.ESVLo.cvalue, enter.ESVHi.cvalue, enter.ESHzLo.cvalue, enter.ESHzHi.cvalue)
        waits = (enter.ESDlyTms.cvalue, enter.ESRmpTms.cvalue)
        rated = client.models[702][0].AbnOpCatRtg.value
    finally:
        client.disconnect()
    rules = load_rules("ieee-1547-2018", "III")
    numbers = {"under_voltage": 707, "over_voltage": 708, "under_frequency": 709,
               "over_frequency": 710}  # fmt: skip
    for quantity, number in numbers.items():
        factor = 100.0 if quantity.endswith("voltage") else 1.0
        wanted = [(each.threshold * factor, each.time_s) for each in rules.stages(quantity)]
        assert read[number] == [pytest.approx(each) for each in wanted], quantity
    assert limits == pytest.approx((91.7, 105.0, 59.5, 60.1))
    assert (waits, rated) == ((300, 300), 2)


# ---- what is refused, and the other two commands


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"ieee-1547-2018"', '"ieee-1547-2081"', "no such grid code"),
        ('category = "III"', 'category = "IV"', "no category IV"),
        ('devices  = ["PCS-01", "PCS-02"]', 'devices = ["PCS-01", "PCS-09"]', "PCS-09"),
        (
            'category = "III"',
            'category = "III"\nrequired = [{setting = "UV9", value = 0.5}]',
            "UV9",
        ),
        (
            'category = "III"',
            'category = "III"\nrequired = [{setting = "ES_DELAY", time_s = 5.0}]',
            "no time",
        ),
        ('category = "III"', 'category = "III"\nrequired = [{setting = "UV1"}]', "neither value"),
        (
            'category = "III"',
            'category = "III"\nrequired = [{setting="UV1", value=0.8},{setting="UV1", value=0.7}]',
            "prescribed twice",
        ),
    ],
)
def test_a_section_that_could_mislead_is_refused_by_check_and_audit(
    shell: Shell, path: Path, old: str, new: str, says: str
) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    for words in (("check", str(path)), ("gridcode", "audit", str(path))):
        ran = shell(*words)
        assert ran.status == 2
        assert says in ran.err


def test_without_the_section_the_audit_says_what_to_add(shell: Shell, path: Path) -> None:
    text = path.read_text()
    start = text.index("[grid_code]")
    path.write_text(text[:start] + text[text.index("# --- Interlocks") :])
    ran = shell("gridcode", "audit", str(path))
    assert (ran.status, "there is no [grid_code]" in ran.err) == (2, True)
    with pytest.raises(SiteFileError, match="no device PCS-99"):
        audited_devices(load_site("demo"), ["PCS-99"])


def test_the_devices_of_batteries_and_pv_are_audited_where_none_are_named(path: Path) -> None:
    path.write_text(path.read_text().replace('devices  = ["PCS-01", "PCS-02"]', ""))
    code = load_site(path).grid_code
    assert code is not None
    assert code.devices == ("PCS-01", "PCS-02", "PV-01", "PV-02")


@pytest.mark.usefixtures("plant")
def test_what_the_operator_prescribes_is_what_is_asked_for(shell: Shell, path: Path) -> None:
    asked = 'category = "III"\nrequired = [{setting = "OV1", value = 1.15, time_s = 13.0}]'
    path.write_text(path.read_text().replace('category = "III"', asked, 1))
    devices = shell("gridcode", "audit", str(path), "--json").json["devices"]
    own = [e for each in devices for e in each["settings"] if e["setting"] == "OV1"]
    assert [each["verdict"] for each in own] == ["not as required", "ok"]
    assert all(each["prescribed"] for each in own)


def test_show_lists_codes_and_prints_one_with_its_sources(shell: Shell) -> None:
    assert shell("gridcode", "show").out.split() == ["ieee-1547-2018"]
    shown = shell("gridcode", "show", "ieee-1547-2018", "I").out
    assert "table 11" in shown
    assert "unverified" in shown
    figures = shell("gridcode", "show", "ieee-1547-2018", "I", "--json").json
    assert (figures["rocof_hz_per_s"], len(figures["trips"])) == (0.5, 8)


def event(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join(("time_s,v_low_pu,v_high_pu,frequency_hz", *rows)))
    return path


@pytest.mark.usefixtures("plant")
def test_a_recorded_event_is_judged_by_what_the_device_is_set_to(
    shell: Shell, path: Path, tmp_path: Path
) -> None:
    sag = [f"{at / 10:g},{0.65 if 10 <= at < 60 else 1.0},1.0,60.0" for at in range(100)]
    file = event(tmp_path / "sag.csv", sag)
    sound = shell("gridcode", "judge", str(file), str(path), "PCS-01")
    assert sound.status == 0
    assert "It should have stayed" in sound.out
    wrong = shell("gridcode", "judge", str(file), str(path), "PCS-02", "--json")
    assert wrong.status == 1
    assert wrong.json["moments"] == [{"time_s": 3.0, "what": "UV1"}]
    assert wrong.json["longest_s"]["UV1"] == 4.9
    assert wrong.json["notes"] == ["model 710 is not enabled: no over frequency stage is judged"]
    default = shell("gridcode", "judge", str(file), str(path), "--json").json
    assert default["settings"] == "the defaults of ieee-1547-2018, category III"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "holds no sample"),
        (["0,1,1,60", "0,1,1,60"], "not later than the one before"),
        (["0,1,high,60"], "not four numbers"),
        ([",1,1,60"], "its time is missing"),
    ],
)
def test_an_event_that_is_no_event_is_refused_with_its_line(
    shell: Shell, tmp_path: Path, rows: list[str], says: str
) -> None:
    ran = shell("gridcode", "judge", str(event(tmp_path / "e.csv", rows)), "demo")
    assert (ran.status, says in ran.err) == (2, True), ran.err
    missing = shell("gridcode", "judge", str(tmp_path / "none.csv"), "demo")
    assert (missing.status, "cannot be read" in missing.err) == (2, True)


def test_an_event_cannot_be_judged_by_a_device_that_is_not_there(
    shell: Shell, path: Path, tmp_path: Path
) -> None:
    file = event(tmp_path / "e.csv", ["0,1,1,60"])
    ran = shell("gridcode", "judge", str(file), str(path), "PCS-01")
    assert (ran.status, "nothing can be judged" in ran.err) == (2, True)


@pytest.mark.parametrize(
    "text",
    ["PCS-01", "PCS-01=UV1", "PCS-01=UV9:1", "PCS-01=UV1:x", "=UV1:1", "PCS-01=UV1:1:2:3",
     "PCS-01=UV1:-1"],
)  # fmt: skip
def test_a_der_setting_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PlantError, match="UV-MAY1"):
        parse_der_setting(text)


def test_a_der_setting_of_a_device_without_those_models_is_refused(path: Path) -> None:
    wrong = (DerSetting("GRID-01", "UV1", 0.7),)
    with (
        pytest.raises(PlantError, match="PCS-01, PCS-02"),
        served(load_site(path), ("PCS-01",), der_settings=wrong),
    ):
        pass


def test_every_der_setting_can_be_named() -> None:
    for name in settings():
        assert parse_der_setting(f"PCS-01={name}:1") == DerSetting("PCS-01", name, 1.0)
