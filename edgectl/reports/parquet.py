"""Every second as columns, a folder a month, for DuckDB, Spark or ClickHouse.

OUT/seconds/month=2026-11/part-0.parquet    one row a record of a second
OUT/paths/...                               one row a second, source and sink
OUT/tenants/...                             one row a second and tenant
OUT/heads.parquet                           signed heads
OUT/corrections.parquet                     CORRECTION records about the period, one row each
OUT/changes.parquet                         what they add, one row a minute, source and sink

Seconds, paths and tenants are as booked. Paths and changes together are as corrected: the sums of
a report.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack

from edgectl.ledger import Kind, Ledger, Row
from edgectl.ledger.payload import unpacked
from edgectl.reports.books import read_books
from edgectl.reports.extras import need
from edgectl.reports.minutes import Change, concerns
from edgectl.reports.words import iso

BATCH_ROWS = 65_536
SECOND_FIELDS = (
    ("seq", "int64"), ("boot_id", "int64"), ("utc_s", "int64"), ("clock", "string"),
    ("scans", "int64"), ("gap_scans", "int64"), ("energy_mj", "int64"), ("carbon_ug", "int64"),
    ("measured", "int64"), ("estimated", "int64"), ("substituted", "int64"),
    ("used_min_mg_per_kwh", "int64"), ("used_max_mg_per_kwh", "int64"),
    ("carbon_default_scans", "int64"), ("grid_mean_w", "float64"), ("grid_min_w", "float64"),
    ("grid_max_w", "float64"), ("pue", "float64"),
)  # fmt: skip
PATH_FIELDS = (
    ("seq", "int64"), ("utc_s", "int64"), ("source", "string"), ("sink", "string"),
    ("energy_mj", "int64"), ("carbon_ug", "int64"),
)  # fmt: skip
TENANT_FIELDS = (
    ("seq", "int64"), ("utc_s", "int64"), ("tenant", "string"), ("energy_mj", "int64"),
    ("carbon_ug", "int64"), ("samples", "int64"), ("good_samples", "int64"),
)  # fmt: skip
HEAD_FIELDS = (
    ("number", "int64"), ("size", "int64"), ("root", "string"), ("utc_ns", "int64"),
    ("reason", "string"), ("key", "string"), ("signature", "string"),
)  # fmt: skip
CORRECTION_FIELDS = (
    ("seq", "int64"), ("utc_s", "int64"), ("boot_id", "int64"), ("tenant", "string"),
    ("name", "string"), ("is_source", "bool_"), ("meter", "string"), ("first_s", "int64"),
    ("last_s", "int64"), ("booked_mj", "int64"), ("energy_mj", "int64"),
    ("u_residual_mj", "int64"), ("grade", "string"), ("dark", "bool_"), ("reason", "string"),
    ("refers_to", "int64"), ("holds", "bool_"),
)  # fmt: skip
CHANGE_FIELDS = (
    ("utc_s", "int64"), ("source", "string"), ("sink", "string"), ("energy_mj", "int64"),
    ("carbon_ug", "int64"),
)  # fmt: skip
WINDOW = ("boot_id", "name", "is_source", "first_s", "last_s")
TABLES = {"seconds": SECOND_FIELDS, "paths": PATH_FIELDS, "tenants": TENANT_FIELDS}


class _Table:
    """Rows of one table, written month by month, or all into one file."""

    def __init__(
        self, folder: Path, fields: tuple[tuple[str, str], ...], *, monthly: bool = True
    ) -> None:
        self.arrow = need("pyarrow", "edgectl export")
        self.files = need("pyarrow.parquet", "edgectl export")
        self.folder, self.monthly = folder, monthly
        self.schema = self.arrow.schema(
            [(name, getattr(self.arrow, kind)()) for name, kind in fields]
        )
        self.rows: list[dict[str, Any]] = []
        self.month = ""
        self.written = 0
        self.writer: Any = None
        if not monthly:  # it is there without a row, too: a query over it must not fail
            folder.parent.mkdir(parents=True, exist_ok=True)
            self._open(folder.with_suffix(".parquet"))

    def add(self, month: str, row: dict[str, Any]) -> None:
        if month != self.month:
            self.close()
            self.month = month
        self.rows.append(row)
        if len(self.rows) >= BATCH_ROWS:
            self._write()

    def _write(self) -> None:
        if not self.rows:
            return
        if self.writer is None:
            folder = self.folder / f"month={self.month}"
            folder.mkdir(parents=True, exist_ok=True)
            # A clock set back may bring a month twice: each stretch has a file of its own.
            part = len(list(folder.glob("part-*.parquet")))
            self._open(folder / f"part-{part}.parquet")
        self.writer.write_table(self.arrow.Table.from_pylist(self.rows, schema=self.schema))
        self.written += len(self.rows)
        self.rows = []

    def _open(self, path: Path) -> None:
        self.writer = self.files.ParquetWriter(path, self.schema, compression="zstd")

    def close(self) -> None:
        self._write()
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def export(ledger: Ledger, folder: Path, from_s: int, to_s: int) -> dict[str, int]:
    """Write the seconds of a period, its corrections and all heads; how many rows each table got.

    folder   made if it is not there; must hold no earlier export
    """
    tables = {name: _Table(folder / name, fields) for name, fields in TABLES.items()}
    corrections: list[dict[str, Any]] = []
    for names, row in _rows_of(ledger, from_s, to_s):
        if row.kind is Kind.CORRECTION:
            corrections.append(_correction(names, row))
            continue
        month = iso(row.utc_s)[:7]
        for name, said in _rows(names, row):
            tables[name].add(month, said)
    for name in TABLES:
        tables[name].close()
    for name, fields in (
        ("heads", HEAD_FIELDS), ("corrections", CORRECTION_FIELDS), ("changes", CHANGE_FIELDS),
    ):  # fmt: skip
        tables[name] = _Table(folder / name, fields, monthly=False)
    for head, _ in ledger.heads():
        tables["heads"].add("", {
            "number": head.number, "size": head.size, "root": head.root.hex(),
            "utc_ns": head.utc_ns, "reason": head.reason, "key": head.key.hex(),
            "signature": head.signature.hex(),
        })  # fmt: skip
    for said in _held(corrections):
        tables["corrections"].add("", said)
    if corrections and tables["seconds"].written:
        _changes(ledger, from_s, to_s, tables["changes"])
    for table in tables.values():
        table.close()
    return {name: table.written for name, table in tables.items()}


def _changes(ledger: Ledger, from_s: int, to_s: int, table: _Table) -> None:
    """What corrections add to the paths of each minute, as a report applies them."""

    def add(start_s: int, change: Change) -> None:
        for source, sink in sorted({*change.energy_mj, *change.carbon_ug}):
            table.add("", {
                "utc_s": start_s, "source": source, "sink": sink,
                "energy_mj": change.energy_mj[source, sink],
                "carbon_ug": change.carbon_ug[source, sink],
            })  # fmt: skip

    read_books(ledger, from_s, to_s, {}, add)


def _rows_of(ledger: Ledger, from_s: int, to_s: int) -> Iterator[tuple[dict[str, Any], Row]]:
    """Seconds of the period, and corrections about it, with the names of their run."""
    names: dict[str, Any] = {}
    for row in ledger.rows():
        if row.kind is Kind.START:
            names = dict(msgpack.unpackb(row.parts[0], raw=False))
        elif row.kind is Kind.SECOND:
            if from_s <= row.utc_s < to_s:
                yield names, row
        elif row.kind is Kind.CORRECTION and concerns(
            {"utc_s": row.utc_s, **row.content()}, from_s, to_s
        ):
            yield names, row


def _correction(names: Mapping[str, Any], row: Row) -> dict[str, Any]:
    """A row of the corrections; what a record does not say is null."""
    content = row.content()
    figures = content["figures"]
    own = next((at for at, part in enumerate(row.parts) if part), 0)
    return {name: figures.get(name) for name, _ in CORRECTION_FIELDS} | {
        "seq": row.seq, "utc_s": row.utc_s, "tenant": names["tenants"][own - 1]["id"]
        if 0 < own <= len(names["tenants"]) else None,
        "name": figures.get("source") or figures.get("sink"), "is_source": "source" in figures,
        "dark": bool(figures.get("dark")), "reason": content.get("reason"),
        "refers_to": content.get("refers_to"), "holds": "gap_mj" in figures,
    }  # fmt: skip


def _held(corrections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same; of two for the same window only the later holds."""
    last = {tuple(each[name] for name in WINDOW): each["seq"] for each in corrections
            if each["holds"]}  # fmt: skip
    return [
        each | {"holds": last.get(tuple(each[name] for name in WINDOW)) == each["seq"]}
        for each in corrections
    ]


def _rows(names: dict[str, Any], row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """Rows of all tables for one second."""
    place = {"seq": row.seq, "utc_s": row.utc_s}
    content = row.content()
    sums = [sum(cell[at] for cell in content["cells"]) for at in (2, 3)]
    second = {name: content.get(name) for name, _ in SECOND_FIELDS}
    yield "seconds", second | place | {
        "boot_id": row.boot_id, "clock": row.clock, "energy_mj": sums[0], "carbon_ug": sums[1],
    }  # fmt: skip
    for source, sink, mj, ug in content["cells"]:
        yield "paths", place | {
            "source": names["sources"][source], "sink": names["sinks"][sink],
            "energy_mj": mj, "carbon_ug": ug,
        }  # fmt: skip
    for tenant, part in zip(names["tenants"], row.parts[1:], strict=True):
        own = unpacked(part)
        yield "tenants", place | {
            "tenant": tenant["id"], "energy_mj": sum(cell[2] for cell in own["cells"]),
            "carbon_ug": sum(cell[3] for cell in own["cells"]),
            "samples": own["samples"], "good_samples": own["good_samples"],
        }  # fmt: skip
