"""Reset, bypass and maintenance mode, asked for by a person and confirmed.

The kernel counts what it refuses and does not say why, so the rules are held against the
snapshot here first; the same rules stand in ext/authority.pyx, which has the last word. Who
asked and why is noted in a file beside the segment, for the events and for whoever looks.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl.errors import EdgectlError
from edgectl.image.changes import BUTTON
from edgectl.image.mailbox import Mailbox
from edgectl.image.reader import SegmentReader
from edgectl.profiles.problems import did_you_mean

BYPASS_S_MAX = 28_800  # of authority.pxd: IEC 61511-1 11.7, 8 h, a shift
MAINTENANCE_S_MAX = 3600
ASK_S = 2.0  # a request lapses after it, and is confirmed within it
LOOK_S = 0.05
RESET_NOTED_S = 10.0  # a reader of the journal may be so far behind what was done
LATCHED = int(InterlockStatus.INTERLOCK_LATCHED)
TRIPPED = int(InterlockStatus.INTERLOCK_TRIPPED)
S_PER_H = 3600.0
NS_PER_S = 1_000_000_000
WHO = {
    "local": BUTTON,
    "restart": "a restart of the controller",
    "auto": "its own off-delay",
}


class RefusedError(EdgectlError):
    """A rule forbids what was asked, or the controller did not do it."""


class Person:
    """Asks a running controller for what an operator may."""

    def __init__(
        self,
        reader: SegmentReader,
        mailbox: Mailbox,
        by: str,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """reader and mailbox are of the same segment; wait lets time pass between two looks.

        Raises RefusedError where no controller runs.
        """
        self.reader, self.mailbox, self.by, self._wait = reader, mailbox, by, wait
        self.rows = reader.directory["interlocks"]
        if not reader.alive():
            raise RefusedError(
                where=str(reader.path or "the segment"),
                problem="its controller does not run",
                because="Nobody would take the request.",
                remedy="Start it: edgectl run SITE.",
            )

    def reset(self, name: str | None) -> list[str]:
        """Clear the latch of a row, or of all that may be: ids of those that were cleared.

        Raises RefusedError with the reason where none was.
        """
        before = self.reader.snapshot()["interlocks"]
        rows = range(len(self.rows)) if name is None else [self._row(name)]
        reasons = {at: why_no_reset(self.rows[at], before[at]) for at in rows}
        able = [at for at in rows if not reasons[at]]
        refusal = reasons[rows[0]]
        if name is not None and refusal:
            self._refuse(name, *refusal)
        if not able:
            return []
        for at in able:
            self._note("reset", self.rows[at]["id"], "", RESET_NOTED_S)
        self._put(MailKind.MAIL_RESET, -1 if name is None else able[0], 0.0)
        cleared = self._until(lambda image: [at for at in able if _cleared(before, image, at)])
        for at in able:
            if at not in cleared:  # whoever resets it next was not this person
                self._note("reset", self.rows[at]["id"], "", 0.0)
        if not cleared:
            self._refuse(
                name or "all rows",
                "no row was cleared within 2 s",
                "The cause came back in the meantime, or the controller is busy.",
                "Look again: edgectl interlocks status.",
            )
        return [str(self.rows[at]["id"]) for at in cleared]

    def bypass(self, name: str, length_s: float, reason: str) -> float:
        """Take a row's effects away for a time: s that are left. Length 0 gives them back.

        Raises RefusedError with the rule that forbids it.
        """
        at = self._row(name)
        before = self.reader.snapshot()
        refusal = why_no_bypass(self.rows, before, at, length_s, reason)
        if refusal:
            self._refuse(name, *refusal)
        self._note("bypass", name, reason, length_s)
        self._put(MailKind.MAIL_BYPASS, at, length_s)
        then_ns = int(before["interlocks"][at]["bypass_until_ns"])

        def done(image: Any) -> list[int]:
            until_ns = int(image["interlocks"][at]["bypass_until_ns"])
            left = until_ns > int(image["record"]["time_ns"])
            return [until_ns] if left == (length_s > 0) and until_ns != then_ns else []

        found = self._until(done) if length_s > 0 or then_ns else [0]
        if not found:
            self._refuse(
                name,
                "the controller did not take it within 2 s",
                "Its rules have the last word.",
                "Look: edgectl interlocks status.",
            )
        return max(0.0, (found[0] - int(before["record"]["time_ns"])) / NS_PER_S)

    def maintenance(self, length_s: float, reason: str) -> None:
        """Enter maintenance mode for a time, or leave it with length 0.

        Raises RefusedError with the rule that forbids it.
        """
        if length_s > MAINTENANCE_S_MAX:
            self._refuse(
                "maintenance",
                f"{length_s / 60:g} min; at most 60 are allowed",
                "A mode that is forgotten is the plant's normal state.",
                "Enter it again when the hour is over.",
            )
        self._note("maintenance", "", reason, length_s)
        self._put(MailKind.MAIL_MAINTENANCE, -1, length_s)
        wanted = length_s > 0
        if not self._until(lambda image: [1] * (bool(image["record"]["maintenance"]) == wanted)):
            self._refuse(
                "maintenance",
                "the controller did not take it within 2 s",
                "Its rules have the last word.",
                "Look: edgectl interlocks status.",
            )

    def _row(self, name: str) -> int:
        names = [str(each["id"]) for each in self.rows]
        if name not in names:
            self._refuse(
                name,
                "there is no such interlock",
                "Nothing was asked of the controller.",
                did_you_mean(name, names),
            )
        return names.index(name)

    def _put(self, kind: MailKind, target: int, value: float) -> None:
        self.mailbox.put(kind, target, value, Reset.RESET_OPERATOR, ASK_S)

    def _until(self, look: Callable[[Any], list[int]]) -> list[int]:
        """What the snapshot shows once it shows something; empty when it does not in time."""
        for _ in range(round(ASK_S / LOOK_S)):
            self._wait(LOOK_S)
            found = look(self.reader.snapshot())
            if found:
                return found
        return []

    def _refuse(self, where: str, problem: str, because: str, remedy: str) -> None:
        raise RefusedError(where=where, problem=problem, because=because, remedy=remedy)

    def _note(self, action: str, row: str, reason: str, length_s: float) -> None:
        """Write down who asked, before it is done: what is done unnamed cannot be asked about."""
        if self.reader.path is None:
            return
        utc_s = time.time()
        entry = {
            "action": action,
            "interlock": row,
            "by": self.by,
            "reason": reason,
            "utc_s": utc_s,
            "until_utc_s": utc_s + length_s,
        }
        with notes_path(self.reader.path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _cleared(before: Any, image: Any, at: int) -> bool:
    """Whether a row left its latch: it is clear, or its cause is back after it was."""
    now = image["interlocks"][at]
    return int(now["status"]) < TRIPPED or int(now["trips"]) > int(before[at]["trips"])


def why_no_reset(row: Any, state: Any) -> tuple[str, str, str] | None:
    """Problem, reason and remedy where an operator may not reset a row now; None where he may."""
    status, cause = int(state["status"]), bool(state["cause"])
    if status < TRIPPED:
        return ("it is not tripped", "There is nothing to reset.", "None is needed.")
    if cause or status == TRIPPED:
        causes = ", ".join(str(each["tag"]) for each in row["causes"])
        return (
            f"its cause stands: {causes}",
            "Reset while it stands, it would trip at once.",
            "Remove the cause first.",
        )
    reset = str(row["reset"])
    if reset == "auto" and state["locked"]:
        return None
    if reset in WHO:
        return (
            f"it is reset by {WHO[reset]} only",
            f"The row says so: reset = {reset}.",
            "Wait for it." if reset == "auto" else "Have somebody look on site.",
        )
    return None


def why_no_bypass(
    rows: Any, image: Any, at: int, length_s: float, reason: str
) -> tuple[str, str, str] | None:
    """Problem, reason and remedy where a row may not be bypassed so; None where it may."""
    row, now_ns = rows[at], int(image["record"]["time_ns"])
    if length_s <= 0:
        return None
    if row["bypass"] != "authorised":
        return (
            "it may never be bypassed",
            "What it stops harms people or cannot be undone.",
            "Remove its cause. E-stop, fire and BMS trip have no way around.",
        )
    if length_s > BYPASS_S_MAX:
        return (
            f"{length_s / S_PER_H:g} h; at most 8 h are allowed",
            "A bypass that outlives a shift is forgotten (IEC 61511-1 11.7).",
            "Ask for 8 h at most, and again when they are over.",
        )
    if not reason.strip():
        return (
            "the reason is empty",
            "The one after you must know why it is off.",
            "Give it: --reason TEXT.",
        )
    for other, each in enumerate(rows):
        same = other != at and each["group"] == row["group"]
        if same and int(image["interlocks"][other]["bypass_until_ns"]) > now_ns:
            return (
                f"{each['id']} of the same group {row['group']} is bypassed",
                "Two layers of one group must not be away together.",
                f"End that one first: edgectl interlocks bypass {each['id']} --off.",
            )
    return None


def notes_path(path: Path) -> Path:
    """The file beside a segment in which is noted who asked for what, and why."""
    return path.with_suffix(".notes")


def last_note(path: Path | None, action: str, row: str = "") -> dict[str, Any]:
    """The newest note of an action on a row; empty where there is none."""
    if path is None:
        return {}
    try:
        lines = notes_path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue  # cut off by a full disk
        if entry.get("action") == action and entry.get("interlock") == row:
            return dict(entry)
    return {}


def current_note(path: Path | None, action: str, row: str = "") -> dict[str, Any]:
    """The newest note, unless the time it was asked for is over: then it is about another one."""
    note = last_note(path, action, row)
    return note if note and time.time() <= float(note["until_utc_s"]) else {}
