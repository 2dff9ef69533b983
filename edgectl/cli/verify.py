"""`edgectl verify LEDGER`: is the ledger whole, in order, and as it was signed?"""

import json
import os
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edgectl.errors import EdgectlError, LedgerError
from edgectl.ledger.heads import HeadError, TreeHead, parse_document
from edgectl.ledger.keys import load_public
from edgectl.ledger.verify import Result
from edgectl.ledger.verify import verify as verify_ledger

EPILOG = """\b
Without --key the ledger is held against its own word only. Without --head a ledger that was
rolled back, or written anew by whoever has the key, looks like an honest younger one: keep heads
outside. tools/verify_ledger.py checks the same with nothing of edgectl.

\b
exit status
  0  good: every record, head and page
  1  bad: the first bad record is named
  2  could not be read: no ledger, no key, no head there
"""


def verify(
    ledger: Annotated[Path, typer.Argument(metavar="LEDGER", help="Its directory, or a file.")],
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key that must have signed.")
    ] = None,
    head: Annotated[
        list[Path] | None,
        typer.Option("--head", help="A head kept elsewhere: a file, or a witness's directory."),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="Earlier months lie elsewhere.")
    ] = False,
    stocks: Annotated[
        bool, typer.Option(help="Follow what batteries hold, over restarts too.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object as the last line.")] = (
        False
    ),
) -> None:
    """Check that a ledger is whole, in order, and as it was signed."""
    try:
        public = load_public(key) if key else None
        pinned = [each for path in head or [] for each in read_heads(path)]
        results = verify_ledger(
            ledger, public, pinned, processes_for(ledger), partial=partial, stocks=stocks
        )
    except EdgectlError as error:
        if as_json:
            print(json.dumps({"good": None, "error": error.problem}))
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for result in results:
        typer.echo(as_text(result), err=as_json)
    if as_json:
        found = [asdict(each) for each in results]
        good = all(each.good for each in results)
        print(json.dumps(found[0] if len(found) == 1 else {"good": good, "ledgers": found}))
    if not all(each.good for each in results):
        raise typer.Exit(1)


LARGE_BYTES = 20_000_000  # below it, one process is done before others have started


def processes_for(ledger: Path) -> int:
    """How many to verify with: several only where they are worth their start."""
    files = ledger.glob("*.sqlite") if ledger.is_dir() else [ledger]
    large = sum(each.stat().st_size for each in files if each.exists()) > LARGE_BYTES
    return min(4, os.cpu_count() or 1) if large else 1


def read_heads(path: Path) -> list[TreeHead]:
    """Heads of a file, or of every file of a witness's directory. Raises LedgerError."""
    files = sorted(path.glob("*.head.json")) if path.is_dir() else [path]
    try:
        heads = [parse_document(each.read_bytes()) for each in files]
    except (OSError, HeadError) as error:
        raise _no_head(path, str(error)) from error
    if not heads:
        raise _no_head(path, "there is none in it")
    return heads


def _no_head(path: Path, problem: str) -> LedgerError:
    return LedgerError(
        where=str(path),
        problem=f"no signed head can be read: {problem}",
        because="It was to pin the ledger to what somebody else saw of it.",
        remedy="Give a SITE-NUMBER.head.json of a witness, or what MQTT retains in .../ledger.",
    )


def as_text(result: Result) -> str:
    """What was found, for people."""
    lines = []
    if result.good:
        key = f"key {result.key_id}" + ("" if result.pinned else ", not pinned")
        lines.append(
            f"{result.ledger}: good. {result.records} records in {result.files} files, "
            f"{result.heads} signed heads ({key}), {result.pages} pages, {result.seconds} s"
        )
        lines.append(f"  root {result.root}")
        if result.restarts_followed:
            lines.append(
                f"  what batteries hold follows, over {result.restarts_followed} restarts too"
            )
        if result.seconds_unfollowed:
            lines.append(
                f"  before {result.seconds_unfollowed} seconds scans are missing: what batteries "
                "hold cannot be followed there"
            )
    else:
        record = "" if result.bad_seq is None else f"record {result.bad_seq}"
        if record and result.bad_utc_s:
            when = datetime.fromtimestamp(result.bad_utc_s, UTC)
            record += f", {when:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"{result.ledger}: BAD. " + ": ".join(filter(None, (record, result.bad))))
        lines.append(f"  {result.records} records before it were read.")
        lines.append("  Keep the files as they are, and compare with a copy or a witness.")
    lines += [
        f"  record {each['seq']}: {each['meter']} was changed at "
        f"{datetime.fromtimestamp(each['at_utc_s'], UTC):%Y-%m-%d %H:%M:%S} UTC, from "
        f"{each['last_old_kwh']} to {each['first_new_kwh']} kWh, signed by key {each['key_id']} "
        f"({each['by']}: {each['reason']}"
        + (f"; against the counter, as {each['force']})" if each["force"] else ")")
        for each in result.changes
    ]
    return "\n".join([*lines, *(f"  note: {note}" for note in result.notes)])
