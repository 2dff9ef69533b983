"""Heartbeat to the controller: the services live, and whether the ledger can be written.

The controller decides nothing by it but what its rows say: control goes on
without services, and a row tells the operator.
"""

import time

from edgectl._kernel.journal import MailKind
from edgectl.errors import MailboxFullError, SegmentError
from edgectl.image import Mailbox

POST_EVERY_S = 2.0
TTL_S = 10.0


class HealthPoster:
    """Tells the controller every few seconds that its services live."""

    def __init__(self, site: str) -> None:
        """Nothing is posted before the first poll.

        site  id of the site whose controller is told
        """
        self.site = site
        self.posted = 0
        self._due_s = 0.0
        self._told: bool | None = None

    def poll(self, *, ledger_fails: bool) -> None:
        """Post when it is due, and at once when the ledger begins or ends to fail.

        A controller that is gone, or whose mailbox is full, is told the next time.
        """
        now_s = time.monotonic()
        if now_s < self._due_s and ledger_fails == self._told:
            return
        self._due_s = now_s + POST_EVERY_S
        try:
            with Mailbox(self.site) as mailbox:
                mailbox.put(MailKind.MAIL_SERVICES, 0, float(ledger_fails), 0, TTL_S)
        except (SegmentError, MailboxFullError):
            return
        self._told = ledger_fails
        self.posted += 1
