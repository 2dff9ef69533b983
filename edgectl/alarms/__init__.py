"""Alarms after ISA-18.2: what asks for a person, until a person has answered.

catalogue   every kind of alarm and every rule of suppression, declared as data
sources     what each says, from journal records, the snapshot and the services' health
judge       sources to one signal and one rule for each alarm at each scan
machine     the states of one alarm, a pure function
book        all alarms of a site, floods
store       the SQLite file: states, history, the journal's cursor, requests
command     what a person may ask, checked
desk        a request from who asks to who holds the file
kpi         rates, floods, chattering, stale alarms
plain       all that as JSON

Alarms tell; they never control. Acknowledging one resets no interlock.
"""

from edgectl.alarms.book import Book, Happening, Moment
from edgectl.alarms.command import AlarmCommand
from edgectl.alarms.judge import Judge
from edgectl.alarms.sources import Batch, Health, Memory, rows_of
from edgectl.alarms.store import AlarmStore, Cursor, alarms_path

__all__ = [
    "AlarmCommand",
    "AlarmStore",
    "Batch",
    "Book",
    "Cursor",
    "Happening",
    "Health",
    "Judge",
    "Memory",
    "Moment",
    "alarms_path",
    "rows_of",
]
