"""Every second as columns, a folder a month, for DuckDB, Spark or ClickHouse.

OUT/seconds/month=2026-11/part-0.parquet    one row a record of a second
OUT/paths/...                               one row a second, source and sink
OUT/tenants/...                             one row a second and tenant
OUT/heads.parquet                           signed heads
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack

from edgectl.ledger import Kind, Ledger, Row
from edgectl.ledger.payload import unpacked
from edgectl.reports.extras import need
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
TABLES = {"seconds": SECOND_FIELDS, "paths": PATH_FIELDS, "tenants": TENANT_FIELDS}


class _Table:
    """Rows of one table, written month by month."""

    def __init__(self, folder: Path, fields: tuple[tuple[str, str], ...]) -> None:
        self.arrow = need("pyarrow", "edgectl export")
        self.files = need("pyarrow.parquet", "edgectl export")
        self.folder = folder
        self.schema = self.arrow.schema(
            [(name, getattr(self.arrow, kind)()) for name, kind in fields]
        )
        self.rows: list[dict[str, Any]] = []
        self.month = ""
        self.written = 0
        self.writer: Any = None

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
            self.writer = self.files.ParquetWriter(
                folder / f"part-{part}.parquet", self.schema, compression="zstd"
            )
        self.writer.write_table(self.arrow.Table.from_pylist(self.rows, schema=self.schema))
        self.written += len(self.rows)
        self.rows = []

    def close(self) -> None:
        self._write()
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def export(ledger: Ledger, folder: Path, from_s: int, to_s: int) -> dict[str, int]:
    """Write the seconds of a period and all heads; how many rows each table got.

    folder   made if it is not there; must hold no earlier export
    """
    tables = {name: _Table(folder / name, fields) for name, fields in TABLES.items()}
    for names, row in _seconds(ledger, from_s, to_s):
        month = iso(row.utc_s)[:7]
        for name, said in _rows(names, row):
            tables[name].add(month, said)
    for table in tables.values():
        table.close()
    heads = [
        {"number": head.number, "size": head.size, "root": head.root.hex(),
         "utc_ns": head.utc_ns, "reason": head.reason, "key": head.key.hex(),
         "signature": head.signature.hex()}
        for head, _ in ledger.heads()
    ]  # fmt: skip
    arrow, files = need("pyarrow", "edgectl export"), need("pyarrow.parquet", "edgectl export")
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in HEAD_FIELDS])
    folder.mkdir(parents=True, exist_ok=True)
    files.write_table(arrow.Table.from_pylist(heads, schema=schema), folder / "heads.parquet")
    return {name: table.written for name, table in tables.items()} | {"heads": len(heads)}


def _seconds(ledger: Ledger, from_s: int, to_s: int) -> Iterator[tuple[dict[str, Any], Row]]:
    names: dict[str, Any] = {}
    for row in ledger.rows():
        if row.kind is Kind.START:
            names = dict(msgpack.unpackb(row.parts[0], raw=False))
        elif row.kind is Kind.SECOND and from_s <= row.utc_s < to_s:
            yield names, row


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
