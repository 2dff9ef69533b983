"""What the demo measured: one summary of journal, snapshot, ledger and MQTT."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgectl.image import SegmentReader
from edgectl.ledger import Ledger

SECOND_SCANS_NS = 1_000_000_000
MILLI = 1_000

Array = NDArray[Any]


class JournalSums:
    """Exact sums and a few columns over every record of a run, taken as it goes."""

    def __init__(self, reader: SegmentReader) -> None:
        """reader   of the run's segment"""
        self.reader = reader
        shape = (len(reader.directory["sources"]), len(reader.directory["sinks"]))
        self.energy_mj = np.zeros(shape, np.int64)
        self.carbon_ug = np.zeros(shape, np.int64)
        self.balance_error_mj = 0
        self.balance_error_ug = 0
        self.lost = 0
        self.next_seq = 0
        self._columns: dict[str, list[Array]] = {"grid_w": [], "load_w": [], "armed": []}

    def drain(self) -> None:
        """Take over what has been journaled since the call before."""
        while self.next_seq < self.reader.journal_head:
            batch = self.reader.journal(self.next_seq)
            head, flows = batch.records["head"], batch.records["flows"]
            self.energy_mj += flows["energy_mj"].sum(axis=0)
            self.carbon_ug += flows["carbon_ug"].sum(axis=0)
            self.balance_error_mj += int(head["balance_error_mj"].sum())
            self.balance_error_ug += int(head["balance_error_ug"].sum())
            for name, parts in self._columns.items():
                parts.append(head[name].copy())
            self.lost += batch.lost
            self.next_seq = batch.next_seq

    def column(self, name: str) -> Array:
        """grid_w, load_w or armed, one entry a record."""
        parts = self._columns[name]
        return np.concatenate(parts) if parts else np.zeros(0)


def second_mean_max(values: Array, armed: Array, scans: int) -> float | None:
    """The largest mean over a second of consecutive scans, all of them armed; None without one.

    values   by scan; scans   in a second
    """
    if len(values) < scans:
        return None
    sums = np.convolve(values, np.ones(scans), "valid")
    whole = np.convolve(armed.astype(np.int64), np.ones(scans, np.int64), "valid") == scans
    return float((sums[whole] / scans).max()) if whole.any() else None


def by_path(directory: Mapping[str, Any], cells: Array) -> dict[str, int]:
    """Cells summed by kind: grid_to_it, pv_to_storage and so on; paths never used are left out."""
    kind_of = {load["id"]: load["kind"] for load in directory["loads"]}
    kind_of |= {storage["id"]: "storage" for storage in directory["storages"]}
    paths: Counter[str] = Counter()
    for at, source in enumerate(directory["sources"]):
        for to, sink in enumerate(directory["sinks"]):
            name = f"{kind_of.get(source, source)}_to_{kind_of.get(sink, sink)}"
            paths[name] += int(cells[at, to])
    return {name: amount for name, amount in sorted(paths.items()) if amount}


def total_milli(total: Any) -> int:
    """A two-limb lifetime total in its thousandths."""
    return int(total["units"]) * MILLI + int(total["milli"])


def balance_errors(sums: JournalSums, snapshot: Any) -> tuple[int, int]:
    """How far parts and totals, counted apart, disagree: mJ and ug; both 0.

    Held against each other: the journal's cells summed here, the kernel's
    lifetime total of each path, of each source and of each sink.
    """
    errors = []
    for field, cells in (("energy", sums.energy_mj), ("carbon", sums.carbon_ug)):
        paths, error = snapshot["flows"][field], 0
        for at, row in enumerate(cells):
            error += sum(
                abs(int(cell) - total_milli(path))
                for cell, path in zip(row, paths[at], strict=True)
            )
            error += abs(int(row.sum()) - total_milli(snapshot["source_totals"][field][at]))
        for to in range(cells.shape[1]):
            sink = total_milli(snapshot["sink_totals"][field][to])
            error += abs(int(cells[:, to].sum()) - sink)
        errors.append(error)
    return errors[0] + sums.balance_error_mj, errors[1] + sums.balance_error_ug


def pue_of(directory: Mapping[str, Any], energy_mj: Array) -> float | None:
    """Energy of the facility over energy of the IT, over the whole run (ISO/IEC 30134-2)."""
    sinks = {name: at for at, name in enumerate(directory["sinks"])}
    it = sum(
        int(energy_mj[:, sinks[load["id"]]].sum())
        for load in directory["loads"]
        if load["kind"] == "it"
    )
    loads = [sinks[load["id"]] for load in directory["loads"]]
    facility = int(energy_mj[:, [*loads, sinks["losses"]]].sum())
    return round(facility / it, 4) if it else None


def intensity_of(sums: JournalSums) -> float | None:
    """Grid carbon over grid energy, g/kWh: mg over kWh is ug over mJ times 3.6e6 over 1e3."""
    energy_mj = int(sums.energy_mj[0].sum())
    return round(int(sums.carbon_ug[0].sum()) * 3_600 / energy_mj, 3) if energy_mj else None


def ledger_figures(site_id: str, directory: Path) -> dict[str, int]:
    """Records of the ledger, and scans it knows it does not have."""
    with Ledger(site_id, directory, read_only=True) as ledger:
        gaps = sum(gap.scans or 1 for gap in ledger.gaps())
        return {"ledger_records": ledger.count(), "ledger_gap_scans": gaps,
                "ledger_scans": ledger.totals().scans}  # fmt: skip


def summary(
    sums: JournalSums, snapshot: Any, report: Path, ledger_dir: Path, messages: int
) -> dict[str, Any]:
    """The demo's figures, by the names of its acceptance.

    sums, snapshot   of the run that has ended
    report           what the controller wrote of its deadlines
    messages         MQTT messages that reached an independent client
    """
    directory = sums.reader.directory
    head = snapshot["head"]
    scans = SECOND_SCANS_NS // int(directory["period_ns"])
    armed = sums.column("armed")
    errors = balance_errors(sums, snapshot)
    ledger = ledger_figures(directory["site"], ledger_dir)
    behind = max(sums.next_seq - ledger["ledger_scans"] - ledger["ledger_gap_scans"], 0)
    figures: dict[str, Any] = json.loads(report.read_text())
    return figures | {
        "devices": len(directory["devices"]),
        "transactions": int(head["transactions"]),
        "timeouts": int(head["timeouts"]),
        "late_replies": int(head["late_replies"]),
        "setpoints_written": int(head["setpoints_written"]),
        "readbacks": int(head["readbacks"]),
        "readback_ok": bool(head["readbacks"] > 0 and head["readback_mismatches"] == 0),
        "trips": int(head["trips"]),
        "grid_peak_w": second_mean_max(sums.column("grid_w"), armed, scans),
        "load_peak_w": second_mean_max(sums.column("load_w"), armed, scans),
        "import_cap_w": directory["import_cap_w"],
        "energy_mj_by_path": by_path(directory, sums.energy_mj),
        "carbon_ug_by_path": by_path(directory, sums.carbon_ug),
        "balance_error_mj": errors[0],
        "balance_error_ug": errors[1],
        "pue": pue_of(directory, sums.energy_mj),
        "grid_intensity_g_per_kwh": intensity_of(sums),
        "mqtt_messages": messages,
        "journal_gap_records": sums.lost + ledger["ledger_gap_scans"] + behind,
        "ledger_records": ledger["ledger_records"],
        "ledger_scans": ledger["ledger_scans"],
    }
