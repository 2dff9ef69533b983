"""A site's grid code, and its inverters' settings read from them. Never writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from edgectl.commissioning.client import DeviceError, Line, SerialAddress, TcpAddress
from edgectl.commissioning.identify import Asker
from edgectl.commissioning.sunspec import discover
from edgectl.errors import Problem, SiteFileError
from edgectl.grid_code.audit import Finding, Requirement, audit, exit_status
from edgectl.grid_code.code import Rules, load_rules
from edgectl.grid_code.settings import Settings, read_settings
from edgectl.profiles.problems import RANK_REFERENCE, did_you_mean
from edgectl.site_model import Device, Site

UNREAD_STATUS = 2


@dataclass(frozen=True, slots=True)
class Audited:
    """One device. settings is None, and problem says why, where nothing could be read."""

    device: Device
    settings: Settings | None
    findings: tuple[Finding, ...]
    problem: str = ""

    @property
    def status(self) -> int:
        """0 all within, 1 something outside, 2 something could not be read."""
        return UNREAD_STATUS if self.settings is None else exit_status(self.findings)


def site_rules(site: Site) -> Rules:
    """The rules that hold for a site's inverters.

    Raises GridCodeError for an unknown or unsound grid code, SiteFileError where the site has
    none or prescribes a setting that the code has not.
    """
    code = site.grid_code
    if code is None:
        raise _refused(
            site,
            "there is no [grid_code]",
            'Add: [grid_code] standard = "ieee-1547-2018", category',
        )
    rules = load_rules(code.standard, code.category, site.path.parent)
    trips = {each.setting for each in rules.trips}
    known = trips | {each.setting for each in rules.values}
    for setting, _, time_s in code.required:
        if setting not in known:
            raise _refused(
                site, f"{rules.id} has no setting {setting}", did_you_mean(setting, known)
            )
        if time_s is not None and setting not in trips:
            raise _refused(site, f"{setting} has no time", "Give its value only.")
    return rules


def _refused(
    site: Site,
    problem: str,
    remedy: str,
    because: str = "Without it nobody can say what an inverter shall be set to.",
) -> SiteFileError:
    return SiteFileError(
        [
            Problem(
                f"{site.path.name} [grid_code]",
                problem,
                because,
                remedy,
                RANK_REFERENCE,
            )
        ]
    )


def audited_devices(site: Site, names: Sequence[str]) -> list[Device]:
    """The devices named, or all that the site audits. Raises SiteFileError for an unknown one."""
    code = site.grid_code
    known = [each.id for each in site.devices]
    wanted = list(names) or list(code.devices if code else ())
    for name in wanted:
        if name not in known:
            remedy = did_you_mean(name, known)
            raise _refused(site, f"the site has no device {name}", remedy, "Nothing was contacted.")
    return [site.device(name) for name in wanted]


def audit_device(site: Site, rules: Rules, device: Device, timeout_ms: int) -> Audited:
    """Connect, read what the grid code is about, compare. Faults of the world are values."""
    requirements = [
        Requirement(*each) for each in (site.grid_code.required if site.grid_code else ())
    ]
    with Line(address_of(device), timeout_ms) as line:
        try:
            line.open()
        except DeviceError as error:
            return Audited(device, None, (), f"cannot be reached: {error.problem}")
        asker = Asker(line, device.unit)
        chain = discover(asker)
        if chain is None or not chain.models:
            absent = asker.hello()
            why = f"no answer: {absent.text}" if absent else "no SunSpec map in it"
            return Audited(device, None, (), why)
    settings = read_settings(chain)
    return Audited(device, settings, audit(rules, requirements, settings))


def address_of(device: Device) -> TcpAddress | SerialAddress:
    """Where a device of a site answers."""
    own = device.line
    if own is not None:
        return SerialAddress(own.port, own.baud, own.parity, own.stop_bits)
    return TcpAddress(device.host, device.port)
