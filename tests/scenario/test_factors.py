"""A feed, the services' loop and a controller that takes its mail, in simulated time."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import verify_ledger as stranger
from event_log import EventLog
from factor_rig import BookingController
from fake_controller import PERIOD_NS, UTC_NS, directory
from ledger_rig import TENANTS

from edgectl._kernel.journal import MailKind
from edgectl.accounting.factors import Scope
from edgectl.image import create_segment
from edgectl.ledger import Kind, Ledger
from edgectl.ledger.factors import factor_of, name_of
from edgectl.ledger.keys import load_public
from edgectl.reports.receipt import make_receipt
from edgectl.services import FileFeed, Services, Settings, carbon_feed

BEGIN_S = UTC_NS // 10**9
TTL_S = 30.0
STEP_S = 60  # of the file
ROWS = (310.0, 320.5, 330.25)


class Plant:
    """The controller's side: mail in, scans out, values that lapse."""

    def __init__(self, where: Path) -> None:
        said = directory() | {"tenants": TENANTS, "factor_u_ratio": 0.1}
        self.segment = create_segment("fake", said, 10.0, PERIOD_NS)
        self.segment.head["start_utc_ns"] = UTC_NS
        self.fake = BookingController(self.segment, UTC_NS)
        self.where, self.until_s = where, 0.0
        self.services = self.serve()

    def serve(self) -> Services:
        feed = FileFeed(self.where / "grid.csv", "US-TEX-ERCO", Scope.DIRECT)
        settings = Settings("fake", self.where / "data", mqtt_port=0, carbon_ttl_s=TTL_S)
        return Services(settings, EventLog(), feed)

    @property
    def now_s(self) -> float:
        return self.fake.seq * PERIOD_NS / 1e9

    def take(self) -> None:
        """Take all mail as the kernel does; a value that is not renewed lapses."""
        head, slots = self.segment.head, self.segment.mailbox
        for at in range(int(head["mailbox_tail"][0]), int(head["mailbox_head"][0])):
            mail = slots[at % len(slots)]
            if mail["kind"] == MailKind.MAIL_GRID_CARBON:
                self.fake.mg = round(float(mail["value"]) * 1000)
                self.until_s = self.now_s + TTL_S
        head["mailbox_tail"] = head["mailbox_head"]
        if self.now_s >= self.until_s:
            self.fake.mg = None

    def run(self, seconds: int, *, served: bool = True) -> None:
        for _ in range(seconds):
            for scan in range(10):
                self.take()
                self.fake.run(1)
                if served and scan == 4:  # a mail lies until the next scan
                    self.services.tick()


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    rows = [f"{(BEGIN_S + at * STEP_S) * 10**9},{value}" for at, value in enumerate(ROWS)]
    (tmp_path / "grid.csv").write_text("\n".join(["utc_ns,g_per_kwh", *rows]) + "\n")
    made = Plant(tmp_path)
    clock = SimpleNamespace(
        monotonic=lambda: made.now_s, time_ns=lambda: UTC_NS + made.fake.seq * PERIOD_NS
    )
    monkeypatch.setattr(carbon_feed, "time", clock)
    return made


def test_through_a_restart_and_a_lost_feed_every_second_names_its_factor(plant: Plant) -> None:
    plant.run(90)
    plant.services.close()
    plant.run(20, served=False)  # nobody reads; the value that was posted stays good
    plant.services = plant.serve()
    plant.run(100)
    (plant.where / "grid.csv").write_text("utc_ns,g_per_kwh\n1,-5\n")
    plant.run(60)  # what it says is refused: the value lapses, the default stands in
    plant.services.close()

    truth = plant.fake.truth
    booked = [0, 0]
    told, order = {}, []
    with Ledger("fake", plant.where / "data", read_only=True) as ledger:
        for row in ledger.rows():
            if row.kind is Kind.FACTOR:
                told[name_of(row.public["factor"]).hex()] = factor_of(row.public)
            if row.kind is not Kind.SECOND:
                continue
            content = row.content()
            named = {told[name].mg_per_kwh: scans for name, scans, _ in content["factors"]}
            own = truth[row.first_seq : row.last_seq + 1]
            assert named == {mg: own.count(mg) for mg in set(own) - {None}}
            assert content["carbon_default_scans"] == own.count(None)
            assert content["factor_unknown_scans"] == 0
            booked[0] += sum(named.values())
            booked[1] += content["carbon_default_scans"]
            order += [mg for mg in named if mg not in order]
        receipt = make_receipt(ledger, "acme", BEGIN_S, BEGIN_S + 200)
    assert order == [round(each * 1000) for each in ROWS]
    assert booked[0] > 2_000
    assert booked[1] > 100, "at first before any mail, at the end after the feed"
    assert {each.u_ratio for each in told.values()} == {0.1}
    path = plant.where / "acme.receipt"
    path.write_bytes(receipt)
    key = load_public(plant.where / "data" / "fake.key.pub")
    summary = stranger.verify_receipt(path, key)
    assert [each["mg_per_kwh"] for each in summary["factors"]] == order
    plant.segment.close()
