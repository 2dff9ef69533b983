"""The Merkle tree against public probes and roots: RFC 6962 inclusion, good and tampered."""

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from edgectl.ledger import merkle

PROBES = Path(__file__).resolve().parents[2].parent / "shared/carbon/vectors/rfc6962/inclusion"
LEAVES = [bytes.fromhex(each) for each in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def probes() -> list[Path]:
    return sorted(PROBES.rglob("*.json"))


def decoded(value: Any) -> bytes:
    return base64.b64decode(value) if value else b""


@pytest.mark.parametrize("probe", probes(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_inclusion_probe_is_judged_as_its_file_says(probe: Path) -> None:
    asked = json.loads(probe.read_text())
    good = merkle.verify_inclusion(
        int(asked["leafIdx"]), int(asked["treeSize"]), decoded(asked["leafHash"]),
        [decoded(each) for each in asked["proof"] or []], decoded(asked["root"]),
    )  # fmt: skip
    assert good is not asked["wantErr"], asked["desc"]


def test_the_public_probes_were_there_to_be_read() -> None:
    if not PROBES.is_dir():
        pytest.skip("RFC 6962 PROBES NOT TESTED: the folder of public vectors is not beside us")
    assert len(probes()) >= 90


def test_hashes_and_roots_of_the_known_tree() -> None:
    assert hashlib.sha256(b"").digest() == merkle.EMPTY_ROOT == merkle.root([])
    assert merkle.leaf_hash(b"L123456").hex() == (
        "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    )
    assert merkle.node_hash(b"N123", b"N456").hex() == (
        "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )
    leaves = [merkle.leaf_hash(each) for each in LEAVES]
    tree = merkle.Frontier()
    for size, expected in enumerate(ROOTS, start=1):
        tree.add(leaves[size - 1 : size])
        assert merkle.root(leaves[:size]).hex() == tree.root().hex() == expected
