"""What makes a cause true or false on the wire, and a row of causes with it."""

from cause_rig import CLEAR, LONG_S, TRIPPED, Register, Rig
from cause_table import Cause, Row


def says(cause: Cause, value: float, before: bool = False) -> bool:
    """What a good value says of a cause that said something before."""
    if cause.op == "above":
        return value > cause.on or (before and value > cause.off)
    if cause.op == "below":
        return value < cause.on or (before and value < cause.off)
    if cause.op == "equals":
        return value == cause.on
    if cause.op == "not_equals":
        return value != cause.on
    return cause.op == "limit" and value < cause.on


def edge(register: Register, cause: Cause, threshold: float) -> int:
    """The code at a threshold, on its false side where no code is exactly there."""
    if cause.op in ("below", "limit"):
        return register.at_least(threshold)
    return register.at_most(threshold)


def other(register: Register, number: float) -> int:
    """The code of a discrete value next to another."""
    low, high = sorted(register.value(code) for code in register.codes)
    for value in (number + 1.0, number - 1.0):
        if low <= value <= high and register.shows(register.at_most(value)):
            return register.at_most(value)
    raise AssertionError(f"{register.point.name} shows nothing but {number}")


def bad_code(register: Register) -> int:
    """A code out of the point's range."""
    return next(code for code in register.codes[::-1] if not register.shows(code))


def can_be_out_of_range(register: Register) -> bool:
    return any(not register.shows(code) and code != register.point.sentinel
               for code in register.codes)  # fmt: skip


def make(rig: Rig, cause: Cause, true: bool) -> None:
    """Let a cause be true, or false, from the next scan on."""
    register = rig.register(cause.tag)
    up = register.up
    if cause.op == "bad":
        if true:
            rig.show(cause.tag, bad_code(register))
        else:
            low = min(max(0.5, register.point.valid_min), register.point.valid_max)
            rig.show(cause.tag, register.at_most(low), away=up)
    elif cause.op in ("equals", "not_equals"):
        same = true == (cause.op == "equals")
        at = register.at_most(cause.on) if same else other(register, cause.on)
        rig.show(cause.tag, at)
    elif cause.op == "above":
        code = edge(register, cause, cause.on) + up if true else edge(register, cause, cause.off)
        rig.show(cause.tag, code, away=up if true else -up)
    else:
        code = edge(register, cause, cause.on) - up if true else edge(register, cause, cause.off)
        rig.show(cause.tag, code, away=-up if true else up)


def make_all(rig: Rig, row: Row, true: bool) -> None:
    """Let every cause of a row be true, or false."""
    for cause in row.causes:
        make(rig, cause, true)


def helpers(row: Row, without: set[int]) -> list[int]:
    """Causes that together are one vote short of a trip."""
    return [at for at in range(len(row.causes)) if at not in without][: row.vote - 1]


def quiet(row: Row, *others: Row, monitors: bool = False) -> Rig:
    """A rig with these rows, every one of them clear."""
    ids = {each.id for each in (row, *others)}
    rig = Rig(row.site, sorted(ids), monitors=monitors)
    for each in (row, *others):
        make_all(rig, each, False)
    rig.settle()
    return rig


def scans(rig: Rig, delay_ms: int) -> int:
    """Whole scans that a delay takes."""
    return -(-delay_ms * 1_000_000 // rig.period_ns)


def trip(rig: Rig, row: Row) -> None:
    """Make a row's causes true for as long as its on-delay asks; the last scan is a period."""
    make_all(rig, row, True)
    rig.step()
    rig.run(scans(rig, row.on_delay_ms))
    assert rig.status(row) is TRIPPED


def untrip(rig: Rig, row: Row) -> None:
    """Make a row's causes false, and wait long past its off-delay."""
    make_all(rig, row, False)
    rig.step()
    rig.step(LONG_S)
    rig.step()


def free(rig: Rig, row: Row) -> None:
    """Let whoever may clear it."""
    untrip(rig, row)
    if row.reset in ("operator", "auto"):
        rig.reset(row)
    if row.reset == "local":
        rig.press()
    assert rig.status(row) is CLEAR
