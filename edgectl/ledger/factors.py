"""Which emission factor stood behind a scan: FACTOR records, and how a second names them.

A FACTOR record says all that is known of one published value, in one canonical map. Its name is the
first 8 bytes of the SHA-256 of that map's bytes, so that whoever has the record can check the name.
It is appended before the value goes to the controller, and again after START or NAMES before the
first second that names it: an hour can be read alone.

A second names the factors of its scans, each with the scans it was booked in and how long its time
was then over. Who is named is decided by what the controller itself journaled: the value it booked
with must be that of a factor posted before the scan and still good. What fits none is counted as
unknown, and named after nobody; scans with the zone's default are counted as such.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

import msgpack
import numpy as np

from edgectl.errors import DataError
from edgectl.image.mailbox import TTL_MAX_S
from edgectl.ledger.payload import (
    FACTOR_NAME_BYTES,
    NAMED,
    SECOND_NS,
    Array,
    Kind,
    Payload,
    Said,
    canonical,
)
from edgectl.ledger.store import Ledger

LOCATION_AVERAGE = "location average"  # what the controller books with, and nothing else
AGE_MAX_S = 2**31 - 1
POSTS_MAX = 256  # one every 5 s reaches back further than a posted value stays good
TAKEN_NS = SECOND_NS  # a scan that began so much before a post may have taken it
READ_BACK = (1_000, 25_000)  # records in which the last factors of a ledger are looked for


@dataclass(frozen=True, slots=True)
class UsedFactor:
    """One published value with what is known of it, as a FACTOR record has it.

    method         LOCATION_AVERAGE; others are refused
    scope          direct or lifecycle
    version        of the source's model, or what names its file
    sha256         of the bytes that it was read from, hex
    valid_to_ns    exclusive; None where it has no end
    published_ns   when its source says it was made; when it was read, where it does not
    u_ratio        standard uncertainty, relative, as the site declares it
    """

    source: str
    method: str
    scope: str
    zone: str
    version: str
    sha256: str
    mg_per_kwh: int
    valid_from_ns: int
    valid_to_ns: int | None
    published_ns: int
    estimated: bool = False
    u_ratio: float | None = None

    def content(self) -> bytes:
        """The bytes that a FACTOR record has, and that its name is taken from."""
        return canonical({name: getattr(self, name) for name in self.__slots__})

    @property
    def name(self) -> bytes:
        """By which seconds name it."""
        return name_of(self.content())

    def age_s(self, utc_ns: int) -> int:
        """Whole seconds that its time is over; below 0 where it has not begun, 0 within it."""
        over_ns = 0
        if utc_ns < self.valid_from_ns:
            over_ns = utc_ns - self.valid_from_ns
        elif self.valid_to_ns is not None and utc_ns >= self.valid_to_ns:
            over_ns = utc_ns - self.valid_to_ns
        return max(-AGE_MAX_S, min(AGE_MAX_S, over_ns // SECOND_NS))


@dataclass(frozen=True, slots=True)
class Named:
    """The factors of one second.

    used     in the order of their first scan
    public   what each part of the SECOND record says of them
    """

    used: tuple[UsedFactor, ...]
    said: Payload


@dataclass(frozen=True, slots=True)
class _Post:
    """A value in the controller's mailbox; first_ns None: since before this process began."""

    factor: UsedFactor
    name: bytes
    first_ns: int | None
    until_ns: int


def name_of(content: bytes) -> bytes:
    """By which a second names the FACTOR record with this content."""
    return sha256(content).digest()[:FACTOR_NAME_BYTES]


def factor_said(factor: UsedFactor) -> Said:
    """A FACTOR record: all may see it."""
    return Said({"factor": factor.content()})


def factor_of(public: Mapping[str, Any]) -> UsedFactor | None:
    """What a FACTOR record says; None where it says it in a way that is not known here."""
    try:
        said = dict(msgpack.unpackb(public["factor"], raw=False))
        return UsedFactor(**{name: said[name] for name in UsedFactor.__slots__})
    except (KeyError, TypeError, ValueError, msgpack.UnpackException):
        return None


def named_in(part: Mapping[str, Any]) -> list[tuple[bytes, int, int]]:
    """Name, scans and age in s of each factor that a part of a SECOND record names."""
    return list(NAMED.iter_unpack(part.get("factors", b"")))


class FactorsInForce:
    """What was posted to the controller, newest last."""

    def __init__(self) -> None:
        """Nothing is known: what is booked then is of an unknown factor."""
        self._posts: deque[_Post] = deque(maxlen=POSTS_MAX)
        self.recalled = False  # once is enough: a ledger opened again says nothing new

    def recall(self, factors: Iterable[UsedFactor], now_ns: int) -> None:
        """Take what a ledger's last FACTOR records say: one may still be in force.

        They come before what was posted meanwhile: services that start ask their feed at once,
        and may open the ledger later.
        """
        self.recalled = True
        until_ns = now_ns + int(TTL_MAX_S) * SECOND_NS
        before = [
            _Post(each, each.name, None, until_ns)
            for each in sorted(factors, key=lambda one: (one.valid_from_ns, one.published_ns))
        ]
        self._posts = deque([*before, *self._posts], POSTS_MAX)

    def post(self, factor: UsedFactor, now_ns: int, ttl_ns: int) -> UsedFactor:
        """Note that this one goes to the controller now, on the monotonic clock.

        ttl_ns   how long the controller keeps it unless it is posted again

        Returns it as it was first known: a source that is read again says nothing new.
        Raises DataError for what is no location average.
        """
        if factor.method != LOCATION_AVERAGE:
            raise DataError(
                where=f"emission factor of {factor.source}",
                problem=f"it is a {factor.method} of {factor.zone}, not a {LOCATION_AVERAGE}",
                because="Average, market and marginal carbon are never mixed in one ledger.",
                remedy="Give the source's average series to the controller.",
            )
        known = next((each for each in reversed(self._posts) if _same(each.factor, factor)), None)
        used = known.factor if known else factor
        until_ns = now_ns + ttl_ns
        if self._posts and self._posts[-1].factor == used:
            self._posts[-1] = replace(self._posts[-1], until_ns=until_ns)
        else:
            self._posts.append(_Post(used, used.name, now_ns, until_ns))
        return used

    def named(self, head: Array) -> Named:
        """The factors of one second's scans, from the heads of their journal records."""
        default, mg = head["carbon_default"] != 0, head["grid_mg_per_kwh"]
        turns = np.flatnonzero((mg[1:] != mg[:-1]) | (default[1:] != default[:-1])) + 1
        found: dict[bytes, tuple[UsedFactor, int, int]] = {}
        unknown = 0
        for low, high in pairwise([0, *turns.tolist(), len(head)]):
            if default[low]:
                continue
            post = self._of(int(mg[low]), int(head["time_ns"][low]))
            if post is None:
                unknown += high - low
                continue
            before = found[post.name][1] if post.name in found else 0
            age_s = post.factor.age_s(int(head["utc_ns"][high - 1]))
            found[post.name] = post.factor, before + high - low, age_s
        rows = [NAMED.pack(name, scans, age_s) for name, (_, scans, age_s) in found.items()]
        said = {"factors": b"".join(rows), "factor_unknown_scans": unknown}
        return Named(tuple(factor for factor, _, _ in found.values()), said)

    def _of(self, mg_per_kwh: int, time_ns: int) -> _Post | None:
        """The newest post that a scan of this time can have booked this value with."""
        for post in reversed(self._posts):
            begun = post.first_ns is None or post.first_ns <= time_ns + TAKEN_NS
            over = time_ns > post.until_ns + TAKEN_NS
            if begun and not over and post.factor.mg_per_kwh == mg_per_kwh:
                return post
        return None


def _same(one: UsedFactor, other: UsedFactor) -> bool:
    """The same value of the same bytes, whenever it was read."""
    return replace(one, published_ns=0) == replace(other, published_ns=0)


def last_factors(ledger: Ledger) -> list[UsedFactor]:
    """Those of the newest FACTOR records, each once. Raises LedgerError."""
    found: dict[bytes, UsedFactor] = {}
    for back in READ_BACK:
        for row in ledger.rows(Kind.FACTOR, max(0, ledger.next_seq - back)):
            factor = factor_of(row.public)
            if factor is not None:
                found[factor.name] = factor
        if found:
            break
    return list(found.values())[-POSTS_MAX:]
