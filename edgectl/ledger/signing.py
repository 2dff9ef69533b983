"""Signed heads over time: when they are due, with which key, and who is told.

A key that is not there is made: a ledger is never unsigned. Witnesses are directories, into which
each head goes as a file of its own, or URLs, to which it is posted. One that cannot be reached
delays nothing; heads wait for it in order, and only so many.
"""

import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from edgectl.errors import KeyFileError
from edgectl.ledger.clock import ClockState
from edgectl.ledger.heads import TreeHead
from edgectl.ledger.keys import (
    Signer,
    generate,
    load_private,
    next_path,
    take_next,
)
from edgectl.ledger.seal import write_durably
from edgectl.ledger.store import Ledger

HEADS_WAITING_MAX = 1_000  # for one witness: six weeks of hours
POST_TIMEOUT_S = 10.0
RETRY_S = 60.0
HEAD_INTERVAL_S = 3600.0

Told = Callable[[str, str | None], None]  # witness, what went wrong or None


@dataclass(frozen=True, slots=True)
class SigningPolicy:
    """The site file's [ledger] section."""

    key: Path | None = None  # None: beside the ledger
    witnesses: tuple[str, ...] = ()
    interval_s: float = HEAD_INTERVAL_S


def key_path(policy: SigningPolicy, site: str, directory: Path) -> Path:
    """Where the signing key of a site lies."""
    return policy.key or directory / f"{site}.key"


class KeyRing:
    """The signing key of a ledger, and the one that waits to follow it."""

    def __init__(self, path: Path, *, make: bool = True) -> None:
        """Read the key, or make it where there is none.

        make   a new ledger gets a new key; one that has heads needs its own

        Raises KeyFileError where it is readable by others, or no key.
        """
        self.path = path
        self.made = make and not path.exists() and not next_path(path).exists()
        self.signer: Signer = generate(path) if self.made else load_private(path)

    def settle(self, ledger: Ledger) -> None:
        """Give the ledger its signer, and finish a rotation that a crash cut off.

        Raises KeyFileError where the ledger goes on with another key.
        """
        last = ledger.last_head
        expected = None if last is None else last.next_key or last.key
        if expected not in (None, self.signer.public) and next_path(self.path).exists():
            waiting = load_private(next_path(self.path))
            if waiting.public == expected:
                self.signer = take_next(self.path, self.signer)
        if expected not in (None, self.signer.public):
            raise KeyFileError(
                where=str(self.path),
                problem="it is not the key that the ledger's last signed head names",
                because="Heads signed with another key would not verify against those before.",
                remedy="Bring the ledger's own key back, or begin a ledger in a new directory.",
            )
        ledger.signer = self.signer

    def sign(self, ledger: Ledger, reason: str, clock: ClockState) -> list[TreeHead]:
        """Sign the tree as it stands, and hand over to the next key if one waits.

        Raises LedgerError where a head cannot be written, KeyFileError for a bad key.
        """
        heads = []
        if next_path(self.path).exists():
            follower = load_private(next_path(self.path))
            heads.append(ledger.sign("key", clock.utc_ns, clock.quality, follower.public))
            self.signer = ledger.signer = take_next(self.path, self.signer)
            reason = "key" if reason == "interval" else reason
        heads.append(ledger.sign(reason, clock.utc_ns, clock.quality))
        return [head for head in heads if head is not None]


class Witnesses:
    """Sends heads to where others keep them, in a thread of its own for each."""

    def __init__(self, places: tuple[str, ...], told: Told) -> None:
        """Begin.

        places   directories, or URLs that take a POST
        told     is called when one fails for the first time, and when it is there again
        """
        self._queues: list[queue.Queue[TreeHead | None]] = []
        self._threads = []
        self._stop = threading.Event()
        for place in places:
            waiting: queue.Queue[TreeHead | None] = queue.Queue(HEADS_WAITING_MAX)
            thread = threading.Thread(
                target=self._serve, args=(place, waiting, told), name="witness", daemon=True
            )
            self._queues.append(waiting)
            self._threads.append(thread)
            thread.start()

    def send(self, head: TreeHead) -> None:
        """Hand a head to every witness; the oldest waiting one gives way where none has room."""
        for waiting in self._queues:
            while True:
                try:
                    waiting.put_nowait(head)
                    break
                except queue.Full:
                    waiting.get_nowait()

    def close(self, timeout_s: float = 2.0) -> None:
        """Let each send what it has, for so long."""
        for waiting in self._queues:
            with suppress(queue.Full):  # then it is stopped where it waits
                waiting.put_nowait(None)
        for thread in self._threads:
            thread.join(timeout_s)
        self._stop.set()

    def _serve(self, place: str, waiting: "queue.Queue[TreeHead | None]", told: Told) -> None:
        failing = False
        while (head := waiting.get()) is not None:
            while (error := deliver(place, head)) is not None:
                if not failing:
                    told(place, error)
                failing = True
                if self._stop.wait(RETRY_S):
                    return
            if failing:
                told(place, None)
            failing = False


def deliver(place: str, head: TreeHead) -> str | None:
    """Give one head to one witness; None where it was taken, else what went wrong."""
    try:
        if place.startswith(("http://", "https://")):
            request = urllib.request.Request(
                place, head.document(), {"Content-Type": "application/json"}, method="POST"
            )
            with urllib.request.urlopen(request, timeout=POST_TIMEOUT_S):
                return None
        directory = Path(place)
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{head.site}-{head.number:08d}.head.json"
        if path.exists() and path.read_bytes() != head.document():
            return f"{path.name} is there already and says something else"
        write_durably(path, head.document())
    except (OSError, urllib.error.URLError, ValueError) as error:
        return str(error)
    return None
