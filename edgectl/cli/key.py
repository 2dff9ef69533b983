"""`edgectl key ...`: make, rotate and export the keys that sign a ledger."""

import fcntl
from pathlib import Path

import typer

from edgectl.ledger import Ledger, data_dir
from edgectl.ledger.clock import clock_state
from edgectl.ledger.keys import generate, key_id, load_private, next_path, public_pem, unreadable
from edgectl.ledger.signing import KeyRing
from edgectl.ledger.verify import find_files, site_of

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

KEY = typer.Argument(metavar="KEY", help="The private key's file.")


@app.command("generate")
def generate_key(key: Path = KEY) -> None:
    """Make an Ed25519 key pair: KEY, which only you can read, and KEY.pub.

    Name it in the site file as [ledger] signing_key. It should not lie beside the ledger.
    """
    signer = generate(key)
    typer.echo(f"{key}: key {key_id(signer.public)}; give {key}.pub to those who verify")


@app.command()
def rotate(
    key: Path = KEY,
    ledger: Path = typer.Option(
        None, "--ledger", help="Its directory. [$EDGECTL_DATA_DIR, else ./edgectl-data]"
    ),
) -> None:
    """Make the key that follows KEY. The old one signs that it does, and is kept.

    Where services write the ledger, they hand over at their next signed head.
    """
    old = load_private(key)
    waiting = next_path(key)
    follower = load_private(waiting) if waiting.exists() else generate(waiting)
    directory = data_dir(ledger)
    (site,) = {site_of(each) for each in find_files(directory)}
    if _written_by_another(directory / f"{site}.lock"):
        typer.echo(
            f"{waiting}: key {key_id(follower.public)} waits; the running services hand over to "
            f"it from {key_id(old.public)} at their next signed head"
        )
        return
    with Ledger(site, directory) as opened:
        ring = KeyRing(key)
        ring.settle(opened)
        heads = ring.sign(opened, "key", clock_state())
    if not heads:
        raise unreadable(directory, "the ledger has no record yet to hand over with")
    typer.echo(
        f"{key}: key {key_id(ring.signer.public)} follows {key_id(old.public)}, as head "
        f"{heads[0].number} says; give the new {key}.pub to those who verify"
    )


@app.command()
def export(
    key: Path = KEY,
    output: Path = typer.Option(None, "-o", "--output", help="File; else standard output."),
) -> None:
    """Write the public half of KEY, in PEM."""
    signer = load_private(key)
    if output is None:
        typer.echo(public_pem(signer.public).decode(), nl=False)
        typer.echo(f"key {key_id(signer.public)}", err=True)
    else:
        output.write_bytes(public_pem(signer.public))
        typer.echo(f"{output}: public key {key_id(signer.public)}")


def _written_by_another(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
