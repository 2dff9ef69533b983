"""The one line of `edgectl top` that the alarms' file gives; nothing where nobody writes it."""

import time
from collections.abc import Callable
from pathlib import Path

from edgectl.alarms import AlarmStore, Book
from edgectl.alarms.book import asks
from edgectl.cli.alarms_view import counts_line
from edgectl.cli.top_model import Level, Notice
from edgectl.errors import AlarmError

READ_S = 1.0  # the picture is drawn more often than alarms change
OLD_S = 30.0
URGENT = ("high", "critical")


class AlarmLine:
    """Reads the file now and then."""

    def __init__(
        self, directory: Path, clock: Callable[[], float] = time.monotonic,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        """Nothing is opened before the first look."""
        self._directory = directory
        self._clock, self._utc_ns = clock, utc_ns
        self._due_s = 0.0
        self._notices: tuple[Notice, ...] = ()

    def notices(self, site: str) -> tuple[Notice, ...]:
        """One notice, or none."""
        now_s = self._clock()
        if now_s >= self._due_s:
            self._due_s = now_s + READ_S
            self._notices = self._look(site)
        return self._notices

    def _look(self, site: str) -> tuple[Notice, ...]:
        try:
            with AlarmStore.reader(site, self._directory) as store:
                book = store.book()
        except AlarmError:  # no services, or no such directory: the view goes on without
            return ()
        if self._utc_ns() - book.now_ns > OLD_S * 1e9:
            return ()
        hidden = any(s.shelved_until_ns or s.out_of_service for s in book.states.values())
        if level_of(book) == Level.NORMAL and not hidden:
            return ()
        return (Notice(level_of(book), f"Alarms: {counts_line(book)}"),)


def level_of(book: Book) -> Level:
    """Red while something urgent is unacknowledged, amber while anything asks."""
    shown = [each for each, state in book.states.items() if asks(state)]
    if any(book.states[each].owed and book.specs[each].priority in URGENT for each in shown):
        return Level.TRIP
    return Level.ATTENTION if shown else Level.NORMAL
