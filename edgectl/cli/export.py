"""`edgectl export`: every second of a ledger as columns, for DuckDB, Spark or ClickHouse."""

from pathlib import Path
from typing import Annotated

import typer

from edgectl.cli.ledger_parts import (
    From,
    LedgerDirectory,
    SiteId,
    To,
    open_ledger,
    period_said,
    writable,
)
from edgectl.errors import ReportError
from edgectl.reports.parquet import export as export_parquet
from edgectl.reports.period import period_of

EPILOG = """\b
A folder a month: seconds, paths, tenants, as booked; corrections.parquet, what they add to the
paths in changes.parquet, and heads.parquet. What is exported proves nothing by itself: edgectl
verify checks the ledger it came from.

\b
exit status
  0  written
  2  refused: the folder holds something, no such time, or pyarrow is missing
  6  the ledger cannot be read

\b
example
  edgectl export --parquet --ledger edgectl-data -o parquet/
  duckdb -c "SELECT source, sum(energy_mj) FROM 'parquet/paths/**/*.parquet' GROUP BY 1"
"""


def export(
    output: Annotated[Path, typer.Option("-o", "--output", help="New or empty folder.")],
    parquet: Annotated[bool, typer.Option("--parquet", help="As Parquet files.")] = False,
    ledger: LedgerDirectory = None,
    site: SiteId = None,
    from_utc: From = None,
    to_utc: To = None,
) -> None:
    """Write seconds, paths, tenants, corrections and signed heads as columns."""
    if not parquet:
        raise _refused("no form was named", "Say --parquet, the one form there is.")
    if output.exists() and any(output.iterdir()):
        raise _refused(f"{output} is not empty", "Name a new folder: two exports do not mix.")
    with open_ledger(ledger, site) as opened:
        from_s, to_s = period_of(opened, *period_said(from_utc, to_utc))
        with writable(output):
            written = export_parquet(opened, output, from_s, to_s)
    typer.echo(f"{output}: " + ", ".join(f"{rows} {name}" for name, rows in written.items()))


def _refused(problem: str, remedy: str) -> ReportError:
    return ReportError(
        where="export", problem=problem, because="Nothing was written.", remedy=remedy
    )
