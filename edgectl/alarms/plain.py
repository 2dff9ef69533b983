"""Alarms in plain types: what MQTT publishes and `--json` prints."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from edgectl.alarms.book import Book, Happening, asks, rank
from edgectl.alarms.catalogue import PRIORITIES
from edgectl.alarms.kpi import Kpis, verdicts

ALARM_SCHEMA, SUMMARY_SCHEMA = "edgectl.alarm/1", "edgectl.alarms/1"
NS_PER_S = 1_000_000_000

Json = dict[str, Any]


def utc(when_ns: int) -> str | None:
    """An instant of the alarm clock as ISO 8601; None for 0: never."""
    if not when_ns:
        return None
    moment = datetime.fromtimestamp(when_ns / NS_PER_S, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ordered(book: Book) -> list[str]:
    """Every id, what asks for a person first."""
    return sorted(book.states, key=lambda each: rank(book.specs[each], book.states[each]))


def alarm(book: Book, alarm_id: str) -> Json:
    """One alarm: what it shows, and what its declaration says to do."""
    spec, state = book.specs[alarm_id], book.states[alarm_id]
    return {
        "schema": ALARM_SCHEMA,
        "id": alarm_id,
        "state": str(state.shown),
        "unacknowledged": state.owed,
        "source": state.signal.name.lower(),
        "priority": spec.priority,
        "title": spec.title,
        "group": spec.group,
        "first_out": state.first_out,
        "annunciated": utc(state.annunciated_ns),
        "standing_since": utc(state.standing_since_ns),
        "annunciations": state.annunciations,
        "acknowledged_by": state.acknowledged_by or None,
        "shelved_until": utc(state.shelved_until_ns),
        "suppressed_by": state.suppressed_by or None,
        "hidden_by": state.hidden_by or None,
        "hidden_reason": state.hidden_reason or None,
        "meaning": spec.meaning,
        "consequence": spec.consequence,
        "operator_action": spec.operator_action,
    }


def summary(book: Book) -> Json:
    """All alarms in one object."""
    shown = [each for each in ordered(book) if asks(book.states[each])]
    counted = dict.fromkeys(reversed(PRIORITIES), 0)
    for each in shown:
        counted[book.specs[each].priority] += 1
    return {
        "schema": SUMMARY_SCHEMA,
        "time": utc(book.now_ns),
        "alarms": len(book.states),
        "unacknowledged": sum(state.owed and not state.hidden for state in book.states.values()),
        "states": book.counts(),
        "priorities": counted,
        "newest": book.newest(),
        "first_out": [each for each in shown if book.states[each].first_out],
        "flood": bool(book.flood_since_ns),
        "flood_since": utc(book.flood_since_ns),
        "annunciations_10_min": len(book.recent_ns),
    }


def listed(book: Book, ids: Iterable[str]) -> Json:
    """The summary with these alarms."""
    return summary(book) | {"list": [alarm(book, each) for each in ids]}


def line(happening: Happening) -> Json:
    """One line of the history."""
    at = happening.at
    return {
        "time": utc(at.now_ns),
        "alarm": happening.alarm_id or None,
        "event": happening.event,
        "before": happening.before or None,
        "after": happening.after or None,
        "by": happening.by or None,
        "reason": happening.reason or None,
        "utc_ns": at.utc_ns,
        "time_ns": at.time_ns,
        "boot_id": at.boot_id or None,
        "scan": at.scan if at.scan >= 0 else None,
    }


def figures(found: Kpis) -> Json:
    """The KPIs, with whether each is as good as practice asks."""
    plain = asdict(found)
    plain["span_s"] = plain.pop("span_ns") / NS_PER_S
    plain["most_frequent"] = [
        {"id": alarm_id, "annunciations": count} for alarm_id, count in found.most_frequent
    ]
    return plain | {"good": verdicts(found)}
