"""`edgectl watch`: one device read over and over, without a controller. Reads only."""

import json
import math
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edgectl.cli.device_parts import AS_JSON, BAUD, MISSING, PARITY, STOP_BITS, address_of, shown
from edgectl.cli.page import console, table
from edgectl.commissioning.client import NS_PER_MS, DeviceError, Line, SerialAddress, TcpAddress
from edgectl.commissioning.identify import Asker, shipped_profiles, verdict
from edgectl.commissioning.probe import recognise
from edgectl.commissioning.reading import read_points
from edgectl.commissioning.watching import Track, Watcher
from edgectl.errors import IdentityError
from edgectl.profiles import Profile, load_profile
from edgectl.profiles.problems import did_you_mean
from edgectl.site_model.load import load_site, site_names
from edgectl.site_model.model import Device

NS_PER_S = 1e9

EPILOG = """\b
With one argument it is a device: HOST, HOST:PORT or a serial port; without --profile the device
is asked who it is. With two it is SITE DEVICE: address, unit and profile stand in the site file.
On a terminal the table is live, changes stand out, and Ctrl-C ends it; into a pipe or file goes
one line a cycle. Many devices take one connection only: a controller may lose its own to this.

\b
exit status
  0  stopped when asked, and the device answered at least once
  1  it cannot be reached, or never answered
  2  command line, profile or site file refused; no device was contacted
  3  without --profile: it is none that the profiles know

\b
examples
  edgectl watch 192.168.10.20 --profile meter/eastron-sdm630 --points active_power,frequency
  edgectl watch demo GRID-01
  edgectl watch 192.168.10.20 --seconds 60 --every-ms 500 > meter.log
"""


def watch(
    target: Annotated[
        str, typer.Argument(metavar="TARGET|SITE", help="HOST[:PORT], serial port, or a site.")
    ],
    device: Annotated[
        str | None, typer.Argument(metavar="DEVICE", help="Id of a device of SITE.")
    ] = None,
    profile: Annotated[str | None, typer.Option(help="class/vendor-model, or a path.")] = None,
    unit: Annotated[int | None, typer.Option(min=0, max=255, help="Modbus unit id.")] = None,
    points: Annotated[str | None, typer.Option(help="Only these, with commas.")] = None,
    every_ms: Annotated[int, typer.Option(min=20, max=3_600_000, help="One cycle.")] = 1000,
    seconds: Annotated[float | None, typer.Option(min=0, help="Stop after so long.")] = None,
    timeout_ms: Annotated[int, typer.Option(min=10, max=60_000, help="Of one reply.")] = 1000,
    baud: BAUD = 9600,
    parity: PARITY = "even",
    stop_bits: STOP_BITS = 1,
    as_json: AS_JSON = False,
) -> None:
    """Show each point's value, range and age, live."""
    known: Profile | None = None
    if device is not None:
        if profile is not None or unit is not None:
            raise typer.BadParameter("--profile and --unit come from the site file here")
        found = _of_site(target, device)
        line, unit, known = _line_of(found, timeout_ms), found.unit, found.profile
    elif target.endswith(".toml") or target in site_names():
        ids = ", ".join(sorted(each.id for each in load_site(target).devices))
        raise typer.BadParameter(f"{target} is a site: name a device of it. Known here: {ids}.")
    else:
        address = address_of(target, baud, parity, stop_bits)
        line, unit = Line(address, timeout_ms), 1 if unit is None else unit
        known = load_profile(profile) if profile else None
    _checked(points, known)
    with line:
        line.open()
        sure = known or _recognised(line, unit)
        names = _checked(points, sure)
        line.gap_ms = sure.gap_ns // NS_PER_MS
        agrees = verdict(Asker(line, unit), sure).matches if sure.probes else None
        watcher = Watcher(
            sure, names, lambda: read_points(line, unit, sure, names), time.monotonic_ns
        )
        _run(watcher, _Heading(line, unit, sure, agrees), every_ms, seconds)
    if as_json:
        print(json.dumps(_json(watcher, line, unit)))
    if watcher.failed == watcher.cycles:
        raise typer.Exit(DeviceError.exit_code)


def _of_site(site: str, device: str) -> Device:
    """A device of a site file. Raises SiteFileError for the file, BadParameter for the device."""
    devices = {each.id: each for each in load_site(site).devices}
    if device not in devices:
        raise typer.BadParameter(
            f"the site {site} has no device {device}. {did_you_mean(device, devices)}"
        )
    return devices[device]


def _line_of(device: Device, timeout_ms: int) -> Line:
    """A connection to where the site file says that the device is."""
    if device.line is not None:
        own = device.line
        return Line(SerialAddress(own.port, own.baud, own.parity, own.stop_bits), timeout_ms)
    return Line(TcpAddress(device.host, device.port), timeout_ms)


def _checked(points: str | None, profile: Profile | None) -> list[str] | None:
    """The names of --points; typer.BadParameter for one that the profile has not."""
    if points is None:
        return None
    names = [each.strip() for each in points.split(",") if each.strip()]
    known = [each.name for each in profile.points] if profile else names
    for each in names:
        if each not in known:
            raise typer.BadParameter(f"no point {each}. {did_you_mean(each, known)}")
    return names


def _recognised(line: Line, unit: int) -> Profile:
    """The profile that the device's identity agrees with. Raises DeviceError or IdentityError."""
    where = f"{line.address} unit {unit}"
    probed = recognise(Asker(line, unit), shipped_profiles(), whole=False)
    if probed.absent is not None:
        raise DeviceError(
            where=where,
            problem=f"nobody answers: {probed.absent.text}",
            because="There is nothing to watch.",
            remedy=f"Who is there? edgectl probe {line.address} --all-units",
        )
    if probed.profile is None:
        raise IdentityError(
            where=where,
            problem="no shipped profile's identity agrees, or several do",
            because="Registers mean nothing without a profile.",
            remedy=f"Choose one with --profile; edgectl probe {line.address} helps.",
        )
    return probed.profile


class _Heading:
    """What stands above the values."""

    def __init__(self, line: Line, unit: int, profile: Profile, agrees: bool | None) -> None:
        self.line, self.unit, self.profile, self.agrees = line, unit, profile, agrees

    def text(self, watcher: Watcher) -> Text:
        """Device, identity, cycles and round trip, as of the last cycle."""
        identity = {
            True: ("identity agrees", "green"),
            False: ("identity does NOT agree", "red"),
            None: ("has no identity to check", "yellow"),
        }[self.agrees]
        return Text.assemble(
            (f"{self.line.address} unit {self.unit}", "bold"), f"  {self.profile.name}  ", identity,
            (
                f"\ncycle {watcher.cycles}, {watcher.failed} without answer; took "
                f"{watcher.cycle_ns / NS_PER_MS:.1f} ms; slowest reply "
                f"{self.line.round_trip_max_ns / NS_PER_MS:.1f} ms",
                "dim",
            ),
        )  # fmt: skip


def _run(watcher: Watcher, heading: _Heading, every_ms: int, seconds: float | None) -> None:
    """Cycle after cycle on fixed deadlines, until time is up or Ctrl-C."""
    begun_s = next_s = time.monotonic()
    screen = console()
    live = Live(console=screen, auto_refresh=False) if screen.is_terminal else None
    if live is None:
        print(heading.text(watcher).plain.partition("\n")[0], flush=True)
    try:
        if live is not None:
            live.start()
        while True:
            watcher.cycle()
            if live is not None:
                live.update(Group(heading.text(watcher), "", _table(watcher)), refresh=True)
            else:
                print(_line(watcher), flush=True)
            next_s = max(next_s + every_ms / 1e3, time.monotonic())
            if seconds is not None and next_s - begun_s > seconds:
                return
            time.sleep(max(next_s - time.monotonic(), 0.0))  # a slow device's cycle may be over it
    except KeyboardInterrupt:
        pass
    finally:
        if live is not None:
            live.stop()


def _table(watcher: Watcher) -> Table:
    made = table(["point", "value>", "min>", "max>", "age>", "quality"])
    for each in watcher.tracks.values():
        unit = each.point.unit
        reading = each.reading
        style = "bold reverse" if each.changed(watcher.now_ns) else ""
        bad = reading is not None and not reading.good
        made.add_row(
            each.point.name,
            Text(shown(each.value, unit), "dim" if bad else style),
            shown(each.low, unit),
            shown(each.high, unit),
            _age(each, watcher.now_ns),
            Text(reading.reason if reading and bad else "good", "yellow" if bad else "dim"),
        )
    return made


def _age(track: Track, now_ns: int) -> str:
    """Since the last good value."""
    return MISSING if track.good_ns is None else f"{(now_ns - track.good_ns) / NS_PER_S:.1f} s"


def _line(watcher: Watcher) -> str:
    """One cycle: time, round trip, and name=value; a bad one with its reason."""
    moment = datetime.now(UTC).strftime("%H:%M:%S.%f")[:-3]
    parts = [f"{moment}Z {watcher.cycle_ns / NS_PER_MS:.1f} ms"]
    for each in watcher.tracks.values():
        reading = each.reading
        if reading is None or not reading.good:
            parts.append(f"{each.point.name}=({reading.reason if reading else 'not read'})")
        else:
            parts.append(f"{each.point.name}={shown(each.value, each.point.unit)}")
    return "  ".join(parts)


def _json(watcher: Watcher, line: Line, unit: int) -> dict[str, Any]:
    """What was seen, in SI; a value that there is not is null."""
    return {
        "address": str(line.address),
        "unit": unit,
        "cycles": watcher.cycles,
        "failed": watcher.failed,
        "round_trip_max_ms": round(line.round_trip_max_ns / NS_PER_MS, 3),
        "points": [
            {
                "name": each.point.name, "unit": each.point.unit, "value": _or_none(each.value),
                "min": _or_none(each.low), "max": _or_none(each.high),
                "good": each.good, "bad": each.bad,
            }
            for each in watcher.tracks.values()
        ],
    }  # fmt: skip


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
