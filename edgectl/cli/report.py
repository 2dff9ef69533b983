"""`edgectl report`: what the ledger says of a period, for people, programs and verifiers."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from edgectl.cli.ledger_parts import (
    From,
    LedgerDirectory,
    SiteId,
    To,
    open_ledger,
    optional_site,
    period_said,
    writable,
)
from edgectl.cli.verify import processes_for, read_heads
from edgectl.errors import ReportError
from edgectl.ledger import Ledger
from edgectl.ledger.keys import load_public
from edgectl.ledger.verify import Result, find_files, site_of, verify
from edgectl.reports.books import Books, read_books
from edgectl.reports.certificates import certificates
from edgectl.reports.corrected import corrected
from edgectl.reports.declared import Declared, load_declared, lots_of
from edgectl.reports.document import Asked, make_document
from edgectl.reports.evidence import Pack, make_pack, write_pack
from edgectl.reports.extras import need
from edgectl.reports.page import html_of, pictures_of, write_pdf
from edgectl.reports.period import period_of
from edgectl.reports.tables import write_csv, write_xlsx
from edgectl.site_model import Site

FORMS = ("html", "pdf", "json", "csv", "xlsx", "certificates", "evidence")
SITE_ALONE = ("certificates", "evidence")  # they show the whole site, not one tenant

PACKAGES = {
    "html": ("jinja2", "matplotlib"), "pdf": ("jinja2", "matplotlib", "weasyprint"),
    "xlsx": ("openpyxl",), "evidence": ("jinja2", "weasyprint"),
}  # fmt: skip

EPILOG = """\b
The ledger is verified first; the verdict, the root and the key stand on page one. One that does
not verify is refused, unless --unverified: then every page says so.
Forms: html, pdf, json, csv (hourly), xlsx, certificates (EnergyTag-shaped JSON), evidence (a
CBAM-style pack, which claims no compliance: data-centre services are not CBAM goods today).

\b
exit status
  0  written
  1  the ledger does not verify, and --unverified was not given
  2  refused: no such tenant or time, a file declared wrongly, or a package is missing
  6  the ledger cannot be read
  9  a contract that can claim nothing, or claims what another one does

\b
examples
  edgectl report --ledger edgectl-data --site demo -o report/ --key demo.key.pub
  edgectl report --ledger edgectl-data --site demo --tenant aurora --only html,pdf -o aurora/
"""


@dataclass(frozen=True, slots=True)
class Sources:
    """What every form is made from."""

    ledger: Ledger
    books: Books
    site: Site | None
    declared: Declared
    document: dict[str, Any]
    seed: int
    schema: Path | None


def report(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")],
    ledger: LedgerDirectory = None,
    site: SiteId = None,
    from_utc: From = None,
    to_utc: To = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Of one tenant; nothing of the others.")
    ] = None,
    only: Annotated[
        str | None, typer.Option("--only", help=f"Of {','.join(FORMS)}; all without.")
    ] = None,
    declared: Annotated[
        Path | None, typer.Option("--declared", help="What the operator declares: TOML.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option("--key", help="Public key that must have signed.")
    ] = None,
    head: Annotated[
        list[Path] | None, typer.Option("--head", help="A head kept elsewhere, as for verify.")
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Report on a ledger that does not verify, too.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the verifier's sample.")] = 1,
    cbam_xsd: Annotated[
        Path | None, typer.Option("--cbam-xsd", help="QReport_v19.00.xsd, to validate against.")
    ] = None,
) -> None:
    """Report on a period: energy, carbon, where it came from, and how well it is known."""
    forms = _forms(only, tenant)
    for form in forms:  # before minutes of verifying, and before the first file is written
        for package in PACKAGES.get(form, ()):
            need(package, form)
    said, declared_sha256 = load_declared(declared)
    with open_ledger(ledger, site) as opened:
        verdict = _verdict(opened, key, head or [])
        if not verdict.good and not unverified:
            _refuse(verdict)
        model = optional_site(site, opened.site)
        from_s, to_s = period_of(opened, *period_said(from_utc, to_utc))
        booked = read_books(opened, from_s, to_s, _efficiencies(model))
        document = make_document(
            Asked(booked, verdict, int(time.time()), version("edgectl"), model, said,
                  declared_sha256, tuple(lots_of(said, declared.parent if declared else None)),
                  tenant)
        )  # fmt: skip
        sources = Sources(opened, corrected(booked), model, said, document, seed, cbam_xsd)
        with writable(output):
            written = write_forms(sources, forms, output)
        for path in written:
            typer.echo(f"{path}: {path.stat().st_size} bytes")
    check = document["check"]
    typer.echo(
        f"parts equal totals: difference {check['difference_mj']} mJ, {check['difference_ug']} ug"
    )


def _forms(only: str | None, tenant: str | None) -> list[str]:
    if only is None:
        return [each for each in FORMS if tenant is None or each not in SITE_ALONE]
    forms = [each.strip() for each in only.split(",") if each.strip()]
    wrong = [each for each in forms if each not in FORMS]
    if wrong or not forms:
        raise _refused(f"--only {only!r}: no form {', '.join(wrong) or 'is named'}",
                       f"Name some of {', '.join(FORMS)}.")  # fmt: skip
    if tenant is not None and (shared := [each for each in forms if each in SITE_ALONE]):
        raise _refused(f"{', '.join(shared)} show the whole site, and --tenant one tenant",
                       "Ask for them without --tenant.")  # fmt: skip
    return forms


def _refused(problem: str, remedy: str) -> ReportError:
    return ReportError(where="report", problem=problem,
                       because="Nothing was written.", remedy=remedy)  # fmt: skip


def _verdict(opened: Ledger, key: Path | None, heads: list[Path]) -> Result:
    """Of this site's ledger; others may lie in the directory."""
    public = load_public(key) if key else None
    pinned = [each for path in heads for each in read_heads(path)]
    results = verify(opened.directory, public, pinned, processes_for(opened.directory))
    sites = list(dict.fromkeys(site_of(each) for each in find_files(opened.directory)))
    return results[sites.index(opened.site)]


def _refuse(verdict: Result) -> None:
    typer.echo(
        f"{verdict.ledger}: the ledger does not verify: {verdict.bad}\n"
        "  A report on it would look like one on a good ledger.\n"
        "  Find out why (edgectl verify), or report with --unverified, which says so in red.",
        err=True,
    )
    raise typer.Exit(1)


def _efficiencies(site: Site | None) -> dict[str, tuple[float, float]]:
    return {
        each.id: (each.charge_efficiency, each.discharge_efficiency)
        for each in (site.batteries if site else ())
    }


def write_forms(sources: Sources, forms: list[str], output: Path) -> list[Path]:
    """Write each form; the paths in order."""
    document = sources.document
    pictures = pictures_of(document) if {"html", "pdf"} & set(forms) else {}
    written = []
    writers: dict[str, tuple[str, Callable[[Path], object]]] = {
        "html": ("report.html", lambda path: path.write_text(html_of(document, pictures),
                                                             encoding="utf-8")),
        "pdf": ("report.pdf", lambda path: write_pdf(document, pictures, path)),
        "json": ("report.json", lambda path: _json(path, document)),
        "csv": ("report.csv", lambda path: write_csv(document, path)),
        "xlsx": ("report.xlsx", lambda path: write_xlsx(document, path)),
        "certificates": ("certificates.json", lambda path: _json(
            path, certificates(sources.books, sources.site, sources.declared))),
        "evidence": ("evidence.zip", lambda path: write_pack(make_pack(_pack(sources)), path)),
    }  # fmt: skip
    for form in forms:
        name, write = writers[form]
        write(output / name)
        written.append(output / name)
    return written


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _pack(sources: Sources) -> Pack:
    return Pack(sources.document, sources.ledger, sources.books, sources.site, sources.declared,
                sources.seed, sources.schema)  # fmt: skip
