"""`edgectl scan`: who answers Modbus in a range of addresses, or on a serial line. Reads only."""

import json
import time
from typing import Annotated

import typer

from edgectl.cli.device_parts import (
    AS_JSON,
    BAUD,
    GAP_MS,
    PARITY,
    STOP_BITS,
    checked_parity,
    one_line,
    progress,
)
from edgectl.cli.page import console, table
from edgectl.cli.probe import NS_PER_MS, unit_json
from edgectl.commissioning.client import PORT, DeviceError, Line, SerialAddress
from edgectl.commissioning.identify import shipped_profiles
from edgectl.commissioning.sweep import (
    Found,
    Plan,
    Sweep,
    on_line,
    parse_numbers,
    parse_range,
    sweep,
)
from edgectl.profiles import Profile

SERIAL_UNITS = "1-32"
UNIT_MAX = 255

EPILOG = """\b
RANGE is 192.168.10.0/24, 192.168.10.20-40, one host, or several of them with commas; 4096
addresses at most. Up to 64 hosts are tried at once, each with one connection at a time.
Nothing is ever written. Ask whoever runs the network before you scan it.

\b
exit status
  0  somebody answers
  1  nobody answers, or the serial port does not open
  2  range or command line refused; nothing was contacted

\b
examples
  edgectl scan 192.168.10.0/24
  edgectl scan 192.168.10.20-40 --port 502,1502 --units 1,2,247
  edgectl scan --serial /dev/ttyUSB0 --baud 19200 --parity none --units 1-32
"""


def scan(
    where: Annotated[
        str | None, typer.Argument(metavar="RANGE", help="Addresses to try; see below.")
    ] = None,
    port: Annotated[str, typer.Option(help="TCP ports, with commas.")] = str(PORT),
    units: Annotated[
        str | None,
        typer.Option(help="Unit ids: 1,2,247 or 1-32. Without: the usual, up to one that answers."),
    ] = None,
    serial: Annotated[str | None, typer.Option(help="A serial port instead of RANGE.")] = None,
    timeout_ms: Annotated[int, typer.Option(min=10, max=60_000, help="Of one reply.")] = 500,
    connect_timeout_ms: Annotated[
        int, typer.Option(min=10, max=60_000, help="Of one connection.")
    ] = 500,
    gap_ms: GAP_MS = 0,
    baud: BAUD = 9600,
    parity: PARITY = "even",
    stop_bits: STOP_BITS = 1,
    as_json: AS_JSON = False,
) -> None:
    """Find who answers Modbus, and say of each in one line who it is."""
    if (where is None) == (serial is None):
        raise typer.BadParameter("give either RANGE or --serial")
    try:
        hosts = [] if where is None else parse_range(where)
        plan = Plan(
            parse_numbers(port, 1, 0xFFFF),
            parse_numbers(units, 0, UNIT_MAX) if units else None,
            timeout_ms,
            connect_timeout_ms,
            gap_ms,
        )
    except ValueError as error:
        raise typer.BadParameter(f"{error}; nothing was contacted") from error
    profiles = shipped_profiles()
    start_s = time.monotonic()
    if serial is not None:
        address = SerialAddress(serial, baud, checked_parity(parity), stop_bits)
        wanted = plan.units or parse_numbers(SERIAL_UNITS, 0, UNIT_MAX)
        result = _serial(Line(address, timeout_ms, gap_ms=gap_ms), wanted, profiles)
    else:
        with progress() as told:
            result = sweep(hosts, plan, profiles, told(len(hosts), "hosts"))
    _show(result, time.monotonic() - start_s, as_json)
    if not result.answering:
        raise typer.Exit(DeviceError.exit_code)


def _serial(line: Line, units: tuple[int, ...], profiles: list[Profile]) -> Sweep:
    """Every unit of a serial line."""
    with line, progress() as told:
        line.open()
        found = on_line(line, units, profiles, told(len(units), "units"))
    answering = [each for each in found if each.probed is not None]
    return Sweep(answering, len(units), len(units) - len(answering))


def _show(result: Sweep, took_s: float, as_json: bool) -> None:
    if as_json:
        devices = [unit_json(each) for each in result.found]
        tried = {"tried": result.hosts, "away": result.away, "why_away": result.why_away}
        print(json.dumps({**tried, "devices": devices}))
        return
    made = table(["address", "unit>", "device", "", "reply>"])
    for each in result.found:
        what, note = one_line(each)
        made.add_row(_address(each), _unit(each), what, note, _reply(each))
    if result.found:
        console().print(made)
    silent = len(result.found) - len(result.answering)
    mute = f", {silent} only take connections" if silent else ""
    why = f": {result.why_away}" if result.hosts == 1 and result.why_away else ""
    print(
        f"{len(result.answering)} answer{mute}, {result.away} of {result.hosts} tried are not there"
        f"{why}; {took_s:.1f} s"
    )


def _address(found: Found) -> str:
    return found.address.path if isinstance(found.address, SerialAddress) else str(found.address)


def _unit(found: Found) -> str:
    return str(found.probed.unit) if found.probed else ""


def _reply(found: Found) -> str:
    return f"{found.round_trip_ns / NS_PER_MS:.1f} ms" if found.probed else ""
