"""A simulated campus, armed and reset, whose rows a test trips: by a proof test's value."""

from typing import Any

from physics_rig import SITE, TABLES, PhysicsRig

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl.image import post, private_segment

ROWS = {row.id: at for at, row in enumerate(SITE.interlocks)}
MAINTENANCE_S = 3600.0


class TripRig(PhysicsRig):
    """Plant and kernel with a journal of some minutes, every row clear and the site armed.

    slots  of the journal
    """

    def __init__(
        self, slots: int = 2048, *, settle: bool = True, scenario: str = "steady", **options: Any
    ) -> None:
        super().__init__(arm=True, scenario=scenario, **options)
        self.slots = slots
        self.restart()
        if settle:
            self.settle()

    def restart(self) -> None:
        """Another controller at the same plant; nobody has scanned yet."""
        self.segment = private_segment(TABLES.directory, self.slots)
        self.reader = self.segment.reader()
        self.kernel = Kernel(TABLES, self.segment.buffer)

    def settle(self) -> None:
        """Arm, and let every row clear that may."""
        self.post(MailKind.MAIL_ARM, -1, 0.0, 0)
        self.scans(25)
        self.scans(620)  # the longest off-delay of a row but the grid code's is a minute
        self.post(MailKind.MAIL_RESET, -1, 0.0, int(Reset.RESET_OPERATOR))
        self.scans(2)

    def inject(self, row: str, value: float, cause: int = 0, scans: int = 3) -> None:
        """Trip a row by a value beside its cause's real one, for so many scans from the next."""
        place = ROWS[row]
        operator = int(Reset.RESET_OPERATOR)
        self.post(MailKind.MAIL_MAINTENANCE, -1, MAINTENANCE_S, operator)
        self.scans(1)
        now_ns = int(self.reader.snapshot()["record"]["time_ns"])
        mail = (int(MailKind.MAIL_INJECT), place, value, cause)
        expiry_ns = now_ns + (scans + 1) * SITE.scan.period_ns
        post(self.segment.head, self.segment.mailbox, *mail, expiry_ns)
        self.scans(scans)

    def want(self, battery: int, power_w: float) -> None:
        """An operator's request that never lapses."""
        self.post(MailKind.MAIL_STORAGE_W, battery, power_w, int(RequestSource.SOURCE_OPERATOR))

    def put_to_work(self, power_w: float) -> None:
        """Both batteries at so much, and there."""
        for battery in range(2):
            self.want(battery, power_w)
        self.scans(30)

    def row(self, row: str) -> Any:
        """State of a row in the newest image."""
        return self.reader.snapshot()["interlocks"][ROWS[row]]

    def opens(self) -> bool:
        """Whether the breakers were asked to open, as the I/O module reads it back."""
        point = TABLES.point_index["IO-01.open_request_readback"]
        return bool(self.reader.snapshot()["samples"]["value"][point])

    @property
    def record(self) -> Any:
        """The newest record."""
        return self.reader.journal(self.reader.journal_head - 1).records[0]

    @property
    def now_ns(self) -> int:
        """Monotonic of the last scan, simulated."""
        return int(self.record["head"]["time_ns"])
