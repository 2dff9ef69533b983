"""The demo campus in process, its ledger and the feed that follows its meters' counters."""

from pathlib import Path
from typing import Any

import numpy as np
from event_log import EventLog

from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl.accounting.corrections import Correction, corrections_of
from edgectl.accounting.period import Interval, intervals
from edgectl.image import post, private_segment
from edgectl.ledger import Kind, Ledger
from edgectl.ledger.clock import ClockState
from edgectl.plant.in_process import in_process
from edgectl.plant.traces import ClimatologyTraces
from edgectl.plant.wiring import Wiring, WiringFault
from edgectl.services.ledger_feed import LedgerFeed
from edgectl.services.register_feed import RegisterFeed
from edgectl.site_model import compile_tables, load_site

SITE = load_site("demo")
TABLES = compile_tables(SITE)
START_NS = 1_000_000_000
UTC_NS = 1_690_000_200_000_000_000  # a quarter of an hour begins
BEGIN_S = UTC_NS // 10**9
SCANS_A_SECOND = 10


class RegisterRig:
    """Plant, kernel, ledger and counters, one simulated second at a time."""

    def __init__(self, where: Path, seed: int = 1, *faults: WiringFault) -> None:
        self.where, self.log = where, EventLog()
        self.segment = private_segment(TABLES.directory, 8192)
        self.segment.head["start_utc_ns"] = UTC_NS
        self.kernel = Kernel(TABLES, self.segment.buffer)
        post(self.segment.head, self.segment.mailbox, MailKind.MAIL_ARM, -1, 0.0, 0, 2**62)
        self.plant = in_process(SITE, TABLES, ClimatologyTraces(), seed=seed, wiring=Wiring(faults))
        self.seconds = 0
        self.plant.prepare(UTC_NS)
        self.run_scans(SCANS_A_SECOND)
        self.reader = self.segment.reader()
        self.open()

    def open(self) -> None:
        """As the services start."""
        self.ledger = LedgerFeed(SITE.id, self.where, self.log, clock=self.clock)
        self.registers = RegisterFeed(SITE.id, self.where, self.log, self.ledger)
        self.ledger.attach(self.reader)
        self.registers.attach(self.reader)

    def clock(self) -> ClockState:
        return ClockState(UTC_NS + self.seconds * 10**9, "synchronised", None)

    def run_scans(self, scans: int) -> None:
        self.plant.run(self.kernel, scans, START_NS, UTC_NS)
        self.seconds += scans // SCANS_A_SECOND

    def run(self, seconds: int) -> None:
        """Run on, with the services beside."""
        while seconds > 0:
            part = min(seconds, 10)
            self.run_scans(part * SCANS_A_SECOND)
            self.pump()
            seconds -= part

    def pump(self) -> None:
        while not self.ledger.pump():
            pass
        self.registers.pump()

    def finish(self) -> None:
        """The controller stops; the services book it to its end."""
        self.pump()
        assert self.ledger.finish()
        self.registers.finish()
        self.ledger.close()

    def dark(self, seconds: int) -> None:
        """The campus goes on, and nobody reads a meter."""
        self.run_scans(seconds * SCANS_A_SECOND)

    def start(self) -> None:
        """The controller starts again, and the services with it."""
        self.segment = private_segment(TABLES.directory, 8192)
        self.segment.head["start_utc_ns"] = UTC_NS + self.seconds * 10**9
        self.kernel = Kernel(TABLES, self.segment.buffer)
        post(self.segment.head, self.segment.mailbox, MailKind.MAIL_ARM, -1, 0.0, 0, 2**62)
        self.run_scans(SCANS_A_SECOND)
        self.reader = self.segment.reader()
        self.open()

    def silence(self, device: str, *, on: bool) -> None:
        """Its meter answers nothing any more, or again."""
        index = [each["id"] for each in TABLES.directory["devices"]].index(device)
        for block in np.flatnonzero(TABLES.blocks["device"] == index):
            self.plant.bus.silence(int(block), on)

    def signal(self, tag: str) -> tuple[int, float]:
        """Index of what the plant counts behind a tag, and what it has counted, in J."""
        device, _, point = tag.partition(".")
        own = next(each for each in self.plant.devices if each.device.id == device)
        slot = next(each for each in own.slots if each.point.name == point)
        return slot.signal, self.plant.plant.value(slot.signal)

    def said(self, event: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.log.events if name == event]

    def contents(self) -> list[dict[str, Any]]:
        """Of the CORRECTION records, each with what it refers to."""
        with Ledger(SITE.id, self.where) as ledger:
            return [row.content() for row in ledger.rows(Kind.CORRECTION)]

    def contents_now(self) -> list[dict[str, Any]]:
        """The same, of a ledger that is being written."""
        with Ledger(SITE.id, self.where, read_only=True) as ledger:
            return [row.content() for row in ledger.rows(Kind.CORRECTION)]

    def read(self, name: str) -> list[Correction]:
        """Of a ledger that is being written."""
        with Ledger(SITE.id, self.where, read_only=True) as ledger:
            found = corrections_of(row.content() for row in ledger.rows(Kind.CORRECTION))
        return [each for each in found if each.margin[0] == name]

    def corrections(self) -> list[Correction]:
        return corrections_of(self.contents())

    def of(self, name: str) -> list[Correction]:
        return [each for each in self.corrections() if each.margin[0] == name]

    def intervals(self, length_s: int) -> list[Interval]:
        with Ledger(SITE.id, self.where) as ledger:
            found = corrections_of(row.content() for row in ledger.rows(Kind.CORRECTION))
            return list(intervals(ledger.rows(), length_s, found))
