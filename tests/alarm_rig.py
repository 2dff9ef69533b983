"""A site whose rows, devices and clocks a test sets by hand, with the alarms that follow."""

from pathlib import Path
from typing import Any

from event_log import EventLog
from fake_controller import PERIOD_NS, FakeController, directory

from edgectl.alarms import AlarmCommand, Book, Health
from edgectl.alarms.machine import Action, AlarmState, State
from edgectl.image import Segment, SegmentReader, private_segment
from edgectl.services.alarm_feed import AlarmFeed, Clock

BAD, COMMUNICATION = 0, 2
ROWS = (
    # id, group, priority, reset, bypass, tags
    ("IL-ESTOP", "SITE", "critical", "local", "never", ("PCS-01.estop", "PCS-01.estop_b")),
    ("IL-TEMP", "BESS", "high", "operator", "authorised", ("BMS-01.temperature",)),
    ("IL-SOC", "BESS", "low", "auto", "authorised", ("BMS-01.soc",)),
    ("IL-MIX", "BESS", "medium", "auto", "never", ("BMS-01.soc", "GRID-01.active_power")),
    ("IL-IMPORT", "GRID", "high", "auto", "never", ("SITE.import",)),
)
IDS = tuple(row[0] for row in ROWS)
CLEAR, PENDING, TRIPPED, LATCHED = range(4)
SECOND_NS = 1_000_000_000
SETTLED_S = 31.0  # what a row that starts tripped is not annunciated in
QUIET_S = 35.0


def alarm_directory() -> dict[str, Any]:
    """The site `fake` with rows of every priority."""
    made = directory()
    made["interlocks"] = [
        {
            "id": row, "title": f"Title of {row}", "group": group, "priority": priority,
            "reset": reset, "bypass": bypass, "why": f"Why of {row}", "proof_test": "FAT-01",
            "effects": [{"action": "zero", "asset": None}],
            "causes": [{"tag": tag} for tag in tags],
        }
        for row, group, priority, reset, bypass, tags in ROWS
    ]  # fmt: skip
    return made


def command(alarm_id: str, action: Action = Action.ACK, **fields: object) -> AlarmCommand:
    """A request of one person, complete but for minutes."""
    return AlarmCommand.model_validate(
        {"id": alarm_id, "action": action, "by": "op", "reason": "at work"} | fields
    )


class Plant(FakeController):
    """A controller in simulated time: what a test sets stands in the next record."""

    def __init__(
        self, slots: int = 6_000, site: dict[str, Any] | None = None,
        segment: Segment | None = None,
    ) -> None:  # fmt: skip
        segment = segment or private_segment(site or alarm_directory(), slots)
        super().__init__(segment, int(segment.head["start_utc_ns"][0]))
        self.interlocks = [CLEAR] * len(ROWS)
        self.interlock_flags = [0] * len(ROWS)
        self.start_ns = int(self.head["start_ns"][0])
        self.fields: dict[str, Any] = {"first_out_row": -1, "tripped": 0, "overruns": 0}
        self.silent: set[str] = set()
        self.links: dict[str, int] = {}  # fields of every device's link
        self.device_names = [each["device"] for each in alarm_directory()["points"]][:-1]

    @property
    def now_ns(self) -> int:
        """Monotonic time of the next record."""
        return self.start_ns + self.seq * PERIOD_NS

    def write_record(self) -> None:
        super().write_record()
        place = self.seq % len(self.journal)
        record = self.journal[place : place + 1]
        record["head"]["time_ns"] = self.now_ns
        for name, value in self.fields.items():
            record["head"][name] = value
        record["points"]["reason"] = 0
        for at, device in enumerate(self.device_names):
            if device in self.silent:
                record["points"]["quality"][0, at] = BAD
                record["points"]["reason"][0, at] = COMMUNICATION

    def write_snapshot(self) -> None:
        super().write_snapshot()
        for name, value in self.links.items():
            self.image["links"][name] = value

    def set(self, row: str, status: int, flags: int = 0) -> None:
        """The status byte of one row, and its flags."""
        self.interlocks[IDS.index(row)] = status
        self.interlock_flags[IDS.index(row)] = flags


class Rig:
    """Plant and feed, and the time they both see."""

    def __init__(self, directory: Path, plant: Plant | None = None) -> None:
        self.directory = directory
        self.plant = plant or Plant()
        self.log = EventLog()
        self.late_ns = 0  # time that passes without a scan
        self.feed = self.started()

    def started(self) -> AlarmFeed:
        """New services, as after a kill: nothing but the file is left of the old."""
        plant = self.plant
        clock = Clock(
            lambda: plant.now_ns + self.late_ns,
            lambda: plant.utc_ns + plant.seq * PERIOD_NS + self.late_ns,
        )
        feed = AlarmFeed("fake", self.directory, self.log, clock)
        feed.attach(self.reader())
        return feed

    def reader(self) -> SegmentReader:
        return self.plant.segment.reader()

    def killed(self) -> None:
        """SIGKILL and a new start: nothing is saved, the lock is gone with the process."""
        self.feed.close()
        self.feed = self.started()

    def run(self, seconds: float, health: Health | None = None, step: int = 1) -> None:
        """Scans, each taken as it comes, or `step` of them at a time."""
        left = max(1, round(seconds * SECOND_NS / PERIOD_NS))
        while left:
            taken = min(step, left)
            self.plant.run(taken)
            self.feed.pump(health or Health())
            left -= taken

    def settle(self) -> None:
        """Past the start, with every row clear and nothing to say."""
        self.run(QUIET_S, step=50)

    @property
    def book(self) -> Book:
        assert self.feed.book is not None
        return self.feed.book

    def state(self, alarm_id: str) -> AlarmState:
        return self.book.states[alarm_id]

    def shown(self, alarm_id: str) -> State:
        return self.state(alarm_id).shown

    def asking(self) -> set[str]:
        """Alarms that are not normal and not hidden."""
        return {
            each
            for each, state in self.book.states.items()
            if not state.hidden and state.base != State.NORMAL
        }
