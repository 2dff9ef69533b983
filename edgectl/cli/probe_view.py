"""What `edgectl probe` prints, and its JSON."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edgectl.cli.device_parts import shown
from edgectl.cli.page import STYLES, table
from edgectl.commissioning import identify
from edgectl.commissioning.client import EXCEPTIONS, Failure, Line
from edgectl.commissioning.probe import OBJECTS, Probed
from edgectl.commissioning.reading import Reading

NS_PER_MS = 1e6
KNOWN_BY = {True: "green", False: "yellow"}


def show(console: Console, line: Line, probed: Probed, readings: bool = True) -> None:
    """The whole report on one unit, the verdict first and its proof below."""
    console.print(_heading(line, probed))
    tables = [_refused(probed), _chain(probed), _candidates(probed)]
    if readings:
        tables.append(_points(probed))
    for each in tables:
        if each.row_count:
            console.print()
            console.print(each)
    if readings and probed.readings:
        good = sum(each.good for each in probed.readings)
        console.print(f"\n{len(probed.readings)} points, {good} good")


def _heading(line: Line, probed: Probed) -> Text:
    slowest = line.round_trip_max_ns / NS_PER_MS
    text = Text.assemble(
        (f"{line.address} unit {probed.unit}", "bold"),
        (f"  {line.requests} requests, slowest reply {slowest:.1f} ms\n", "dim"),
    )
    rows = [("profile", _verdict(probed))]
    profile = probed.profile
    if profile is not None:
        models = ", ".join(profile.models)
        rows.append(("device", Text(f"{profile.vendor}: {models}; {profile.device_class}")))
        rows.append(("source", Text(profile.source)))
        if probed.unit not in profile.units:
            units = ", ".join(map(str, profile.units))
            rows.append(("unit", Text(f"the profile lists {units}, not {probed.unit}", "yellow")))
    if probed.firmware is not None:
        style = "green" if probed.firmware.held else "yellow"
        rows.append(("firmware", Text(probed.firmware.text, style)))
    rows.append(("says", Text(_says(probed))))
    for at, (name, row) in enumerate(rows):
        text.append(f"{name:9} ", "dim")
        text.append_text(row)
        text.append("" if at == len(rows) - 1 else "\n")
    return text


def _verdict(probed: Probed) -> Text:
    profile, matches = probed.profile, probed.matches
    if profile is None and matches:
        names = ", ".join(each.name for each in matches)
        return Text(f"several fit alike: {names}; choose with --profile", "yellow")
    if profile is None and (code := probed.refuses_all):
        what = f"exception {code}, {EXCEPTIONS.get(code, 'unknown')}"
        hint = "perhaps nobody has this unit id, see --all-units"
        return Text(f"none: every read is refused with {what}; {hint}", "yellow")
    if profile is None:
        return Text("none: no shipped profile's identity agrees", "yellow")
    text = Text.assemble((profile.name, "bold"), "  ", (profile.verified, STYLES[profile.verified]))
    if probed.fits:
        text.append(f"  identity agrees, {len(profile.probes)} probes", "green")
    elif profile.probes:
        text.append("  its identity does NOT agree; read because you named it", "red")
    else:
        text.append("  has no identity; read because you named it", "yellow")
    others = [each.name for each in matches if each.name != profile.name]
    if others:
        text.append(f"; also fits {', '.join(others)}")
    return text


def _says(probed: Probed) -> str:
    """The device's own words."""
    said = []
    chain = probed.chain
    if chain is not None:
        common = (("maker", "Mn"), ("model", "Md"), ("version", "Vr"), ("serial", "SN"))
        said += [f"{name} {chain.common[key]}" for name, key in common if chain.common.get(key)]
    objects = probed.identification
    if isinstance(objects, Failure):
        said.append(f"no device identification (function 43): {objects.text}")
    else:
        named = ((OBJECTS.get(key, f"object {key}"), text) for key, text in objects.items())
        listed = [f"{name} {text}" for name, text in named if text]
        said += listed or ["nothing by device identification (function 43)"]
    return "; ".join(said)


def _refused(probed: Probed) -> Table:
    made = table(["profile", "read", "wanted", "got"], "Not this, by the first probe that refused")
    for each in sorted(probed.verdicts, key=lambda verdict: verdict.profile.name):
        if each.probe is not None:
            probe, answer = each.probe, each.answer
            code = answer.code if isinstance(answer, Failure) else 0
            made.add_row(
                Text(each.profile.name, "dim"),
                identify.printed_read(probe.function, probe.address, probe.count),
                Text(identify.printed_expectation(probe)),
                Text(f"exception {code}" if code else identify.printed_answer(answer)),
            )
    return made


def _chain(probed: Probed) -> Table:
    chain = probed.chain
    made = table(["model", "name", "address>", "length>", "length is"], "SunSpec chain")
    if chain is None:
        return made
    for each in chain.models:
        style = "" if each.verdict in ("ok", "") else "yellow"
        made.add_row(
            str(each.id), each.label, str(each.address), str(each.length),
            Text(each.verdict or "not checked", style),
        )  # fmt: skip
    if chain.problem:
        made.add_row("", Text(chain.problem, "yellow"), "", "", "")
    elif chain.models:
        made.add_row("", "end of chain", str(chain.models[-1].end), "", "")
    return made


def _candidates(probed: Probed) -> Table:
    made = table(
        ["profile", "proved", "first values", "known by"],
        "Candidates: no identity to know them by; compare values with the device's display",
    )
    for each in probed.candidates:
        proved = each.profile.verified
        made.add_row(
            each.profile.name,
            Text(proved, STYLES[proved]),
            f"{each.good} of {each.asked} believable",
            each.profile.identity_none,
        )
    return made


def _points(probed: Probed) -> Table:
    made = table(["point", "value>", "register", "raw", "quality"], "Points")
    for each in probed.readings:
        made.add_row(
            each.point.name,
            shown(each.value, each.point.unit),
            register(each),
            " ".join(f"{word:04X}" for word in each.words),
            Text("good", "dim") if each.good else Text(each.reason, "yellow"),
        )
    return made


def register(reading: Reading) -> str:
    """Where a point stands, and its type."""
    point = reading.point
    place = identify.printed_read(point.function, point.address, 1)
    bit = f".{point.bit}" if point.type == "bit" and point.function > 2 else ""
    factor = "" if point.sf_address is None else f" 10^@{point.sf_address}"
    return f"{place}{bit} {point.type}{factor}"


def as_json(probed: Probed) -> dict[str, Any]:
    """One unit's report as plain data."""
    chain, objects = probed.chain, probed.identification
    return {
        "unit": probed.unit,
        "profile": probed.profile.name if probed.profile else None,
        "verified": probed.profile.verified if probed.profile else None,
        "identity": probed.fits,
        "matches": [each.name for each in probed.matches],
        "refused": [
            {
                "profile": each.profile.name, "function": each.probe.function,
                "address": each.probe.address,
                "wanted": identify.printed_expectation(each.probe),
                "got": identify.printed_answer(each.answer),
            }
            for each in probed.verdicts if each.probe is not None
        ],
        "candidates": [
            {"profile": each.profile.name, "asked": each.asked, "good": each.good}
            for each in probed.candidates
        ],
        "firmware": probed.firmware.version if probed.firmware else None,
        "firmware_held": probed.firmware.held if probed.firmware else None,
        "named": probed.named,
        "identification": {} if isinstance(objects, Failure) else {
            OBJECTS.get(key, f"object {key}"): text for key, text in objects.items()
        },
        "sunspec": None if chain is None else {
            "base": chain.base, "problem": chain.problem, "common": chain.common,
            "models": [
                {"model": m.id, "name": m.label, "address": m.address, "length": m.length,
                 "verdict": m.verdict}
                for m in chain.models
            ],
        },
        "points": [reading_json(each) for each in probed.readings],
    }  # fmt: skip


def reading_json(reading: Reading) -> dict[str, Any]:
    """One reading; a value that there is not is null."""
    point = reading.point
    known = reading.value == reading.value
    return {
        "name": point.name, "value": reading.value if known else None, "unit": point.unit,
        "good": reading.good, "reason": reading.reason, "words": list(reading.words),
        "function": point.function, "address": point.address, "type": point.type,
    }  # fmt: skip
