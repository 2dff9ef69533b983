"""One site's plant put together for the wire: traces, start hour, physics, devices."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edgectl.errors import PlantError
from edgectl.plant.boundary import Boundary
from edgectl.plant.campus import build_plant
from edgectl.plant.commands import Commands
from edgectl.plant.der_settings import FIRST, DerSetting, check_der_settings
from edgectl.plant.registers import device_slots
from edgectl.plant.roles import campus_of, site_roles
from edgectl.plant.start import demo_start_utc_ns
from edgectl.plant.traces import open_traces
from edgectl.plant.wire import Pace, WireDevice, WirePlant
from edgectl.plant.wiring import SOUND, Wiring
from edgectl.site_model.model import Device, Site


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How to run a plant.

    data           directory of traces; None: built-in climatology
    seed           of every draw
    devices        ids to serve; None: all that have a part to play
    scenario       "demo" or "steady"
    start_utc_ns   None: the hour the demonstration picks
    wiring         faults of the devices' connections
    der_settings   converters' settings that are not the defaults
    """

    data: Path | None = None
    seed: int = 1
    devices: tuple[str, ...] | None = None
    scenario: str = "demo"
    start_utc_ns: int | None = None
    wiring: Wiring = SOUND
    der_settings: tuple[DerSetting, ...] = ()


def demo_start(site: Site, data: Path | None) -> int:
    """UTC ns at which a plant of this site and data starts by itself.

    Whoever feeds the controller its grid intensity starts its own clock there.
    """
    campus = campus_of(site)
    traces = open_traces(data, site.zone)
    boundary = Boundary(traces, campus.place, campus.parameters, campus.it_buses)
    return demo_start_utc_ns(campus, boundary, site.carbon.high_g_per_kwh)


class WireHost:
    """A site's plant, ready to be served. Nothing listens before wire().start()."""

    def __init__(self, site: Site, options: HostOptions) -> None:
        """Read the traces, pick the start and build the physics at rest.

        Raises DataError for unusable traces, PlantError for a device or point without physics.
        """
        self.site = site
        self.options = options
        campus = campus_of(site)
        self.traces = open_traces(options.data, site.zone)
        boundary = Boundary(self.traces, campus.place, campus.parameters, campus.it_buses)
        self.start_utc_ns = options.start_utc_ns
        if self.start_utc_ns is None:
            self.start_utc_ns = demo_start_utc_ns(campus, boundary, site.carbon.high_g_per_kwh)
        self.plant = build_plant(campus, options.scenario, options.seed)
        self.commands = Commands(self.plant, site)
        self.pace = Pace(self.plant, boundary, self.start_utc_ns)
        roles = site_roles(site)
        options.wiring.check(roles)
        check_der_settings(options.der_settings, _with_settings(site))
        self.devices = [
            WireDevice(
                device_slots(
                    self.plant,
                    each,
                    roles[options.wiring.stands_for(each.id)],
                    campus.parameters,
                    options.wiring,
                ),
                self.plant,
                self.commands,
                [own for own in options.der_settings if own.device == each.id],
            )
            for each in _wanted(site, options.devices)
        ]

    @property
    def start_utc(self) -> datetime:
        """When the simulated clock started."""
        return datetime.fromtimestamp((self.start_utc_ns or 0) / 1e9, UTC)

    def wire(self) -> WirePlant:
        """The servers, for the running asyncio loop."""
        return WirePlant(self.devices, self.pace)


def _with_settings(site: Site) -> list[str]:
    """Ids of the devices whose SunSpec chain ends in the models of their settings."""
    return [
        each.id
        for each in site.devices
        if any(probe.alternatives[0][0] == FIRST for probe in each.profile.probes)
    ]


def _wanted(site: Site, ids: tuple[str, ...] | None) -> list[Device]:
    """The devices to serve; every one asked for must be there and have a role."""
    roles = site_roles(site)
    known = {each.id: each for each in site.devices}
    for each in known if ids is None else ids:
        if each not in known:
            raise PlantError(
                where=f"--devices {each}",
                problem=f"the site {site.id} has no such device",
                because="A device that nobody serves looks like a failed one.",
                remedy=f"Choose from {', '.join(known)}.",
            )
        if each not in roles:
            raise PlantError(
                where=f"{site.path}: device {each}",
                problem="nothing in the site file says what it measures or moves",
                because="The plant would not know what to show there.",
                remedy="Name one of its points in a [[load]], [[pv]], [[battery]] or [grid].",
            )
    return [known[each] for each in (known if ids is None else ids)]
