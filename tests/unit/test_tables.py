"""The demo site's tables: C structs in bus order, blocks whole, every index where it should be."""

import re
from dataclasses import replace
from pathlib import Path

import msgpack
import numpy as np
import pytest

from edgectl._kernel.interlock import CauseOp, Effect, Reset
from edgectl._kernel.layout import DTYPES
from edgectl._kernel.process_image import PointType, decode, encode_output
from edgectl.profiles import INT64_MAX, profiles_root
from edgectl.site_model import KernelTables, Site, bounds, compile_tables, load_site, site_names
from edgectl.site_model.tables import ARRAYS
from edgectl.site_model.tags import BATTERY_POINTS, SITE_POINTS

STRUCTS = {
    "points": "PointRow",
    "blocks": "BlockRow",
    "outputs": "OutputRow",
    "links": "LinkRow",
    "devices": "BusDeviceRow",
    "probes": "ProbeRow",
    "causes": "CauseRow",
    "effects": "EffectRow",
    "interlocks": "InterlockRow",
    "monitors": "MonitorRow",
    "curves": "CurveRow",
    "heartbeats": "HeartbeatRow",
    "storages": "StorageRow",
    "pvs": "PvRow",
    "flexible": "FlexibleRow",
    "dispatch": "DispatchRow",
    "meters": "MeterRow",
    "stocks": "StockRow",
    "scan": "ScanRow",
    "generators": "GeneratorRow",
    "feeders": "FeederRow",
}
NUMBERS = ("inputs", "meter_buses")  # fmt: skip


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site("demo")


@pytest.fixture(scope="module")
def tables(site: Site) -> KernelTables:
    return compile_tables(site)


@pytest.mark.parametrize("name", site_names())
def test_every_shipped_site_loads_and_compiles(name: str) -> None:
    site = load_site(name)
    assert site.id == name
    assert len(compile_tables(site).points) > 0


def test_tables_are_the_kernels_own_structs_as_a_mapping(tables: KernelTables) -> None:
    assert set(tables) == set(ARRAYS) == {*STRUCTS, *NUMBERS}
    for name, table in dict(tables).items():
        assert table.dtype == ("int32" if name in NUMBERS else DTYPES[STRUCTS[name]]), name
        assert table.flags.c_contiguous
        assert table.ndim == 1


def test_bounds_are_those_of_the_kernel(root: Path) -> None:
    text = "".join(path.read_text() for path in (root / "edgectl" / "_kernel").glob("*.pxd"))
    declared = {name: int(value) for name, value in re.findall(r"(\w+_MAX) = (\d+)", text)}
    ours = {name: value for name, value in vars(bounds).items() if name.endswith("_MAX")}
    assert ours == {name: declared[name] for name in ours}


def test_a_blocks_points_stand_together_and_cover_it(tables: KernelTables) -> None:
    next_point = 0
    for at, block in enumerate(tables.blocks):
        assert block["first_point"] == next_point
        own = tables.points[next_point : next_point + block["points"]]
        assert (own["block"] == at).all()
        assert (own["device"] == block["device"]).all()
        assert (np.diff(own["word"]) >= 0).all()
        assert (own["word"] >= 0).all()
        assert (own["word"] < block["count"]).all()
        assert (own["sf_word"] < block["count"]).all()
        assert 0 <= block["phase"] < block["every"]
        next_point += block["points"]
    assert (tables.points[next_point:]["block"] == -1).all()


def test_a_devices_blocks_probes_and_outputs_stand_together(tables: KernelTables) -> None:
    for kind, rows in (("block", tables.blocks), ("probe", None), ("output", tables.outputs)):
        at = 0
        for number, device in enumerate(tables.devices):
            assert device[f"first_{kind}"] == at
            at += device[f"{kind}s"]
            if rows is not None:
                assert (rows[device[f"first_{kind}"] : at]["device"] == number).all()
        assert at == len(tables.probes if rows is None else rows)


def test_a_links_devices_stand_together(tables: KernelTables) -> None:
    at = 0
    for number, link in enumerate(tables.links):
        assert link["first_device"] == at
        at += link["devices"]
        assert (tables.devices[link["first_device"] : at]["link"] == number).all()
        assert link["ipv4"] == 0x7F000001
    assert at == len(tables.devices)


def test_devices_that_share_an_address_share_a_link(tmp_path: Path, site: Site) -> None:
    text = site.path.read_text().replace("port    = 15036", "port    = 15020")
    text = text.replace("unit    = 1\n", "unit    = 1\nstale_after_ms = 600\n", 1)
    text = text.replace('"flexible/generic-workload-gateway"', '"gateway.toml"')
    profile = Path(str(site.device("FLEX-01").profile.name))
    assert profile.name == "generic-workload-gateway"
    shipped = _profile_text("flexible/generic-workload-gateway")
    (tmp_path / "gateway.toml").write_text(re.sub(r"units +=.*", "units = [7]", shipped))
    before, gateway, after = text.partition('"gateway.toml"')
    head, _, tail = (gateway + after).partition("unit    = 1\n")
    head = before + head
    (tmp_path / "shared.toml").write_text(head + "unit    = 7\nstale_after_ms = 600\n" + tail)
    tables = compile_tables(load_site(tmp_path / "shared.toml"))
    assert len(tables.links) == 18
    assert tables.links[0]["devices"] == 2
    assert [each["id"] for each in tables.directory["devices"][:2]] == ["GRID-01", "FLEX-01"]
    assert tables.devices["unit"][:2].tolist() == [1, 7]


def _profile_text(name: str) -> str:
    return profiles_root().joinpath(f"{name}.toml").read_text(encoding="utf-8")


def test_internal_points_come_last_in_their_order(site: Site, tables: KernelTables) -> None:
    names = [each["name"] for each in tables.directory["points"]]
    first = names.index("SITE.grid_power")
    wanted = [f"SITE.{name}" for name, _ in SITE_POINTS]
    wanted += [f"{device.id}.age" for device in site.devices]
    for battery in site.batteries:
        for name, _ in BATTERY_POINTS:
            wanted.append(f"{battery.id}.{name}")
    wanted += [f"{each.id}.value" for each in site.monitors]
    assert names[first:] == wanted
    rows = tables.points[first:]
    assert (rows["type"] == PointType.TYPE_INTERNAL).all()
    assert (rows["limits"]["stale_after_ns"] == INT64_MAX).all()
    assert np.isneginf(rows["limits"]["valid_min"]).all()


def test_scan_row_points_at_the_internal_points(site: Site, tables: KernelTables) -> None:
    row, index = tables.scan[0], tables.point_index
    assert row["grid_power_point"] == index["SITE.grid_power"]
    assert row["overruns_point"] == index["SITE.overruns_in_row"]
    assert row["first_device_age_point"] == index[f"{site.devices[0].id}.age"]
    assert row["local_reset_point"] == index["IO-01.reset_button"]
    assert row["open_request_output"] == tables.output_index["IO-01.open_request"]
    assert (row["loads"], row["it_loads"]) == (8, 6)
    assert (row["period_ns"], row["default_mg_per_kwh"]) == (100_000_000, 480_000)


def test_a_lost_meter_counts_at_its_worst_credible_power(site: Site, tables: KernelTables) -> None:
    index = tables.point_index
    wanted = [(index[site.grid.power], site.grid.import_cap_w)]
    wanted += [(index[load.power], load.worst_case_w) for load in site.loads]
    wanted += [(index[each.power], each.charge_rating_w) for each in site.batteries]
    wanted += [(index[pv.power], 0.0) for pv in site.pvs]
    assert [(row["point"], row["substitute_w"]) for row in tables.meters] == wanted


def test_a_pv_block_with_a_meter_of_its_own_has_its_effect_proved(site: Site) -> None:
    metered = replace(site.pvs[0], proof_meter="MTR-06.active_power")
    tables = compile_tables(replace(site, pvs=(metered, site.pvs[1])))
    first, second = tables.pvs["proof"]
    assert first["meter_point"] == tables.point_index["MTR-06.active_power"]
    assert first["effect_error_point"] == tables.point_index["SOLAR-1.effect_error"]
    assert site.pvs[0].limit is not None
    assert first["effect_ns"] == site.command(site.pvs[0].limit).effect_ns
    assert (second["meter_point"], second["effect_error_point"]) == (-1, -1)
    assert "SOLAR-2.effect_error" not in tables.point_index
    assert tables.directory["pvs"][0]["proof_meter"] == "MTR-06.active_power"


def test_interlock_rows_keep_order_causes_and_effects(site: Site, tables: KernelTables) -> None:
    assert len(tables.interlocks) == len(site.interlocks)
    for row, place in zip(site.interlocks, tables.interlocks, strict=True):
        assert place["causes"] == len(row.causes)
        first = place["first_cause"]
        tags = [tables.directory["points"][p]["name"] for p in tables.causes["point"][first:]]
        assert tags[: len(row.causes)] == [cause.tag for cause in row.causes]
        first = place["first_effect"]
        effects = tables.effects["effect"][first : first + place["effects"]]
        names = [Effect(int(each)).name.removeprefix("EFFECT_").lower() for each in effects]
        assert names == [each.action for each in row.effects]


def test_the_e_stop_row_is_what_the_catalogue_says(tables: KernelTables) -> None:
    at = [each["id"] for each in tables.directory["interlocks"]].index("IL-ESTOP")
    row = tables.interlocks[at]
    assert (row["vote"], row["on_delay_ns"], row["bypassable"]) == (1, 0, 0)
    assert row["reset"] == Reset.RESET_LOCAL
    causes = tables.causes[row["first_cause"] : row["first_cause"] + row["causes"]]
    assert (causes["op"] == CauseOp.CAUSE_EQUAL).all()
    assert (tables.effects["target"][row["first_effect"] :][:2] == -1).all()
    assert row["lockout_window_ns"] == INT64_MAX


def test_a_limit_row_bites_under_the_rating_of_its_asset(site: Site, tables: KernelTables) -> None:
    limits = tables.causes[tables.causes["op"] == CauseOp.CAUSE_LIMIT]
    assert len(limits) == 2 * len(site.batteries) + 1, "both ways of each, and the import"
    assert (limits["on"] == site.batteries[0].charge_rating_w).all()


def test_what_decisions_rest_on_is_journaled_raw(site: Site, tables: KernelTables) -> None:
    names = {each["name"] for each in tables.directory["points"] if each["journaled"]}
    assert {site.grid.power, "BMS-01.soc", "IO-01.estop_channel_a"} <= names
    assert {"MTR-01.energy_import", "GRID-01.energy_export", "PCS-01.setpoint_exponent"} <= names
    assert "MTR-01.voltage_l1" not in names
    flags = tables.points["journaled"].astype(bool)
    assert flags.tolist() == [bool(each["journaled"]) for each in tables.directory["points"]]


def test_the_directory_travels_as_msgpack(tables: KernelTables) -> None:
    packed = msgpack.packb(tables.directory)
    assert msgpack.unpackb(packed) == tables.directory
    assert tables.directory["sources"][:3] == ["grid", "pv", "unmetered"]
    assert tables.directory["sinks"][-2:] == ["export", "losses"]
    assert tables.directory["sinks"][:6] == [f"IT-{letter}" for letter in "ABCDEF"]


def test_the_kernel_decodes_a_scaled_value_to_si_with_our_sign(tables: KernelTables) -> None:
    """Converter block: W is -5000 with scale factor 3, so it charges at 5 MW."""
    point = tables.points[tables.point_index["PCS-01.active_power"]]
    block = tables.blocks[point["block"]]
    words = [0] * int(block["count"])
    words[point["word"]] = 0x10000 - 5000
    words[point["sf_word"]] = 3
    rows = tables.points[tables.point_index["PCS-01.active_power"] :][:1].copy()
    ((value, _, reason, _),) = decode(rows, words, 1)
    assert (value, reason) == (5e6, 0)


def test_the_kernel_encodes_a_setpoint_with_its_way_back(tables: KernelTables) -> None:
    rows = tables.outputs[tables.output_index["PCS-01.active_power_setpoint"] :][:1].copy()
    _, words = encode_output(rows, 5e6, 3)
    minus_5000 = (1 << 32) - 5000
    assert words == [1, 1, minus_5000 >> 16, minus_5000 & 0xFFFF, 0, 0, 0, 0, 1, 0, 5]


def test_a_single_coil_is_switched_with_the_words_of_the_standard(
    tmp_path: Path, site: Site
) -> None:
    """Function 5 writes 0xFF00 for on and 0 for off (MAP 6.5)."""
    profile = _profile_text("io/generic-safety-io").replace("function   = 15", "function   = 5")
    (tmp_path / "coil.toml").write_text(profile)
    text = site.path.read_text().replace('"io/generic-safety-io"', '"coil.toml"')
    (tmp_path / "coil-site.toml").write_text(text)
    tables = compile_tables(load_site(tmp_path / "coil-site.toml"))
    rows = tables.outputs[tables.output_index["IO-01.open_request"] :][:1].copy()
    assert [encode_output(rows, value)[1] for value in (1.0, 0.0)] == [[0xFF00], [0]]


def test_a_command_beyond_its_valid_range_does_not_fit_the_register(tables: KernelTables) -> None:
    row = tables.outputs[tables.output_index["PV-01.active_power_limit"]]
    assert (row["raw_min"], row["raw_max"]) == (0.0, 50e6)
    assert row["sf_point"] == -1


def test_the_digest_is_over_every_row() -> None:
    site = load_site("demo")
    same = compile_tables(site).directory["tables_sha256"]
    assert compile_tables(load_site("demo")).directory["tables_sha256"] == same
    other = replace(site, grid=replace(site.grid, import_cap_w=site.grid.import_cap_w + 1))
    assert compile_tables(other).directory["tables_sha256"] != same
