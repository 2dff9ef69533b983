"""`edgectl probe`: ask one device who it is and what it says. Reads only."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edgectl.cli import probe_outstanding, probe_view
from edgectl.cli.device_parts import (
    AS_JSON,
    BAUD,
    GAP_MS,
    PARITY,
    STOP_BITS,
    TARGET,
    address_of,
    one_line,
    progress,
)
from edgectl.cli.page import console, table
from edgectl.commissioning import sunspec_profile
from edgectl.commissioning.client import DeviceError, Line
from edgectl.commissioning.identify import shipped_profiles
from edgectl.commissioning.probe import Probed, all_units, first_unit
from edgectl.commissioning.probe import probe as probe_unit
from edgectl.commissioning.sweep import Found, on_line
from edgectl.errors import IdentityError
from edgectl.profiles import Profile, load_profile

NS_PER_MS = 1e6

EPILOG = """\b
Without --unit the usual units are tried: 1, 255, 0, 247, 3, 2, 126. Nothing is ever written.
--outstanding sends 2, 4 and 8 reads at once, some tens of times, and proposes max_outstanding
of the profile. That is a strain on the device: not beside a controller that runs.
--write-profile puts a SunSpec device into the form of profiles, without commands; look it
through, then: edgectl profile lint FILE.toml

\b
exit status
  0  the device is known: a profile's identity agrees (with --profile: that one's, if it has one)
  1  it cannot be reached, or nobody answers; --outstanding could not find out
  2  command line or profile refused; no device was contacted
  3  it answers, and is none that the profiles know; or not the one of --profile

\b
examples
  edgectl probe 192.168.10.20
  edgectl probe 192.168.10.20:1502 --unit 3 --profile meter/eastron-sdm630
  edgectl probe 192.168.10.20 --outstanding
  edgectl probe /dev/ttyUSB0 --baud 9600 --parity even --unit 3
  edgectl probe 192.168.10.30 --write-profile inverter-roof.toml
"""


def probe(
    target: TARGET,
    unit: Annotated[int | None, typer.Option(min=0, max=255, help="Modbus unit id.")] = None,
    every_unit: Annotated[
        bool, typer.Option("--all-units", help="Who answers, at every unit id.")
    ] = False,
    profile: Annotated[
        str | None, typer.Option(help="Read the points of this one, whatever its identity says.")
    ] = None,
    write_profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what SunSpec tells as a profile.")
    ] = None,
    all_points: Annotated[
        bool,
        typer.Option("--all-points", help="With --write-profile: also points not implemented now."),
    ] = False,
    outstanding: Annotated[
        bool,
        typer.Option("--outstanding", help="How many requests at once does it take? Strains it."),
    ] = False,
    timeout_ms: Annotated[int, typer.Option(min=10, max=60_000, help="Of one reply.")] = 1000,
    gap_ms: GAP_MS = 0,
    baud: BAUD = 9600,
    parity: PARITY = "even",
    stop_bits: STOP_BITS = 1,
    as_json: AS_JSON = False,
) -> None:
    """Ask one device who it is, which profile fits, and what each point says."""
    address = address_of(target, baud, parity, stop_bits)
    if write_profile is not None and (write_profile.exists() or write_profile.suffix != ".toml"):
        what = "is there already" if write_profile.exists() else "does not end in .toml"
        raise typer.BadParameter(f"{write_profile} {what}; nothing was contacted")
    if every_unit and (unit is not None or profile or write_profile or outstanding):
        raise typer.BadParameter("--all-units stands alone")
    if outstanding:
        probe_outstanding.checked(address, write_profile is not None)
    profiles = shipped_profiles()
    wanted = load_profile(profile) if profile else None
    with Line(address, timeout_ms, gap_ms=gap_ms) as line:
        line.open()
        if every_unit:
            _every_unit(line, profiles, as_json)
            return
        probed = _probed(line, unit, profiles, wanted)
        told = not as_json or write_profile is not None
        if told:
            probe_view.show(console(), line, probed, readings=write_profile is None)
        strained = probe_outstanding.measured(line, probed, told) if outstanding else {}
        if not told:
            said = {"address": str(address), **probe_view.as_json(probed), **strained}
            print(json.dumps(said))
        if write_profile is not None:
            _write(line, probed, write_profile, all_points, as_json)
            return
    if not probed.fits and (wanted is None or wanted.probes):
        raise typer.Exit(IdentityError.exit_code)


def _probed(
    line: Line, unit: int | None, profiles: list[Profile], wanted: Profile | None
) -> Probed:
    """The unit asked for, or the first that answers. Raises DeviceError when nobody does."""
    found = first_unit(line) if unit is None else unit
    probed = probe_unit(line, found, profiles, wanted) if found is not None else None
    if probed is None or probed.absent is not None:
        why = probed.absent.text if probed and probed.absent else "no answer at the usual units"
        raise DeviceError(
            where=f"{line.address}" + (f" unit {unit}" if unit is not None else ""),
            problem=f"nobody answers: {why}",
            because="The connection stands, so it is the unit id, the line behind a gateway, or "
            "the settings of a serial line.",
            remedy="Try --all-units, a longer --timeout-ms, or the other --baud and --parity.",
        )
    return probed


def _every_unit(line: Line, profiles: list[Profile], as_json: bool) -> None:
    """Who answers at each unit id, one line each."""
    units = all_units(line.address)
    with progress() as begin:
        told = begin(len(units), "units")
        found = [each for each in on_line(line, units, profiles, told) if each.probed]
    if as_json:
        listed = [unit_json(each) for each in found]
        print(json.dumps({"address": str(line.address), "units": listed}))
    else:
        made = table(["device", "", "units"])
        alike: dict[tuple[str, str], list[int]] = {}
        for each in found:
            if each.probed is not None:
                alike.setdefault(one_line(each), []).append(each.probed.unit)
        for (what, note), numbers in alike.items():
            made.add_row(what, note, spans(numbers))
        console().print(made)
        same = len(alike) == 1 and len(found) == len(units)
        ignored = "; it seems to ignore the unit id" if same else ""
        print(f"{len(found)} of {len(units)} units answer at {line.address}{ignored}")
    if not found:
        raise typer.Exit(DeviceError.exit_code)
    if not all(each.probed and each.probed.fits for each in found):
        raise typer.Exit(IdentityError.exit_code)


def spans(numbers: list[int]) -> str:
    """Numbers with runs of them put together: 1-3, 247."""
    runs: list[list[int]] = []
    for each in sorted(numbers):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def unit_json(found: Found) -> dict[str, object]:
    """One line of a table of units as plain data."""
    what, note = one_line(found)
    probed = found.probed
    return {
        "address": str(found.address),
        "unit": probed.unit if probed else None,
        "profile": probed.profile.name if probed and probed.profile else None,
        "device": what,
        "note": note,
        "round_trip_ms": round(found.round_trip_ns / NS_PER_MS, 3),
    }


def _write(line: Line, probed: Probed, path: Path, keep_all: bool, as_json: bool) -> None:
    """Write the profile of what SunSpec told. Raises DeviceError when it told nothing."""
    chain = probed.chain
    if chain is None:
        raise DeviceError(
            where=f"{line.address} unit {probed.unit}",
            problem="no SunSpec map: there is nothing to write a profile of",
            because="Only SunSpec devices describe their own registers.",
            remedy="For another device start from its manual: tools/new_profile.",
        )
    day = datetime.now(UTC).date()
    written = sunspec_profile.write(chain, probed.unit, line.round_trip_max_ns, keep_all, day)
    if written.differs:
        raise DeviceError(
            where=f"{line.address} unit {probed.unit}",
            problem=f"read back, {', '.join(written.differs)} would have another value",
            because="A profile that says something else than the device is worse than none.",
            remedy="Send the output of --json to whoever maintains edgectl.",
        )
    path.write_text(written.text)
    left_out = {why: len(names) for why, names in written.drafted.left_out.items()}
    if as_json:
        points = len(written.profile.points)
        print(json.dumps({"file": str(path), "points": points, "left_out": left_out}))
        return
    print(f"\n{path}: {len(written.profile.points)} points, each reads back what the device said")
    for why, count in left_out.items():
        print(f"  left out {count}: {why}")
    print(f"next: read it through, then edgectl profile lint {path}")
