"""Every device of a site shows its part of the campus, and no register is made up."""

from dataclasses import replace

import pytest

from edgectl.errors import PlantError
from edgectl.plant.campus import build_plant
from edgectl.plant.host import HostOptions, WireHost
from edgectl.plant.parameters import PlantParameters
from edgectl.plant.registers import device_slots
from edgectl.plant.roles import campus_of, site_roles
from edgectl.site_model import Site, load_site


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site("demo")


def test_roles_follow_from_the_site_file(site: Site) -> None:
    roles = site_roles(site)
    assert roles["GRID-01"].unit == "grid"
    assert roles["MTR-03"].unit == "it2"
    assert roles["AUX-01"].unit == "aux0"
    assert roles["PV-02"].unit == "pv1"
    assert roles["PCS-02"].unit == "storage1"
    assert roles["BMS-02"].unit == "storage1"
    assert roles["FLEX-01"].kind == "flexible"
    assert roles["IO-01"].kind == "io"
    assert set(roles) == {device.id for device in site.devices}


def test_the_campus_has_the_sites_sizes(site: Site) -> None:
    campus = campus_of(site)
    assert (campus.it_buses, campus.auxes, campus.cooling_feeds) == (6, 2, 1)
    assert campus.storages[0].revert_ns == 5_000_000_000
    assert campus.pvs[0].rating_w == 15e6


@pytest.mark.parametrize("name", ["demo", "texas-100mw"])
def test_every_point_of_the_shipped_sites_has_a_source(name: str) -> None:
    site = load_site(name)
    campus = campus_of(site)
    plant = build_plant(campus, "demo", 1)
    roles = site_roles(site)
    for device in site.devices:
        slots = device_slots(plant, device, roles[device.id], campus.parameters)
        shown = {slot.point.name for slot in slots.slots}
        fixed = {point.name for point in device.profile.points} - shown
        assert fixed <= {"setpoint_exponent"}, "only a scale factor is not a signal"


def test_a_point_nobody_fills_is_refused(site: Site) -> None:
    device = site.device("MTR-01")
    odd = replace(device.profile.points[0], name="total_harmonic_distortion")
    device = replace(device, profile=replace(device.profile, points=(odd,)))
    plant = build_plant(campus_of(site), "demo", 1)
    with pytest.raises(PlantError, match=r"MTR-01\.total_harmonic_distortion") as refusal:
        device_slots(plant, device, site_roles(site)["MTR-01"], PlantParameters())
    assert refusal.value.exit_code == 8


def test_scale_factors_hold_the_rating_in_the_register(site: Site) -> None:
    campus = campus_of(site)
    plant = build_plant(campus, "demo", 1)
    device = site.device("PCS-01")
    slots = device_slots(plant, device, site_roles(site)["PCS-01"], campus.parameters)
    power = device.profile.point("active_power")
    assert power.sf_address is not None
    assert slots.exponent(power.sf_address) == 3, "10 MW in 16 bits: steps of a kilowatt"
    soc = device.profile.point("soc")
    assert soc.sf_address is not None
    assert slots.exponent(soc.sf_address) == -2


def test_pv_generation_is_positive_on_the_wire_whatever_its_sign_inside(site: Site) -> None:
    campus = campus_of(site)
    plant = build_plant(campus, "steady", 1)
    device = site.device("PV-01")
    index = plant.names["pv0.power_w"]
    plant.force(index, 9e6)
    for scale in (1.0, -1.0):
        point = replace(device.profile.point("active_power"), scale=scale)
        other = replace(device, profile=replace(device.profile, points=(point,)))
        slots = device_slots(plant, other, site_roles(site)["PV-01"], campus.parameters)
        assert slots.slots[0].raw(plant) == 9_000_000


def test_a_device_without_a_part_is_refused_when_asked_for(site: Site) -> None:
    spare = replace(site.device("MTR-01"), id="MTR-99", port=15099)
    wider = replace(site, devices=(*site.devices, spare))
    with pytest.raises(PlantError, match="nothing in the site file says"):
        WireHost(wider, HostOptions(start_utc_ns=1_690_000_000_000_000_000))
    with pytest.raises(PlantError, match="no such device"):
        WireHost(site, HostOptions(devices=("MTR-77",), start_utc_ns=1_690_000_000_000_000_000))


def test_a_bms_that_no_battery_has_room_for_is_refused(site: Site) -> None:
    spare = replace(site.device("BMS-01"), id="BMS-99", port=15099)
    with pytest.raises(PlantError, match="more than the 2 batteries"):
        site_roles(replace(site, devices=(*site.devices, spare)))
