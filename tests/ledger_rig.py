"""A controller, its ledger feed and a simulated clock, in one process, with two tenants."""

from pathlib import Path
from typing import Any

from event_log import EventLog
from fake_controller import FakeController, directory

from edgectl.image import Segment, private_segment
from edgectl.ledger.clock import ClockState
from edgectl.ledger.heads import TreeHead
from edgectl.ledger.keys import load_public
from edgectl.services.ledger_feed import LedgerFeed

UTC_NS = 1_700_000_000_400_000_000  # 0.4 s into a second
SITE = "fake"
TENANTS = [
    {"id": "acme", "name": "Acme Ltd", "loads": ["IT-A"]},
    {"id": "bolt", "name": "Bolt SE", "loads": ["IT-B"]},
]


class FeedRig:
    """What the services do for the ledger, one step at a time."""

    def __init__(
        self, where: Path, utc_ns: int = UTC_NS, tenants: Any = TENANTS, **ledger: Any
    ) -> None:
        self.where, self.heads, self.log = where, list[TreeHead](), EventLog()
        self.quality, self.leap = "synchronised", None
        said = directory() | {"tenants": tenants, "ledger": ledger}
        self.segment: Segment = private_segment(said, 8192)
        self.segment.head["start_utc_ns"] = utc_ns
        self.fake = FakeController(self.segment, utc_ns)
        self.reader = self.segment.reader()
        self.open()

    def open(self) -> None:
        self.feed = LedgerFeed(SITE, self.where, self.log, self.heads.append, self.clock)
        self.feed.attach(self.reader)

    def restart(self) -> None:
        self.feed.close()
        self.open()

    def clock(self) -> ClockState:
        now_ns = self.fake.utc_ns + self.fake.seq * self.fake.period_ns
        return ClockState(now_ns, self.quality, self.leap)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.fake.run(10)
            self.feed.pump()

    @property
    def key(self) -> bytes:
        return load_public(self.where / f"{SITE}.key.pub")
