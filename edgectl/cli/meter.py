"""`edgectl meter ...`: what a person states of a meter, signed, for the ledger.

The statement is put beside the ledger as a file; the services hold it against what the counter
last showed, answer, and make it a record. The controller is not touched.
"""

import json
import time
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from edgectl.cli.ledger_parts import seconds_of
from edgectl.cli.top import site_id_of
from edgectl.errors import MeterError, NoAnswerError, SiteFileError
from edgectl.ledger import data_dir
from edgectl.ledger.keys import key_id, load_private
from edgectl.ledger.seal import write_durably
from edgectl.ledger.signing import SigningPolicy, key_path
from edgectl.ledger.swap import NAME_DIGITS, SignedSwap, Statement, sign_swap, swaps_path
from edgectl.site_model import load_site

ANSWER_S = 10.0  # the services look twice a second
LOOK_S = 0.1

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def meters() -> None:
    """State that a meter was changed."""


SiteName = Annotated[str, typer.Argument(metavar="SITE", help="Site id, name or file.")]
MeterName = Annotated[
    str, typer.Argument(metavar="METER", help="MTR-02; MTR-02.energy_export of one with two.")
]
LastOld = Annotated[
    str, typer.Option("--last-old", help="The old meter's last reading, kWh, primary side.")
]
FirstNew = Annotated[
    str, typer.Option("--first-new", help="The new meter's first reading, kWh, primary side.")
]
Who = Annotated[str, typer.Option("--by", help="Who changed it.")]
Why = Annotated[str, typer.Option("--reason", help="Why it was changed.")]
When = Annotated[str | None, typer.Option("--at", help="UTC: 2026-11-01T08:00. [now]")]
Serial = Annotated[str, typer.Option(help="Its serial number.")]
Ratio = Annotated[str, typer.Option(help="Ratio set in the new meter, 400/5; for the record.")]
Force = Annotated[str, typer.Option("--force", help="Why it holds against the counter.")]
Key = Annotated[
    Path | None, typer.Option("--key", help="Private key that signs. [the ledger's own]")
]
Data = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The ledger's. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
]


@app.command()
def swap(
    site: SiteName, meter: MeterName, last_old: LastOld, first_new: FirstNew, by: Who, reason: Why,
    at: When = None, serial_old: Serial = "", serial_new: Serial = "", ct_ratio: Ratio = "",
    force: Force = "", key: Key = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask back.")] = False,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:  # fmt: skip
    """State, with a signature, that a meter was changed, and both meters' readings in kWh.

    Readings are kilowatt-hours as the meter's own display shows them, transformer ratios
    included, with all digits. The statement is held against the counter's last known value.
    Exit status: 0 in the ledger, 1 refused, 2 command line or key, 10 the services do not answer.
    """
    site_id, directory, now_s = site_id_of(site), data_dir(data), int(time.time())
    try:
        said = Statement(
            site=site_id, meter=meter, last_old=last_old, first_new=first_new,
            at_utc_s=seconds_of(at) if at else now_s, said_utc_s=now_s, by=by, reason=reason,
            force=force, serial_old=serial_old, serial_new=serial_new, ct_ratio=ct_ratio,
        )  # fmt: skip
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])).replace("_", "-")
        raise typer.BadParameter(f"--{where}: {first['msg']}") from error
    signer = load_private(key or _own_key(site, site_id, directory))
    if not yes:
        typer.confirm(asked_back(said), abort=True)
    refused, outcome = submit(sign_swap(said, signer), swaps_path(site_id, directory))
    if as_json:
        answer = {"site": site_id, "meter": meter, "done": not refused, "refused": refused or None,
                  "outcome": outcome or None, "key_id": key_id(signer.public)}  # fmt: skip
        typer.echo(json.dumps(answer))
    else:
        text = f"refused: {refused}" if refused else outcome
        typer.echo(f"{meter}: {text}", err=bool(refused))
    if refused:
        raise typer.Exit(1)


def asked_back(said: Statement) -> str:
    """What will be signed, for a last look."""
    old, new = (f"{Decimal(each):,}".replace(",", " ")
                for each in (said.last_old, said.first_new))  # fmt: skip
    when = datetime.fromtimestamp(said.at_utc_s).astimezone()
    ratio = f", transformer {said.ct_ratio}" if said.ct_ratio else ""
    return (
        f"{said.meter} of {said.site}, changed at {when:%Y-%m-%d %H:%M:%S %Z} by {said.by}:\n"
        f"  old meter {said.serial_old or '(no serial number)'} ended at  {old} kWh\n"
        f"  new meter {said.serial_new or '(no serial number)'} begins at {new} kWh{ratio}\n"
        "Sign this?"
    )


def submit(signed: SignedSwap, folder: Path, wait_s: float = ANSWER_S) -> tuple[str, str]:
    """Hand a statement to the services: why it was refused, or what came of it.

    Raises MeterError where nobody answers in time, or the folder cannot be written.
    """
    path = folder / f"{signed.digest[:NAME_DIGITS]}.swap"
    answer = path.with_suffix(".answer")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        answer.unlink(missing_ok=True)
        write_durably(path, signed.document())
        end_s = time.monotonic() + wait_s
        while not answer.exists():
            if time.monotonic() > end_s:
                raise _unanswered(path, wait_s)
            time.sleep(LOOK_S)
        said = json.loads(answer.read_bytes())
        answer.unlink()
    except OSError as error:
        raise MeterError(
            where=str(folder),
            problem=f"the statement cannot be put there: {error.strerror}",
            because="The services read it from beside the ledger.",
            remedy="Run it as somebody who may write there, or name it with --data-dir.",
        ) from error
    return str(said["refused"]), str(said["outcome"])


def _unanswered(path: Path, wait_s: float) -> MeterError:
    return NoAnswerError(
        where=str(path),
        problem=f"the services did not answer within {wait_s:g} s",
        because="They take the statement once they and a controller run, and the ledger is whole.",
        remedy="Leave it there and look into the log for meter.changed; or delete it.",
    )


def _own_key(site: str, site_id: str, directory: Path) -> Path:
    """The ledger's signing key, as the site file or the data directory has it."""
    try:
        policy = SigningPolicy(load_site(site).ledger.key)
    except SiteFileError:
        policy = SigningPolicy()
    return key_path(policy, site_id, directory)
