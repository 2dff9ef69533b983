"""`edgectl receipt`: one tenant's records, with the proof that they are in the signed ledger."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edgectl.errors import ReceiptError
from edgectl.ledger import Ledger, data_dir
from edgectl.ledger.verify import find_files, site_of
from edgectl.reports.receipt import make_receipt

EPILOG = """\b
The tenant checks it with nothing of edgectl, and with the public key they were once given:
  verify_ledger.py receipt FILE --key KEY
It has the corrections of its time that were appended up to the signed head it rests on.

\b
exit status
  0  written
  2  no such tenant, no such time, or not signed yet
  6  the ledger cannot be read
"""


def receipt(
    tenant: Annotated[str, typer.Option("--tenant", help="Id, as the site file has it.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    from_utc: Annotated[str, typer.Option("--from", help="UTC: 2026-11-01, 2026-11-01T08:00.")],
    to_utc: Annotated[str, typer.Option("--to", help="UTC, not included.")],
    corrected_to: Annotated[
        str | None,
        typer.Option(
            "--corrected-to",
            help="UTC: rest on the first signed head from then on, with the corrections up to it. "
            "[half an hour after --to, else the newest head]",
        ),
    ] = None,
    ledger: Annotated[
        Path | None,
        typer.Option("--ledger", help="Its directory. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", help="Site's id, where the directory has several.")
    ] = None,
) -> None:
    """Write one tenant's records with their proof, and nothing of other tenants."""
    directory = data_dir(ledger)
    name = site or _only_site(directory)
    with Ledger(name, directory, read_only=True) as opened:
        until_s = None if corrected_to is None else seconds(corrected_to)
        content = make_receipt(opened, tenant, seconds(from_utc), seconds(to_utc), until_s)
    output.write_bytes(content)
    typer.echo(f"{output}: {len(content)} bytes, the receipt of {tenant} at {name}")


def seconds(text: str) -> int:
    """UTC seconds of an ISO date or time. Raises ReceiptError."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReceiptError(
            where="receipt",
            problem=f"{text!r} is not a date or time",
            because="A receipt is for a time that both sides read alike.",
            remedy="Write 2026-11-01 or 2026-11-01T08:00:00; without an offset it is UTC.",
        ) from error
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def _only_site(directory: Path) -> str:
    sites = sorted({site_of(each) for each in find_files(directory)})
    if len(sites) != 1:
        raise ReceiptError(
            where=str(directory),
            problem=f"it holds ledgers of several sites: {', '.join(sites)}",
            because="A receipt is of one site.",
            remedy="Name it: --site ID.",
        )
    return sites[0]
