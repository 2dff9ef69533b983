"""`edgectl profile ...`: what the profiles say about devices. Contacts no device."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from edgectl.cli import page
from edgectl.errors import Problem, ProfileError
from edgectl.profiles import INT64_MAX, Point, Probe, Profile, load_profile, profile_names
from edgectl.profiles.numbers import version_text

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}

EPILOG = """\b
exit status
  0  done; with lint: every file is sound
  2  a profile was refused; all problems are listed, the worst first
"""

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

AS_JSON = Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")]


@app.command("list", epilog=EPILOG)
def list_(as_json: AS_JSON = False) -> None:
    """List the profiles that ship with edgectl."""
    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        print(json.dumps({"profiles": [summary(each) for each in profiles]}))
        return
    listed = page.table(["profile", "models", "proved", "pts", "cmds", "known by"])
    for each in profiles:
        listed.add_row(
            each.name,
            f"{each.vendor}: {', '.join(each.models)}",
            Text(each.verified, style=page.STYLES[each.verified]),
            str(len(each.points)),
            str(len(each.commands)),
            f"{len(each.probes)} probes" if each.probes else "nothing",
        )
    page.console().print(listed)


@app.command(epilog=EPILOG)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="class/vendor-model, or a path.")],
    as_json: AS_JSON = False,
) -> None:
    """Show one profile: identity, read plan, points and commands in SI units."""
    profile = load_profile(name)
    if as_json:
        print(json.dumps(summary(profile) | details(profile)))
        return
    console = page.console()
    console.print(heading(profile))
    for table in (_identity(profile), _blocks(profile), _points(profile), _commands(profile)):
        if table.row_count:
            console.print()
            console.print(table)


@app.command(epilog=EPILOG)
def lint(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Profile files, or folders of them.")
    ],
    as_json: AS_JSON = False,
) -> None:
    """Check profile files; prints every problem of every file."""
    files = [file for path in paths for file in _files(path)]
    refused: dict[str, Sequence[Problem]] = {}
    for file in files:
        try:
            load_profile(str(file))
        except ProfileError as error:
            refused[str(file)] = error.problems
    if not files:
        refused[", ".join(map(str, paths))] = [_no_file(paths)]
    problems = [each for found in refused.values() for each in found]
    if as_json:
        listed = [
            {"where": p.where, "problem": p.problem, "because": p.because, "remedy": p.remedy}
            for p in problems
        ]
        print(json.dumps({"ok": not problems, "files": len(files), "problems": listed}))
    else:
        for each in problems:
            print(each, file=sys.stderr)
        print(
            f"{_counted(len(files), 'file')}, {len(refused)} refused, "
            f"{_counted(len(problems), 'problem')}"
        )
    if problems:
        raise typer.Exit(ProfileError.exit_code)


def _files(path: Path) -> list[Path]:
    """The profile files that an argument of lint names."""
    return sorted(path.rglob("*.toml")) if path.is_dir() else [path]


def _no_file(paths: Sequence[Path]) -> Problem:
    return Problem(
        ", ".join(map(str, paths)),
        "there is no profile file here",
        "A check that read nothing must not look like one that found nothing.",
        "Name a file, or a folder with .toml files in it.",
    )


def firmware_text(profile: Profile) -> str:
    """Versions that the map holds for, and what else the file says of them."""
    if profile.firmware is None:
        return profile.firmware_note or "nothing is known of versions"
    ranges = (
        f"{version_text(low)} up to {version_text(high)}" for low, high in profile.firmware.ranges
    )
    return f"{', '.join(ranges)}, read at {profile.firmware.address}; others are never written"


def heading(profile: Profile) -> Text:
    """What the file says about itself and how it talks to the device."""
    order = "low word first" if profile.low_first else "high word first"
    gaps = "legal" if profile.gaps_legal else "illegal"
    lines = [
        f"{profile.vendor}: {', '.join(profile.models)}; {profile.device_class}\n",
        f"source    {profile.source}\n",
        f"firmware  {firmware_text(profile)}\n",
        f"modbus    units {', '.join(map(str, profile.units))}; {order}; "
        f"at most {profile.max_registers} registers, gaps {gaps}; "
        f"timeout {profile.timeout_ns // NS_PER_MS} ms\n",
        f"identity  none: {profile.identity_none}\n" if profile.identity_none else "",
    ]
    return Text.assemble(
        (profile.name, "bold"), "  ", (profile.verified, page.STYLES[profile.verified]), "\n",
        *lines, (f"sha256    {profile.sha256}", "dim"),
    )  # fmt: skip


def expected(probe: Probe) -> str:
    """What a probe must read, as text or in words."""
    if probe.text is not None:
        return repr(probe.text)
    listed = [" ".join(f"{word:04X}" for word in words) for words in probe.alternatives]
    whole = all(bits == 0xFFFF for bits in probe.mask)
    under = "" if whole else " under " + " ".join(f"{bits:04X}" for bits in probe.mask)
    return " or ".join(listed) + under


def _identity(profile: Profile) -> Table:
    listed = page.table(["table", "address", "must read", "source"], "Identity")
    for each in profile.probes:
        listed.add_row(TABLES[each.function], str(each.address), expected(each), each.source)
    return listed


def _blocks(profile: Profile) -> Table:
    listed = page.table(["table", "from", "count", "every", "points"], "Read plan")
    for each in profile.blocks:
        every = "scan" if each.every == 1 else f"{each.every} scans"
        listed.add_row(
            TABLES[each.function], str(each.address), str(each.count), every,
            str(len(each.points)),
        )  # fmt: skip
    return listed


def meaning(point: Point) -> str:
    """How raw becomes the value."""
    factor = "" if point.scale == 1 else f"raw * {point.scale:g}"
    power = "" if point.sf_address is None else f" * 10^@{point.sf_address}"
    offset = f" + {point.offset:g}" if point.offset else ""
    return f"{factor or 'raw'}{power}{offset} {point.unit}"


def _points(profile: Profile) -> Table:
    listed = page.table(["point", "table", "address", "type", "value", "valid", "stale"], "Points")
    for each in profile.points:
        listed.add_row(
            each.name,
            TABLES[each.function],
            str(each.address) + (f" ({each.printed})" if each.printed else ""),
            each.type + (f" {each.bit}" if each.type == "bit" else ""),
            meaning(each),
            f"{each.valid_min:g} to {each.valid_max:g}",
            f"{each.stale_after_ns / NS_PER_S:g} s",
        )
    return listed


def _commands(profile: Profile) -> Table:
    listed = page.table(["command", "fn", "address", "valid", "refresh", "reverts", "read-back"],
                        "Commands")  # fmt: skip
    for each in profile.commands:
        listed.add_row(
            each.name,
            str(each.function),
            f"{each.address}, {each.count} words",
            f"{each.valid_min:g} to {each.valid_max:g} {each.unit}",
            f"{each.refresh_ns / NS_PER_S:g} s",
            "not known" if each.revert_ns == INT64_MAX else f"{each.revert_ns / NS_PER_S:g} s",
            each.readback or f"none: {each.readback_none}",
        )
    return listed


def summary(profile: Profile) -> dict[str, Any]:
    """One line of `list --json`."""
    return {
        "name": profile.name,
        "class": profile.device_class,
        "vendor": profile.vendor,
        "models": list(profile.models),
        "verified": profile.verified,
        "source": profile.source,
        "sha256": profile.sha256,
        "points": len(profile.points),
        "commands": [each.name for each in profile.commands],
        "probes": len(profile.probes),
        "identity_none": profile.identity_none,
    }


def details(profile: Profile) -> dict[str, Any]:
    """What `show --json` adds."""
    return {
        "point": [
            {
                "name": each.name, "function": each.function, "address": each.address,
                "type": each.type, "unit": each.unit, "scale": each.scale,
                "offset": each.offset, "sentinel": each.sentinel,
                "valid": [each.valid_min, each.valid_max], "every_scans": each.every,
                "source": each.source,
            }
            for each in profile.points
        ],
        "block": [
            {"function": b.function, "address": b.address, "count": b.count, "every": b.every}
            for b in profile.blocks
        ],
        "identity": [
            {"function": p.function, "address": p.address, "expected": expected(p)}
            for p in profile.probes
        ],
    }  # fmt: skip


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
