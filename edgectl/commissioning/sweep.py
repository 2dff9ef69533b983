"""Who answers Modbus in a range of addresses: bounded, one connection a host, reads only."""

import ipaddress
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from edgectl.commissioning import identify
from edgectl.commissioning.client import Address, DeviceError, Line, TcpAddress, not_an_address
from edgectl.commissioning.identify import Asker
from edgectl.commissioning.probe import Probed, recognise, usual_units
from edgectl.profiles.model import Profile

HOSTS_MAX = 4096  # a /20
WORKERS_MAX = 64
UNITS_MAX = 256


@dataclass(frozen=True, slots=True)
class Plan:
    """What to try at each address.

    ports   one after the other
    units   None: the usual ones, up to the first that answers
    """

    ports: tuple[int, ...]
    units: tuple[int, ...] | None
    timeout_ms: int
    connect_timeout_ms: int
    gap_ms: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """One address that takes connections.

    probed  None where nobody answers Modbus
    silent  what it did instead
    """

    address: Address
    probed: Probed | None
    round_trip_ns: int
    silent: str = ""


@dataclass(slots=True)
class Sweep:
    """What a sweep found, in the order of the range; and how many addresses did not answer."""

    found: list[Found] = field(default_factory=list)
    hosts: int = 0
    away: int = 0
    why_away: str = ""  # of the last host that is not there

    @property
    def answering(self) -> list[Found]:
        """Those that answer Modbus."""
        return [each for each in self.found if each.probed is not None]


def parse_range(text: str) -> list[str]:
    """Hosts of a range: 192.168.10.0/24, 192.168.10.20-40, a-b, a host; several with commas.

    Raises ValueError when it is no range, or of more than HOSTS_MAX hosts.
    """
    hosts: dict[str, None] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        for host in _hosts(part):
            hosts[host] = None
            if len(hosts) > HOSTS_MAX:
                raise ValueError(f"more than {HOSTS_MAX} hosts; a /20 is the most")
    if not hosts:
        raise ValueError("no host in it")
    return list(hosts)


def _hosts(part: str) -> Sequence[str]:
    if ":" in part:
        raise ValueError(f"{part} has a port; give it as --port {part.rpartition(':')[2]}")
    if "/" in part:
        network = ipaddress.IPv4Network(part, strict=False)
        if network.num_addresses > HOSTS_MAX:
            raise ValueError(f"{part} has {network.num_addresses} addresses; a /20 is the most")
        return [str(each) for each in network.hosts()]
    first, _, last = part.rpartition("-")
    try:
        low = ipaddress.IPv4Address(first)
    except ValueError:
        if not_an_address(part):
            raise ValueError(f"{part} is no IP address") from None
        return [part]  # a name, which may have a dash in it, or one address
    high = ipaddress.IPv4Address(last if "." in last else f"{first.rpartition('.')[0]}.{last}")
    if high < low:
        raise ValueError(f"{part} ends before it begins")
    if int(high) - int(low) >= HOSTS_MAX:
        raise ValueError(f"{part} has {int(high) - int(low) + 1} addresses; a /20 is the most")
    return [str(ipaddress.IPv4Address(each)) for each in range(int(low), int(high) + 1)]


def parse_numbers(text: str, low: int, high: int) -> tuple[int, ...]:
    """Numbers with commas, and ranges of them: 1,2,247 or 1-32. ValueError when they are none."""
    numbers: dict[int, None] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        first, dash, last = part.partition("-")
        ends = (int(first), int(last) if dash else int(first))
        if not low <= ends[0] <= ends[1] <= high:
            raise ValueError(f"{part} is not within {low} to {high}")
        numbers.update(dict.fromkeys(range(ends[0], ends[1] + 1)))
    if not numbers:
        raise ValueError("no number in it")
    return tuple(numbers)


def sweep(
    hosts: Sequence[str],
    plan: Plan,
    profiles: Sequence[Profile],
    told: Callable[[], None] = lambda: None,
) -> Sweep:
    """Try every host; `told` is called as each is done.

    A host that refuses or does not take connections is counted, and is no error.
    """
    result = Sweep(hosts=len(hosts))
    by_host: dict[str, tuple[list[Found], str]] = {}
    with ThreadPoolExecutor(min(WORKERS_MAX, len(hosts))) as workers:
        tasks = {workers.submit(_host, host, plan, profiles): host for host in hosts}
        try:
            for done in as_completed(tasks):
                by_host[tasks[done]] = done.result()
                told()
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise
    for host in hosts:
        found, why = by_host[host]
        result.found += found
        if not found:
            result.away, result.why_away = result.away + 1, why
    return result


def _host(host: str, plan: Plan, profiles: Sequence[Profile]) -> tuple[list[Found], str]:
    """All ports of one host, one connection at a time; why the last that is away is."""
    found, why = [], ""
    for port in plan.ports:
        address = TcpAddress(host, port)
        with Line(address, plan.timeout_ms, plan.connect_timeout_ms, plan.gap_ms) as line:
            try:
                line.open()
            except DeviceError as error:
                why = error.problem
                continue
            found += on_line(line, plan.units, profiles)
    return found, why


def on_line(
    line: Line,
    units: Sequence[int] | None,
    profiles: Sequence[Profile],
    told: Callable[[], None] = lambda: None,
) -> list[Found]:
    """Every unit of one open connection or serial line that answers; one without `probed` if none.

    units  None: the usual ones, up to the first that answers
    """
    found, silent = [], ""
    usual = usual_units(line.address)
    for unit in usual if units is None else units:
        line.round_trip_max_ns = 0
        asker = Asker(line, unit)
        patience = 1 if units is None and unit != usual[0] else len(identify.HELLOS)
        absent = asker.hello(patience)
        silent = silent or (absent.text if absent else "")
        if absent is None:
            probed = recognise(asker, profiles, whole=False)
            if not probed.matches and not probed.named and probed.chain is None:
                probed.candidates = identify.candidates(asker, profiles)
            found.append(Found(line.address, probed, line.round_trip_max_ns))
            if units is None:
                break
        told()
    return found or [Found(line.address, None, 0, silent)]
