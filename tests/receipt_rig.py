"""Receipts of a rig's ledger: made, altered, and checked by the stand-alone verifier."""

import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import verify_ledger as stranger
from report_rig import NOON_S, START_S

from edgectl.ledger import Ledger
from edgectl.ledger.keys import load_public
from edgectl.reports.receipt import make_receipt

Document = dict[str, Any]


def window(
    name: str, booked_mj: int, energy_mj: int, first_s: int = NOON_S, seconds: int = 60, **more: Any
) -> dict[str, Any]:
    """Figures of a CORRECTION of a sink."""
    return {
        "boot_id": START_S, "meter": "M.energy_import", "sink": name, "first_s": first_s,
        "last_s": first_s + seconds - 1, "booked_mj": booked_mj, "energy_mj": energy_mj,
        "register_mj": energy_mj, "residual_mj": energy_mj - booked_mj, "u_residual_mj": 1,
        "k": None, "grade": "M", "gaps": [], "gap_mj": 0,
    } | more  # fmt: skip


def receipt(
    where: Path, tenant: str, from_s: int, to_s: int, until_s: int | None = None
) -> Document:
    """A receipt as the document it is."""
    with Ledger("rig", where, read_only=True) as ledger:
        content = make_receipt(ledger, tenant, from_s, to_s, until_s)
    document: Document = json.loads(gzip.decompress(content))
    return document


def checked(where: Path, document: Document) -> dict[str, Any]:
    """What the verifier says of it. Raises BadError."""
    path = where / "r.receipt"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return stranger.verify_receipt(path, load_public(where / "rig.key.pub"))


def summary(where: Path, tenant: str, from_s: int, to_s: int, **asked: Any) -> dict[str, Any]:
    """What the verifier says of an honest one."""
    return checked(where, receipt(where, tenant, from_s, to_s, **asked))


def raw(text: str) -> bytes:
    """Bytes of a receipt's text."""
    return base64.b64decode(text)


def hide(shown: dict[str, str]) -> None:
    """Leave of a record only its leaf, which is still the right one."""
    leaf = hashlib.sha256(b"\0" + raw(shown["head"]) + raw(shown["commitments"])).digest()
    shown.clear()
    shown["leaf"] = base64.b64encode(leaf).decode()


def places(document: Document, kind: str) -> list[int]:
    """Where records of a kind stand among those that are shown."""
    return [
        at for at, each in enumerate(document["records"])
        if "head" in each and stranger.said_by(raw(each["head"]))["kind"] == kind
    ]  # fmt: skip


Change = Callable[[Document], object]
