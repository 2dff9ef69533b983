"""What UTC is worth on this machine: asked of the kernel, adjtimex(2), which changes nothing."""

import ctypes
import os
import time
from dataclasses import dataclass

STA_UNSYNC = 0x0040  # linux/timex.h
TIME_OK, TIME_INS, TIME_DEL, TIME_OOP, TIME_WAIT, TIME_ERROR = range(6)
LEAP = {TIME_INS: "insertion due", TIME_DEL: "deletion due", TIME_OOP: "in progress"}
UNKNOWN, SYNCHRONISED, UNSYNCHRONISED = "unknown", "synchronised", "unsynchronised"


@dataclass(frozen=True, slots=True)
class ClockState:
    """Now, how far it can be trusted, and whether a leap second is near."""

    utc_ns: int
    quality: str  # synchronised, unsynchronised or unknown
    leap: str | None  # insertion due, deletion due, in progress


class _Timex(ctypes.Structure):
    """struct timex; only `modes`, which asks, and `status` are used."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),  # more than any kernel writes
    )


def clock_state() -> ClockState:
    """Ask the kernel."""
    utc_ns = time.time_ns()
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):  # a C library without it
        return ClockState(utc_ns, UNKNOWN, None)
    asked = _Timex()
    state = adjtimex(ctypes.byref(asked))
    if state < 0 or os.name != "posix":
        return ClockState(utc_ns, UNKNOWN, None)
    return state_of(utc_ns, state, asked.status)


def state_of(utc_ns: int, state: int, status: int) -> ClockState:
    """What adjtimex's answer means: state is what it returned, status the field."""
    unsynchronised = state == TIME_ERROR or bool(status & STA_UNSYNC)
    return ClockState(utc_ns, UNSYNCHRONISED if unsynchronised else SYNCHRONISED, LEAP.get(state))
