"""What batteries hold outlives a stop and a kill, to the last mJ and ug, and a verifier sees it."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest
from controller_rig import Running, controller, wait_for
from site_rig import demo_elsewhere, served

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.inventory import StockMethod
from edgectl._kernel.journal import MailKind
from edgectl.controller.stocks import stocks_path
from edgectl.image import Mailbox
from edgectl.ledger import Ledger
from edgectl.ledger.payload import Kind
from edgectl.ledger.rows import Row
from edgectl.ledger.stocks import held_of
from edgectl.ledger.verify import Result, verify
from edgectl.site_model import Site, load_site

BATTERIES = ("BESS-01", "BESS-02")  # the second is first in, first out


def demo_with_both_methods(root: Path, folder: Path) -> Path:
    """The demo, its second battery booked first in, first out."""
    path = demo_elsewhere(root, folder, "stocks")
    text, changed = re.subn(
        r'(\[\[battery\]\]\nid {19}= "BESS-02"\n)', r'\1carbon_method = "fifo"\n', path.read_text()
    )
    assert changed == 1
    path.write_text(text)
    return path


class Charged(Running):
    """Its batteries, and what the ledger has of them."""

    def charges(self, watts: float) -> None:
        """Ask both batteries, once no row stands in the way, and see that they do."""
        with Mailbox(self.site.path.parent / f"edgectl-{self.site.id}.seg") as mailbox:
            for at in range(len(BATTERIES)):
                operator = int(RequestSource.SOURCE_OPERATOR)
                mailbox.put(MailKind.MAIL_STORAGE_W, at, watts, operator, 60.0)
        wait_for(self.moved, "energy through both batteries")

    def moved(self) -> bool:
        """Each battery gave or took some."""
        flows = self.reader.snapshot()["flows"]["energy"]
        count = len(BATTERIES)
        came = flows["units"][:, -2 - count : -2].sum(axis=0)
        left = flows["units"][3 : 3 + count].sum(axis=1)
        return bool(((came + left) > 1_000).all())

    def booked(self, seconds: int, folder: Path) -> None:
        """So many seconds of this run stand in the ledger."""
        boot_id = self.reader.boot_id
        wait_for(lambda: len(seconds_of(folder, self.site, boot_id)) >= seconds, "seconds")

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(10)


def rows_of(folder: Path, site: Site) -> list[Row]:
    if not list((folder / "data").glob("*.sqlite")):
        return []
    with Ledger(site.id, folder / "data", read_only=True) as ledger:
        return list(ledger.rows())


def seconds_of(folder: Path, site: Site, boot_id: int) -> list[Row]:
    return [
        row for row in rows_of(folder, site) if row.kind is Kind.SECOND and row.boot_id == boot_id
    ]


def part_of(row: Row) -> dict[str, Any]:
    return dict(msgpack.unpackb(row.parts[0], raw=False))


def verified(folder: Path, site: Site) -> Result:
    """By edgectl, and by the verifier that has nothing of it."""
    (result,) = verify(folder / "data", stocks=True)
    assert result.good, f"record {result.bad_seq}: {result.bad}"
    root = Path(__file__).resolve().parents[2]
    key = folder / "data" / f"{site.id}.key.pub"
    words = [sys.executable, str(root / "tools" / "verify_ledger.py"), str(folder / "data")]
    ended = subprocess.run(
        [*words, "--key", str(key)], capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return result


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_goes_on_with_what_the_last_record_says_in_both_methods(
    root: Path, tmp_path: Path, killed: bool
) -> None:
    path = demo_with_both_methods(root, tmp_path)
    site = load_site(path)
    with served(site, standing=False):
        with controller(path, site, Charged) as running:
            running.charges(3e6)
            running.booked(4, tmp_path)
            first = running.reader.boot_id
            if killed:
                running.kill()
        with controller(path, site, Charged) as running:
            running.booked(3, tmp_path)
            second = running.reader.boot_id
    before = part_of(seconds_of(tmp_path, site, first)[-1])
    held = held_of(BATTERIES, before)
    rules = list(zip(before["storage_rules"][::2], BATTERIES, strict=True))
    assert [method for method, _ in rules] == [
        StockMethod.METHOD_WEIGHTED_AVERAGE, StockMethod.METHOD_FIFO
    ]  # fmt: skip
    (start,) = (
        part_of(row) for row in rows_of(tmp_path, site)
        if row.kind is Kind.START and row.boot_id == second
    )  # fmt: skip
    assert {each["id"]: tuple(each["held"]) for each in start["stocks"]} == held
    assert {each["opened"] for each in start["stocks"]} == {"carried"}
    assert start["stocks_adjusted"] == {}, "after a kill too the last scan is what is carried"
    assert start["stocks"][0]["boot_id"] == first
    assert start["stocks"][0]["seq"] == seconds_of(tmp_path, site, first)[-1].last_seq
    assert 0 < start["stocks"][0]["age_ns"] < 60 * 10**9
    result = verified(tmp_path, site)
    assert (result.restarts_followed, result.seconds_unfollowed) == (1, 0)
    log = (tmp_path / "run.log").read_text()
    assert log.count("stocks.first_declared") == len(BATTERIES)
    assert log.count("stocks.carried") == len(BATTERIES)
    assert "Traceback" not in log


@pytest.mark.slow
def test_after_a_power_cut_the_file_is_carried_and_what_it_lacks_is_adjusted_openly(
    root: Path, tmp_path: Path
) -> None:
    path = demo_with_both_methods(root, tmp_path)
    site = load_site(path)
    with served(site, standing=False):
        with controller(path, site, Charged) as running:
            file = stocks_path(tmp_path / "data", site.id)
            wait_for(file.exists, "what is held, on the disk")
            running.booked(1, tmp_path)
            written = file.read_bytes()
            running.charges(3e6)
            running.booked(4, tmp_path)
            first = running.reader.boot_id
            running.kill()
            wait_for(lambda: not_written(tmp_path, site), "the services' end")
            file.write_bytes(written)  # as if it had been written no more since
            (tmp_path / f"edgectl-{site.id}.seg").unlink()  # what a power cut takes: memory alone
        with controller(path, site, Charged) as running:
            running.booked(3, tmp_path)
            second = running.reader.boot_id
    held = held_of(BATTERIES, part_of(seconds_of(tmp_path, site, first)[-1]))
    (start,) = (
        part_of(row) for row in rows_of(tmp_path, site)
        if row.kind is Kind.START and row.boot_id == second
    )  # fmt: skip
    opened = {each["id"]: tuple(each["held"]) for each in start["stocks"]}
    assert {each["opened"] for each in start["stocks"]} == {"carried"}
    assert opened != held, "it was charged since the file was written"
    for name, of in held.items():
        change = start["stocks_adjusted"].get(name, [0] * 6)
        assert [a + b for a, b in zip(of, change, strict=True)] == list(opened[name])
    assert verified(tmp_path, site).restarts_followed == 1


def not_written(folder: Path, site: Site) -> bool:
    """No writer has the ledger any more."""
    try:
        Ledger(site.id, folder / "data").close()
    except Exception:
        return False
    return True
