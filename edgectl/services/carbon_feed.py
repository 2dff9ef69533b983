"""Grid carbon intensity into the mailbox, with an expiry.

The kernel uses a value until it lapses and then the zone's higher default, with
a flag. A feed that has nothing for now posts nothing: a guess would be worse.
"""

import csv
import json
import math
import time
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.journal import MailKind
from edgectl.accounting.factors import (
    FOREVER_NS,
    TEXT_MAX,
    Factor,
    Kind,
    Scope,
    digest,
    refused,
)
from edgectl.errors import DataError, SegmentError
from edgectl.events import emit
from edgectl.image import Mailbox

POST_EVERY_S = 5.0
TTL_S = 900.0  # how long a value may steer and be booked after the feed is gone
HOLD_NS = 2 * 3_600_000_000_000  # a row holds two steps of the file at most, or this
G_PER_KWH_MAX = 5_000.0  # beyond any grid
MG_PER_G = 1000
VERSION_DIGITS = 12
COLUMNS = {Scope.DIRECT: ("(direct)",), Scope.LIFECYCLE: ("(lca)", "(life cycle)")}
LOCATION_TIME = "datetime (utc)"


Use = Callable[[Factor, float], None]


class CarbonFeed(Protocol):
    """Something that knows the grid's carbon intensity."""

    def at(self, utc_ns: int) -> Factor | None:
        """The location average for this instant; None where it is not known."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class FileFeed:
    """A feed from a file that another program may rewrite at any time.

    .csv    a header and rows of either  utc_ns,g_per_kwh  or
            "Datetime (UTC)", ... "(direct)" as Electricity Maps publishes them;
            a row holds until the next, or for two steps where that is missing;
            of lifecycle factors it is the column "(LCA)" or "(Life cycle)"
    .json   {"g_per_kwh": 412.0}, or {"rows": [[utc_ns, g_per_kwh], ...]}
    .toml   g_per_kwh = 412.0
    """

    def __init__(self, path: Path, zone: str, scope: Scope = Scope.DIRECT) -> None:
        """Read the file. Raises DataError where it is not in one of these forms.

        zone, scope   what the site says that its numbers are of
        """
        self.path = path
        self._of = (zone, scope)
        self._stamp: tuple[int, int] | None = None
        self._times_ns: list[int] = []
        self._factors: list[Factor] = []
        self._reload()

    def at(self, utc_ns: int) -> Factor | None:
        """As CarbonFeed. Raises DataError if the file was rewritten in another form."""
        self._reload()
        place = bisect_right(self._times_ns, utc_ns) - 1
        if place < 0 or utc_ns > self._times_ns[place] + self._hold_ns:
            return None
        return self._factors[place]

    def close(self) -> None:
        """As CarbonFeed; a file is not kept open."""

    def _reload(self) -> None:
        try:
            status = self.path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if stamp == self._stamp:
                return
            content = self.path.read_bytes()
            rows = sorted(_read(self.path.suffix, content, self._of[1]))
        except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(
                where=str(self.path),
                problem=f"no grid carbon intensity could be read: {error}",
                because="Without a feed the zone's higher default is booked, and flagged.",
                remedy="Write rows of utc_ns,g_per_kwh under that header.",
            ) from error
        step_ns = rows[-1][0] - rows[-2][0] if len(rows) > 1 else HOLD_NS
        constant = len(rows) == 1 and rows[0][0] == 0
        self._hold_ns = FOREVER_NS if constant else min(HOLD_NS, 2 * step_ns)
        self._times_ns = [utc_ns for utc_ns, _ in rows]
        self._factors = self._made(rows, digest(content), status.st_mtime_ns)
        self._stamp = stamp

    def _made(self, rows: list[tuple[int, float]], sha256: str, written_ns: int) -> list[Factor]:
        """Each row as a factor that ends where the next begins; a file's version is its hash."""
        zone, scope = self._of
        ends = [*(utc_ns for utc_ns, _ in rows[1:]), FOREVER_NS]
        return [
            Factor(
                round(g_per_kwh * MG_PER_G), Kind.AVERAGE, scope, zone,
                f"file {self.path.name}"[:TEXT_MAX], sha256[:VERSION_DIGITS], utc_ns,
                max(utc_ns + 1, min(end_ns, utc_ns + self._hold_ns)), written_ns, False, sha256,
            )
            for (utc_ns, g_per_kwh), end_ns in zip(rows, ends, strict=True)
        ]  # fmt: skip


class CarbonPoster:
    """Posts a feed's value every few seconds."""

    def __init__(
        self, feed: CarbonFeed, site: str, log: Any, ttl_s: float = TTL_S,
        use: Use = lambda _factor, _ttl_s: None,
    ) -> None:  # fmt: skip
        """Nothing is posted before the first poll.

        feed    where the values come from
        site    id of the site whose controller gets them
        ttl_s   s that a value stays good
        use     is told of each before it is posted: what is booked with it can then be named
        """
        self.feed = feed
        self.site = site
        self.ttl_s = ttl_s
        self._use = use
        self.posted = 0
        self._log = log
        self._due_s = 0.0
        self._failed = False

    def poll(self) -> None:
        """Post when it is due. A failure is said once and tried again."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        self._due_s = now_s + min(POST_EVERY_S, self.ttl_s / 3)
        try:
            factor = self.feed.at(time.time_ns())
            if factor is None:
                raise DataError(
                    where="carbon feed",
                    problem="it has no value for now",
                    because="An old value is not today's grid.",
                    remedy="Bring the feed up to date.",
                )
            value = _held(factor).mg_per_kwh / MG_PER_G
            self._use(factor, self.ttl_s)
            with Mailbox(self.site) as mailbox:
                mailbox.put(
                    MailKind.MAIL_GRID_CARBON, 0, value, RequestSource.SOURCE_PLAN, self.ttl_s
                )
        except (DataError, SegmentError) as error:
            if not self._failed:
                emit(self._log, "carbon.feed_failed", path=error.where, error=error.problem)
            self._failed = True
            return
        self._failed = False
        self.posted += 1


def _held(factor: Factor) -> Factor:
    """The one door to the controller. Raises DataError for what is no location average."""
    if factor.kind is not Kind.AVERAGE:
        raise refused(
            factor.source,
            f"it is a {factor.kind} factor; what is booked is the {Kind.AVERAGE}",
            "Ask the source for its average series.",
        )
    return factor


def _read(suffix: str, content: bytes, scope: Scope) -> list[tuple[int, float]]:
    """Rows of time and value. A single row at time 0 is a constant."""
    text = content.decode()
    if suffix == ".csv":
        rows = _csv_rows(list(csv.reader(text.splitlines())), scope)
    else:
        said = tomllib.loads(text) if suffix == ".toml" else json.loads(text)
        if "g_per_kwh" in said:
            rows = [(0, float(said["g_per_kwh"]))]
        else:
            rows = [(int(row[0]), float(row[1])) for row in said["rows"]]
    if not rows:
        raise ValueError("it has no rows")
    for utc_ns, value in rows:
        if not (math.isfinite(value) and 0.0 <= value <= G_PER_KWH_MAX):
            raise ValueError(f"{value} g/kWh is not between 0 and {G_PER_KWH_MAX:g}")
        if not 0 <= utc_ns < FOREVER_NS - HOLD_NS:
            raise ValueError(f"{utc_ns} is no time in ns UTC")
    return rows


def _csv_rows(lines: Sequence[Sequence[str]], scope: Scope) -> list[tuple[int, float]]:
    if not lines:
        raise ValueError("it is empty")
    header = [name.strip().lower() for name in lines[0]]
    body = [line for line in lines[1:] if line]
    if LOCATION_TIME in header:
        when = header.index(LOCATION_TIME)
        what = [name.endswith(COLUMNS[scope]) for name in header].index(True)
        return [(_utc_ns(line[when]), float(line[what])) for line in body if line[what]]
    when, what = header.index("utc_ns"), header.index("g_per_kwh")
    return [(int(line[when]), float(line[what])) for line in body]


def _utc_ns(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 10**9
