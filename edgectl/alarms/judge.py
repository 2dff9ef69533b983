"""From the sources to one signal and one suppressing rule for every alarm at every scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgectl.alarms.catalogue import (
    KINDS,
    NS_PER_S,
    RULES,
    AlarmSpec,
    Kind,
    Rule,
    specs_of,
    suppressed_ids,
    targets_of,
)
from edgectl.alarms.machine import Signal
from edgectl.alarms.sources import KEEP, SOURCES, Array, Batch, Memory

NEVER_NS = -(2**62)
NO_RULE = -1
NUMBERS = {kind.source: kind for kind in KINDS if kind.limit is not None}


@dataclass(frozen=True, slots=True)
class Judged:
    """One row a scan, one column an alarm in the order of the specs."""

    signals: Array
    rules: Array  # index of RULES, NO_RULE: shown


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a source become which alarms."""

    source: str
    targets: Array
    alarms: Array


@dataclass(frozen=True, slots=True)
class _Reach:
    """Which alarms one rule suppresses for each of its targets."""

    place: int  # of RULES
    rule: Rule
    alarms: tuple[Array, ...]


class Judge:
    """The alarms of one site and what decides about them."""

    def __init__(self, directory: Mapping[str, Any]) -> None:
        """Resolve every declared name against the site once."""
        self.specs: tuple[AlarmSpec, ...] = specs_of(directory)
        places = {spec.id: place for place, spec in enumerate(self.specs)}
        self._columns = [
            columns for kind in KINDS if len((columns := _columns(kind, directory, places)).alarms)
        ]
        self._reaches = [
            _Reach(at, rule, tuple(
                _reached(rule, target, directory, places, self.specs)
                for target in targets_of(rule.each, directory)
            ))
            for at, rule in enumerate(RULES)
        ]  # fmt: skip
        self._sources = {each.source for each in self._columns}
        self._sources |= {each.rule.when for each in self._reaches}

    def judge(self, batch: Batch, times_ns: Array) -> Judged:
        """Every alarm at every scan of the batch.

        batch      its memory goes on to the scan after the last
        times_ns   of each scan, on the alarm clock
        """
        said = {
            name: _signals(name, SOURCES[name](batch), batch.memory)
            for name in sorted(self._sources)
        }
        signals = np.zeros((batch.scans, len(self.specs)), np.int8)
        for columns in self._columns:
            signals[:, columns.alarms] = said[columns.source][:, columns.targets]
        rules = np.full(signals.shape, NO_RULE, np.int8)
        for reach in self._reaches:
            _suppress(reach, said[reach.rule.when], times_ns, batch.memory, rules)
        return Judged(signals, rules)


def _columns(kind: Kind, directory: Mapping[str, Any], places: Mapping[str, int]) -> _Columns:
    pairs = [
        (at, places[kind.pattern.format(id=target["id"])])
        for at, target in enumerate(targets_of(kind.each, directory))
        if kind.pattern.format(id=target["id"]) in places
    ]
    targets, alarms = np.array(pairs, np.intp).reshape(-1, 2).T
    return _Columns(kind.source, targets, alarms)


def _reached(
    rule: Rule, target: Mapping[str, Any], directory: Mapping[str, Any],
    places: Mapping[str, int], specs: Sequence[AlarmSpec],
) -> Array:  # fmt: skip
    found = [
        places[each]
        for each in suppressed_ids(rule, target, directory)
        if each in places and (rule.critical or specs[places[each]].priority != "critical")
    ]
    return np.array(found, np.intp)


def _signals(name: str, column: Array, memory: Memory) -> Array:
    """A source's columns as signals; what it does not know now is as it was."""
    before = memory.said.get(name) or [int(Signal.CLEAR)] * column.shape[1]
    kind = NUMBERS.get(name)
    if kind is not None:
        column = _compared(column, kind)
    elif column.dtype == np.bool_:
        column = np.where(column, np.int8(Signal.ACTIVE), np.int8(Signal.CLEAR))
    if (column == KEEP).any():
        stacked = np.vstack([np.array(before, np.int8), column])
        known = np.where(stacked == KEEP, 0, np.arange(len(stacked))[:, None])
        column = np.take_along_axis(stacked, np.maximum.accumulate(known, axis=0), axis=0)[1:]
    memory.said[name] = column[-1].tolist()
    return column


def _compared(column: Array, kind: Kind) -> Array:
    """On above the limit, off at or under limit - deadband, as before between them."""
    assert kind.limit is not None, "the caller asks only for a kind with a limit"
    signals = np.full(column.shape, KEEP, np.int8)
    signals[column > kind.limit] = Signal.ACTIVE
    signals[column <= kind.limit - kind.deadband] = Signal.CLEAR
    return signals


def _suppress(
    reach: _Reach, said: Array, times_ns: Array, memory: Memory, rules: Array
) -> None:  # fmt: skip
    """Mark what one rule suppresses, unless an earlier rule does."""
    rule = reach.rule
    key = f"{rule.name}/{rule.when}"
    before = np.array(memory.held_ns.get(key) or [NEVER_NS] * said.shape[1], np.int64)
    held_ns = np.where(said == Signal.ACTIVE, times_ns[:, None], NEVER_NS)
    held_ns = np.maximum.accumulate(np.vstack([before, held_ns]), axis=0)[1:]
    memory.held_ns[key] = held_ns[-1].tolist()
    holds = times_ns[:, None] - held_ns <= round(rule.hold_s * NS_PER_S)
    for target in np.flatnonzero(holds.any(axis=0)).tolist():
        alarms = reach.alarms[target]
        part = rules[:, alarms]
        rules[:, alarms] = np.where(holds[:, [target]] & (part == NO_RULE), reach.place, part)
