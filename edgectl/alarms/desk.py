"""Requests about alarms, from whoever asks to whoever holds the file's lock."""

import time
from pathlib import Path

from edgectl.alarms.book import Book, Happening, Moment
from edgectl.alarms.command import AlarmCommand, unknown
from edgectl.alarms.store import AlarmStore
from edgectl.errors import AlarmError

ANSWER_S = 5.0  # the services look ten times a second
LOOK_S = 0.05
NO_REQUEST = "it is no request of this edgectl"

Answers = list[tuple[int, str]]


def answer_waiting(
    store: AlarmStore, book: Book, at: Moment
) -> tuple[list[Happening], Answers]:  # fmt: skip
    """Carry out what waits in the file. The caller saves it all in one transaction."""
    happened: list[Happening] = []
    answers: Answers = []
    for seq, command in store.waiting():
        lines, refused = carry_out(book, command, at) if command else ([], NO_REQUEST)
        happened += lines
        answers.append((seq, refused))
    return happened, answers


def carry_out(book: Book, command: AlarmCommand, at: Moment) -> tuple[list[Happening], str]:
    """One request: what happened, and why it was refused or nothing."""
    if command.id not in book.states:
        return [], unknown(command.id, book.states)
    return book.act(command.id, command.act(max(at.now_ns, book.now_ns)), at)


def request(site: str, directory: Path, command: AlarmCommand, wait_s: float = ANSWER_S) -> str:
    """Have one request carried out: by the services where they run, else here and at once.

    wait_s   s that the services have for their answer

    Returns why it was refused, or nothing. Raises AlarmError where nobody answers or the
    file cannot be used.
    """
    with AlarmStore.reader(site, directory) as reader:
        seq = reader.ask(command, time.time_ns())
        end_s = time.monotonic() + wait_s
        while (answer := reader.answer(seq)) is None:
            # Nobody holds the lock: no services, or they ended since we asked.
            if serve_once(site, directory):
                continue
            if time.monotonic() > end_s:
                raise AlarmError(
                    where=str(reader.path),
                    problem=f"the services did not answer within {wait_s:g} s",
                    because=f"They hold the file; request {seq} stays in it until they do.",
                    remedy="See whether edgectl services hangs; asking again is no harm.",
                )
            time.sleep(LOOK_S)
        return answer


def serve_once(site: str, directory: Path) -> bool:
    """Answer what waits in the services' place; False where they hold the file."""
    store = AlarmStore.writer(site, directory)
    if store is None:
        return False
    with store:
        book = store.book()
        utc_ns = time.time_ns()
        at = Moment(now_ns=max(book.now_ns, utc_ns), utc_ns=utc_ns)
        happened = book.tick(at)
        lines, answers = answer_waiting(store, book, at)
        store.save(book, happened + lines, answers=answers)
    return True
