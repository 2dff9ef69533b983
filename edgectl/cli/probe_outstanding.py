"""`edgectl probe --outstanding`: how many requests at once a device takes, as people read it."""

from typing import Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from edgectl.cli.device_parts import MISSING, progress
from edgectl.cli.page import console, table
from edgectl.commissioning.client import NS_PER_MS, Address, Line, SerialAddress
from edgectl.commissioning.outstanding import NUMBERS, ROUNDS, Tally, Trouble
from edgectl.commissioning.outstanding_verdict import Outstanding, Proposal, outstanding
from edgectl.commissioning.probe import Probed
from edgectl.profiles.model import Profile

INDENT = 10  # of the report's left column
MEANS = {
    Trouble.LOST: "It drops what comes together with another request, or while it works on one.",
    Trouble.LATE: "It answers one after the other, and the last of them too late. It may take more "
    "with a longer --timeout-ms.",
    Trouble.MIXED: "It does not keep apart what belongs to which request. Where two reads are of "
    "one length the field bus could take one's registers for the other's.",
    Trouble.UNASKED: "It gives replies ids that it was not asked with, or answers twice. The field "
    "bus would close the connection each time.",
    Trouble.REFUSED: "It says itself that it does not take so many.",
    Trouble.BROKEN: "What it sends are no replies to what it was asked. The field bus would close "
    "the connection, or read again, each time.",
    Trouble.CLOSED: "It gives up the connection. Each time the field bus would have to connect and "
    "identify it anew.",
}


def checked(address: Address, writes_profile: bool) -> None:
    """Refuse what cannot be asked; typer.BadParameter before anything is contacted."""
    if isinstance(address, SerialAddress):
        raise typer.BadParameter(
            f"--outstanding is for TCP; a serial line such as {address.path} carries one request "
            "at a time"
        )
    if writes_profile:
        raise typer.BadParameter(
            "--outstanding and --write-profile are two steps: write the profile, then probe with "
            "--profile FILE --outstanding"
        )


def measured(line: Line, probed: Probed, show: bool) -> dict[str, Any]:
    """Find out, print it if asked, and give it as plain data. Raises DeviceError."""
    with progress() as begin:
        told = begin(len(NUMBERS) * ROUNDS, "rounds of reads at once")
        found = outstanding(line, probed, told)
    if show:
        _show(console(), line, found, probed.profile)
    return {"outstanding": as_json(found)}


def _show(page: Console, line: Line, found: Outstanding, profile: Profile | None) -> None:
    page.print()
    if found.tallies:
        page.print(_numbers(found))
    rows = [*_findings(line, found), *_change(found.proposal, profile)]
    lines = Table.grid(padding=(0, 1, 0, 0))
    lines.add_column(width=INDENT - 1, style="dim")
    lines.add_column(overflow="fold")
    for name, text in rows:
        lines.add_row(name, text)
    page.print(Padding(lines, (1 if found.tallies else 0, 0, 0, 0)))


def _numbers(found: Outstanding) -> Table:
    made = table(
        ["at once>", "replies>", "in order", "slowest>", "a read>", "rounds>", "what went wrong"],
        "Requests at once on one connection",
    )
    for each in found.tallies:
        read = f"{each.read_ns / NS_PER_MS:.2f} ms" if each.read_ns else MISSING
        made.add_row(
            str(each.at_once), f"{each.answered} of {each.asked}", _order(each),
            f"{each.slowest_ns / NS_PER_MS:.1f} ms", read, str(each.rounds),
            Text(_troubles(each), "red") if each.troubles else Text("nothing", "green"),
        )  # fmt: skip
    return made


def _order(tally: Tally) -> str:
    if tally.at_once == 1 or tally.answered < 2:
        return MISSING
    return f"{tally.out_of_order} were not" if tally.out_of_order else "yes"


def _troubles(tally: Tally) -> str:
    listed = (f"{name.value} {times}" for name, times in tally.troubles.items())
    return f"{', '.join(listed)}, in {tally.failed} of {tally.rounds} rounds"


def _findings(line: Line, found: Outstanding) -> list[tuple[str, Text]]:
    """What it takes, how it fails, and how far that can be believed."""
    rows = []
    best, failed = found.greatest, found.failed
    if best is not None:
        text = f"{best.at_once} at once: every reply with its own id and length within "
        if best.at_once == 1:
            text = "one at a time: every reply within "
        text += f"{line.timeout_ms} ms"
        if best.out_of_order:
            text += ", not in order: the field bus knows them by their ids"
        elif best.at_once > 1:
            text += ", in order"
        rows.append(("takes", Text(text, "green" if best.at_once > 1 else "yellow")))
    if failed is not None:
        worst = failed.kind
        rows.append((f"at {failed.at_once}", Text(f"{worst.value}: {failed.first}", "red")))
        rows.append(("", Text(MEANS[worst])))
        if found.after:
            text = f"and does not answer any more, not even singly: {found.after}"
            rows.append(("since", Text(text, "red")))
        else:
            rows.append(("since", Text("it answers singly as before")))
    if found.samples:
        rows.append(("reads", Text(_reads(found))))
    return rows


def _reads(found: Outstanding) -> str:
    counts = [each.count for each in found.samples]
    listed = ", ".join(map(str, sorted(counts)))
    text = f"{len(counts)} different ones, of {listed} registers"
    if len(set(counts)) < len(counts):
        text += "; of those of one length a mix-up may not show"
    words = sum(map(bool, (mask for each in found.samples for mask in each.constant)))
    if words:
        return f"{text}; {words} registers that never change were compared with single reads"
    return f"{text}; no register is known never to change, so no contents were compared"


def _change(proposal: Proposal, profile: Profile | None) -> list[tuple[str, Text]]:
    """The lines of the profile to change, or why none is."""
    if proposal.max_outstanding == 1:
        return [("leave", Text(f"max_outstanding = 1; {proposal.why}", "bold"))]
    where = f"[modbus] of {profile.name}" if profile else "[modbus] of its profile"
    rows = [("change", Text(f"in {where}:"))]
    lines: list[tuple[str, int | None, int | None]] = [
        ("max_outstanding", proposal.max_outstanding, profile.outstanding_max if profile else None),
        ("reply_ms", proposal.reply_ms, None),
        ("timeout_ms", proposal.timeout_ms, profile.timeout_ns // NS_PER_MS if profile else None),
    ]
    if profile is not None and profile.reply_ns < profile.timeout_ns:
        lines[1] = ("reply_ms", proposal.reply_ms, profile.reply_ns // NS_PER_MS)
    for name, value, before in lines:
        text = Text(f"    {name} = {value}", "bold")
        if before is not None:
            text.append("   as it is" if value == before else f"   was {before}", "not bold dim")
        rows.append(("", text))
    alone = "It holds where the device has its connection to itself; behind a gateway the field "
    rows.append(("", Text(f"{alone}bus sends one request at a time.", "dim")))
    return rows


def as_json(found: Outstanding) -> dict[str, Any]:
    """The same as plain data."""
    best, proposal = found.greatest, found.proposal
    return {
        "takes": best.at_once if best else None,
        "answers_singly_afterwards": not found.after,
        "reads": [
            {"function": each.function, "address": each.address, "count": each.count,
             "constant_registers": sum(map(bool, each.constant))}
            for each in found.samples
        ],
        "numbers": [tally_json(each) for each in found.tallies],
        "proposal": {
            "max_outstanding": proposal.max_outstanding, "reply_ms": proposal.reply_ms,
            "timeout_ms": proposal.timeout_ms, "why": proposal.why,
        },
    }  # fmt: skip


def tally_json(tally: Tally) -> dict[str, Any]:
    """One number of requests at once."""
    return {
        "at_once": tally.at_once, "passed": tally.passed, "rounds": tally.rounds,
        "rounds_failed": tally.failed, "asked": tally.asked, "answered": tally.answered,
        "out_of_order": tally.out_of_order,
        "slowest_ms": round(tally.slowest_ns / NS_PER_MS, 3),
        "read_ms": round(tally.read_ns / NS_PER_MS, 3) if tally.read_ns else None,
        "troubles": {name_of(each): times for each, times in tally.troubles.items()},
        "first_trouble": tally.first,
    }  # fmt: skip


def name_of(trouble: Trouble) -> str:
    """As JSON has it: lost, late, mixed."""
    return trouble.name.lower()
