"""What verbs that read a ledger have in common: which one, which time, which site file."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from edgectl.errors import ReportError, SiteFileError
from edgectl.ledger import Ledger, data_dir
from edgectl.ledger.verify import find_files, site_of
from edgectl.site_model import Site, load_site

LedgerDirectory = Annotated[
    Path | None,
    typer.Option("--ledger", help="Its directory. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
]
SiteId = Annotated[
    str | None, typer.Option("--site", help="Site's id, or its file; the only one without.")
]
From = Annotated[str | None, typer.Option("--from", help="UTC: 2026-11-01, 2026-11-01T08:00.")]
To = Annotated[str | None, typer.Option("--to", help="UTC, not included.")]


def open_ledger(directory: Path | None, site: str | None) -> Ledger:
    """The ledger of a site, read only.

    site   its id or its file; None where the directory has one site only

    Raises ReportError where the directory has no such ledger, LedgerError where it has none.
    """
    chosen = data_dir(directory)
    sites = sorted({site_of(each) for each in find_files(chosen)})
    wanted = _id_of(site)
    if wanted is None and len(sites) == 1:
        wanted = sites[0]
    if wanted not in sites:
        raise ReportError(
            where=str(chosen),
            problem=f"it holds the ledger of {', '.join(sites)}, "
            + (f"not of {wanted}" if wanted else "and no site was named"),
            because="A report is of one site.",
            remedy=f"Name one that is there: --site {sites[0]}.",
        )
    return Ledger(wanted, chosen, read_only=True)


def _id_of(site: str | None) -> str | None:
    return load_site(site).id if site is not None and site.endswith(".toml") else site


def optional_site(said: str | None, site_id: str) -> Site | None:
    """The site file: the one that was named, else the shipped one of this id, else none."""
    if said is not None and said.endswith(".toml"):
        return load_site(said)
    try:
        found = load_site(site_id)
    except SiteFileError:
        return None
    return found if found.id == site_id else None


def period_said(from_utc: str | None, to_utc: str | None) -> tuple[int | None, int | None]:
    """What was asked for, in UTC seconds. Raises ReportError."""
    return (
        None if from_utc is None else seconds_of(from_utc),
        None if to_utc is None else seconds_of(to_utc),
    )


@contextmanager
def writable(folder: Path) -> Iterator[None]:
    """Make the folder; what the system refuses there is said as an error of ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ReportError(
            where=str(folder),
            problem=f"it cannot be written: {error.strerror or error}",
            because="What was written so far may be incomplete.",
            remedy="Free space, or name another folder with -o.",
        ) from error


def seconds_of(text: str) -> int:
    """UTC seconds of an ISO date or time. Raises ReportError."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError as error:
        raise ReportError(
            where="report",
            problem=f"{text!r} is not a date or time",
            because="A period is one that both sides read alike.",
            remedy="Write 2026-11-01 or 2026-11-01T08:00:00; without an offset it is UTC.",
        ) from error
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
