"""Runs of a controller, one after the other, over one simulated plant and one ledger."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import verify_ledger as stranger
from event_log import EventLog

from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl.controller.stocks import StockRetention, stocks_path
from edgectl.image import Segment, create_segment, post, private_segment, segment_path
from edgectl.ledger import Ledger
from edgectl.ledger.keys import load_public
from edgectl.ledger.payload import Kind
from edgectl.ledger.rows import Row
from edgectl.ledger.stocks import Held, held_of
from edgectl.ledger.verify import Result, verify
from edgectl.plant.in_process import in_process
from edgectl.plant.traces import ClimatologyTraces
from edgectl.services.ledger_feed import LedgerFeed
from edgectl.site_model import Site, compile_tables, load_site

START_NS = 1_000_000_000
UTC_NS = 1_690_000_000_000_000_000
OPERATOR = 2
FOREVER_NS = 2**62
JOURNAL_MINUTES = 2.0
DEMO: Site = load_site("demo")
SECOND = 10  # scans


def both_methods(**rules: Any) -> Site:
    """The demo, its second battery first in, first out; other rules for both.

    Nobody stands at the cabinet after a restart: what waits for a button there waits for afar.
    """
    first, second = (replace(each, **rules) for each in DEMO.batteries)
    rows = tuple(
        replace(each, reset="operator") if each.reset == "local" else each
        for each in DEMO.interlocks
    )
    batteries = (first, replace(second, carbon_method="fifo"))
    return replace(DEMO, batteries=batteries, interlocks=rows)


class Plant:
    """The campus, which runs on whether somebody controls it or not."""

    def __init__(self, model: Site) -> None:
        tables = compile_tables(model)
        tables.scan["may_arm"] = 1
        self.simulated = in_process(model, tables, ClimatologyTraces(), seed=1)

    @property
    def utc_ns(self) -> int:
        return UTC_NS + self.simulated.bus.period * self.simulated.period_ns

    def run(self, kernel: Kernel, scans: int) -> None:
        self.simulated.run(kernel, scans, START_NS, UTC_NS)


def command(segment: Segment, *watts: float) -> None:
    """Arm, reset what may be reset, and ask the batteries for so much."""
    head, mailbox = segment.head, segment.mailbox
    post(head, mailbox, MailKind.MAIL_ARM, -1, 0.0, 0, FOREVER_NS)
    post(head, mailbox, MailKind.MAIL_RESET, -1, 0.0, int(Reset.RESET_OPERATOR), FOREVER_NS)
    for at, each in enumerate(watts):
        post(head, mailbox, MailKind.MAIL_STORAGE_W, at, each, OPERATOR, FOREVER_NS)


class Runs:
    """A controller that is started and ended again, and the services beside it.

    EDGECTL_SHM_DIR must be a folder of the test's own.
    """

    def __init__(self, data_dir: Path, model: Site | None = None) -> None:
        self.data_dir, self.model = data_dir, model or both_methods()
        self.plant, self.log = Plant(self.model), EventLog()
        self.path = stocks_path(data_dir, self.model.id)
        self.watts = (-4e6, 3e6)
        self.started = 0

    def start(self, model: Site | None = None, away_ns: int = 0, *, says: bool = True) -> None:
        """The next run, of a site file that may have changed, so long after the plant stood."""
        self.model = model or self.model
        tables = compile_tables(self.model)
        tables.scan["may_arm"] = 1
        self.retention = StockRetention(self.path, tables.directory["storages"])
        utc_ns = self.plant.utc_ns + away_ns
        openings = self.retention.openings(segment_path(self.model.id), utc_ns)
        self.directory = dict(tables.directory) | ({"stocks": openings} if says else {})
        period_ns = self.model.scan.period_ns
        self.segment = create_segment(self.model.id, self.directory, JOURNAL_MINUTES, period_ns)
        self.started += 1
        self.segment.head["start_utc_ns"] = utc_ns + self.started  # never twice the same
        self.kernel = Kernel(tables, self.segment.buffer)
        self.retention.carry(self.kernel)
        self.reader = self.segment.reader()
        self.feed = LedgerFeed(self.model.id, self.data_dir, EventLog())
        self.feed.attach(self.reader)

    def scans(self, count: int) -> None:
        """Booked by the services as they come."""
        for done in range(0, count, SECOND):
            command(self.segment, *self.watts)
            self.plant.run(self.kernel, min(SECOND, count - done))
            self.look()
            self.feed.pump()

    def look(self) -> None:
        """What the controller's main thread does between scans."""
        image = self.reader.snapshot()
        now_ns = int(image["record"]["time_ns"])
        self.retention.look(image, self.directory, self.reader.boot_id, now_ns)

    def keep(self) -> None:
        """Write what is held now, due or not."""
        self.retention.finish(self.reader.snapshot(), self.directory, self.reader.boot_id)

    def stop(self) -> None:
        """In good order: the last scan is kept and booked."""
        self.keep()
        self.feed.pump()
        self.feed.finish()
        self.feed.close()
        self.segment.close()

    def kill(self, *, power_cut: bool = False) -> None:
        """Nothing is kept; the services read to the end, unless the memory is gone."""
        self.segment.head["controller_pid"] = 0
        if not power_cut:
            self.feed.pump()
            self.feed.finish()
        self.feed.close()
        self.segment.close(orderly=False, unlink=power_cut)

    def dark(self, scans: int, *watts: float) -> None:
        """The plant runs on under somebody whose books nobody keeps."""
        tables = compile_tables(self.model)
        tables.scan["may_arm"] = 1
        segment = private_segment(tables.directory, 8)
        kernel = Kernel(tables, segment.buffer)
        for _ in range(0, scans, SECOND):
            command(segment, *watts)
            self.plant.run(kernel, SECOND)

    @property
    def openings(self) -> dict[str, dict[str, Any]]:
        """Of the last run, by battery."""
        return {str(each["id"]): each for each in self.directory["stocks"]}

    def rows(self) -> list[Row]:
        with Ledger(self.model.id, self.data_dir, read_only=True) as ledger:
            return list(ledger.rows())

    def start_said(self) -> dict[str, Any]:
        """What the newest START record says, as its operator reads it."""
        return dict([each for each in self.rows() if each.kind is Kind.START][-1].content())

    def held(self, run: int = -1) -> Held:
        """What batteries hold by a run's last second, runs counted from 0."""
        rows = self.rows()
        boots = list(dict.fromkeys(row.boot_id for row in rows if row.kind is Kind.SECOND))
        last = [row for row in rows if row.kind is Kind.SECOND and row.boot_id == boots[run]][-1]
        names = [each.id for each in self.model.batteries]
        return held_of(names, msgpack.unpackb(last.parts[0], raw=False))

    def verified(self) -> Result:
        """By edgectl, whose word it is, and by the verifier that has nothing of it."""
        (result,) = verify(self.data_dir, stocks=True)
        assert result.good, f"record {result.bad_seq}: {result.bad}"
        key = load_public(self.data_dir / f"{self.model.id}.key.pub")
        said = stranger.verify_ledger(self.data_dir, key, [], live=False)
        if result.restarts_followed:
            assert f"over {result.restarts_followed} restarts" in said
        if result.seconds_unfollowed:
            assert f"in {result.seconds_unfollowed} seconds" in said
        return result
