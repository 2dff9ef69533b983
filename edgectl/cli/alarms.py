"""`edgectl alarms SITE ...`: what asks for a person, and what a person does about it.

Reads the alarms' file and puts requests into it. The controller is not touched:
acknowledging an alarm resets no interlock.
"""

import getpass
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from edgectl.alarms import AlarmCommand, AlarmStore, Book
from edgectl.alarms.book import asks
from edgectl.alarms.command import MINUTES_MAX, unknown
from edgectl.alarms.desk import request
from edgectl.alarms.kpi import WINDOW_NS, Kpis, kpis
from edgectl.alarms.machine import SILENT, Action
from edgectl.alarms.plain import alarm, figures, line, listed, ordered
from edgectl.cli import alarms_view as view
from edgectl.cli.page import console
from edgectl.cli.top import site_id_of
from edgectl.ledger import data_dir

NS_PER_HOUR = 3_600_000_000_000
OLD_S = 30.0  # the services write every 5 s

EPILOG = """\b
actions
  list            what is not normal, the most urgent first; with ID: one alarm in full
  history         what happened, the newest first
  kpi             rates, floods, chattering and stale alarms
  ack             take notice; it resets no interlock and controls nothing
  shelve          hide for --minutes, at most 480, with --reason; it comes back by itself
  unshelve        show it again
  out-of-service  hide until put back, with --reason
  in-service      put it back

\b
exit status
  0  done, or shown
  1  at least one request was refused; the message says why
  2  the command line names an alarm that the site does not have, or leaves something out
  10 there is no alarms' file, or the services do not answer

first time here:  edgectl alarms demo
"""


class What(StrEnum):
    """The actions of the command line."""

    LIST = "list"
    HISTORY = "history"
    KPI = "kpi"
    ACK = "ack"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    OUT_OF_SERVICE = "out-of-service"
    IN_SERVICE = "in-service"


@dataclass(frozen=True, slots=True)
class Asked:
    """The command line, checked."""

    site: str
    directory: Path
    ids: tuple[str, ...]
    everything: bool
    limit: int
    hours: float
    by: str
    reason: str
    minutes: float | None
    as_json: bool


def alarms(
    site: Annotated[str, typer.Argument(metavar="SITE", help="Site id, name or file.")],
    action: Annotated[What, typer.Argument(help="What to do.")] = What.LIST,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Alarms it is about.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why it is shelved or out of service.")] = "",
    minutes: Annotated[
        float | None, typer.Option(help=f"How long it is shelved, up to {MINUTES_MAX}.")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Who asks. [the user logged in]")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Normal alarms too; in the history, quiet lines too.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Lines of the history.")] = 50,
    hours: Annotated[float, typer.Option(min=0.2, help="Of the figures, back from now.")] = 24.0,
    data: Annotated[
        Path | None,
        typer.Option("--data-dir", help="Where it lies. [$EDGECTL_DATA_DIR, else ./edgectl-data]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """List, acknowledge and shelve alarms; show their history and how good they are.

    Works with the running services, and without them on what they left.
    """
    asked = Asked(
        site_id_of(site), data_dir(data), tuple(ids or ()), everything, limit, hours,
        by or getpass.getuser(), reason, minutes, as_json,
    )  # fmt: skip
    with AlarmStore.reader(asked.site, asked.directory) as store:
        book = store.book()
        known(asked, book)
        showing = SHOWS.get(action)
        if showing is not None:
            showing(asked, store, book)
            return
    ask_for(asked, Action(str(action)))


def known(asked: Asked, book: Book) -> None:
    """Refuse ids that no alarm has, before anything is done."""
    strange = [each for each in asked.ids if each not in book.states]
    if strange:
        raise typer.BadParameter("; ".join(unknown(each, book.states) for each in strange))


def show_list(asked: Asked, store: AlarmStore, book: Book) -> None:
    """What is not normal; the named ones in full."""
    ids = [
        each
        for each in ordered(book)
        if (each in asked.ids if asked.ids else asked.everything or _noticed(book, each))
    ]
    if asked.as_json:
        print(json.dumps(listed(book, ids) | {"site": asked.site}))
        return
    out = console()
    out.print(view.heading(asked.site, book, _age_s(book)))
    if asked.ids:
        for alarm_id in asked.ids:
            out.print(view.in_full(alarm(book, alarm_id)))
            out.print(view.history_table(store.history(alarm_id, 10)))
    elif ids:
        out.print(view.list_table(book, ids))
        out.print(view.advice(book, ids))
    else:
        out.print(view.nothing(len(book.states)))


def show_history(asked: Asked, store: AlarmStore, _book: Book) -> None:
    """What happened, newest first."""
    lines = (
        [each for name in asked.ids for each in store.history(name, asked.limit)]
        if asked.ids
        else store.history(None, asked.limit if asked.everything else 20 * asked.limit)
    )
    lines.sort(key=lambda each: -each.at.now_ns)
    shown = [each for each in lines if asked.everything or each.event not in SILENT]
    shown = shown[: asked.limit]
    if asked.as_json:
        print(json.dumps({"site": asked.site, "history": [line(each) for each in shown]}))
        return
    console().print(view.history_table(shown))


def show_kpi(asked: Asked, store: AlarmStore, book: Book) -> None:
    """The figures."""
    found = figures_of(store, book, asked.hours)
    if asked.as_json:
        print(json.dumps({"site": asked.site} | figures(found)))
        return
    out = console()
    out.print(view.kpi_table(found))
    out.print(view.frequent_table(found, book))


def figures_of(store: AlarmStore, book: Book, hours: float) -> Kpis:
    """KPIs up to the file's own now, from no earlier than its first line."""
    end_ns = book.now_ns
    start_ns = max(end_ns - round(hours * NS_PER_HOUR), store.first_ns() or end_ns)
    standing = {
        each: state.standing_since_ns
        for each, state in book.states.items()
        if state.standing_since_ns and not state.suppressed_by
    }
    priorities = {each: spec.priority for each, spec in book.specs.items()}
    annunciations = store.annunciations(start_ns - WINDOW_NS)
    return kpis(annunciations, standing, priorities, start_ns, end_ns)


def ask_for(asked: Asked, action: Action) -> None:
    """Put one request for each id, and say what became of each."""
    if not asked.ids:
        raise typer.BadParameter(f"{action} of which alarm? Name at least one ID.")
    commands = [_command(asked, action, each) for each in asked.ids]
    results: list[dict[str, Any]] = []
    for command in commands:
        refused = request(asked.site, asked.directory, command)
        results.append({"id": command.id, "done": not refused, "refused": refused or None})
        if not asked.as_json:
            text = f"refused: {refused}" if refused else view.done(command)
            print(f"{command.id}: {text}", file=sys.stderr if refused else sys.stdout)
    if asked.as_json:
        print(json.dumps({"site": asked.site, "action": str(action), "results": results}))
    if not all(each["done"] for each in results):
        raise typer.Exit(1)


def _command(asked: Asked, action: Action, alarm_id: str) -> AlarmCommand:
    try:
        return AlarmCommand(id=alarm_id, action=action, by=asked.by, reason=asked.reason,
                            minutes=asked.minutes)  # fmt: skip
    except ValidationError as error:
        said = error.errors()[0]
        where = ".".join(f"--{each}" for each in said["loc"])
        text = said["msg"].removeprefix("Value error, ")
        raise typer.BadParameter(f"{where}: {text}" if where else text) from error


def _noticed(book: Book, alarm_id: str) -> bool:
    """What an operator must see without asking: all that asks, and all that is hidden.

    What a rule suppresses shows only while its source is not clear.
    """
    state = book.states[alarm_id]
    by_person = bool(state.shelved_until_ns) or state.out_of_service
    return asks(state) or by_person or bool(state.suppressed_by and state.signal)


def _age_s(book: Book) -> float | None:
    """How old the file is; None where it is as fresh as it should be."""
    age_s = (time.time_ns() - book.now_ns) / 1e9
    return age_s if age_s > OLD_S else None


SHOWS: dict[What, Callable[[Asked, AlarmStore, Book], None]] = {
    What.LIST: show_list,
    What.HISTORY: show_history,
    What.KPI: show_kpi,
}
