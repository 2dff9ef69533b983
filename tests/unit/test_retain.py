"""Latches survive a restart: two slots, found by id, never longer bypassed than before."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from event_log import EventLog
from physics_rig import TABLES
from trip_rig import ROWS, TripRig

from edgectl._kernel.authority import AuthorityStatus
from edgectl._kernel.interlock import Effect, InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl._kernel.layout import DTYPES
from edgectl.controller import retain
from edgectl.controller.retain import (
    BYPASS_REFRESH_NS,
    SLOT_BYTES,
    BadSlotError,
    Latch,
    LatchFile,
    Retention,
    pack_slot,
    unpack_slot,
)

pytestmark = pytest.mark.untraced  # minutes of simulated scans

HOUR_NS = 3_600_000_000_000
UTC_NS = 1_700_000_000_000_000_000
INTERLOCKS = TABLES.directory["interlocks"]
LATCH = Latch("IL-ESTOP", "0" * 16, True, False, True, 3, 0, 0)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> EventLog:
    """What the latches have to say."""
    kept = EventLog()
    monkeypatch.setattr(retain, "log", kept)
    return kept


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demo.latches"


def image(**rows: dict[str, int]) -> Any:
    """A snapshot with these rows as given and all others clear."""
    found = np.zeros(1, dtype=[("interlocks", DTYPES["InterlockSnapshot"], (len(INTERLOCKS),))])[0]
    for name, fields in rows.items():
        for field, value in fields.items():
            found["interlocks"][field][ROWS[name.replace("_", "-")]] = value
    return found


class Kept:
    """A kernel that only remembers what it is given."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    def retain(
        self,
        row: int,
        status: int,
        locked: bool,
        first_out: bool,
        trips: int,
        bypass_left_ns: int,
        now_ns: int,
    ) -> AuthorityStatus:
        self.rows[str(INTERLOCKS[row]["id"])] = {
            "status": status,
            "locked": locked,
            "first_out": first_out,
            "trips": trips,
            "left_ns": bypass_left_ns,
        }
        return AuthorityStatus.AUTHORITY_DONE


def restored(path: Path, utc_ns: int = UTC_NS, rows: Any = INTERLOCKS) -> dict[str, dict[str, Any]]:
    """What a kernel is given at a start."""
    kernel = Kept()
    Retention(path, rows).restore(kernel, 1, utc_ns)
    return kernel.rows


def tripped(**more: int) -> dict[str, int]:
    return {"status": int(InterlockStatus.INTERLOCK_LATCHED), "trips": 1} | more


def test_a_latched_row_is_given_back_as_latched(path: Path, log: EventLog) -> None:
    Retention(path, INTERLOCKS).look(image(IL_ESTOP=tripped(first_out=1)), 1, UTC_NS)
    assert restored(path) == {
        "IL-ESTOP": {
            "status": int(InterlockStatus.INTERLOCK_LATCHED),
            "locked": False,
            "first_out": True,
            "trips": 1,
            "left_ns": 0,
        }
    }
    assert log.events == [
        ("latches.restored", {"path": str(path), "sequence": 1, "rows": 1, "bypassed": 0})
    ]


@pytest.mark.parametrize(
    "state", [tripped(start=1), {"status": 1}, {"status": 0, "trips": 4}, {"first_out": 1}]
)
def test_what_no_person_must_clear_is_not_kept(path: Path, state: dict[str, int]) -> None:
    Retention(path, INTERLOCKS).look(image(IL_ESTOP=state), 1, UTC_NS)
    assert not path.exists()


def test_an_auto_row_is_kept_only_once_it_is_locked_out(path: Path) -> None:
    keeper = Retention(path, INTERLOCKS)
    keeper.look(image(IL_GRID_LOST=tripped()), 1, UTC_NS)
    assert not path.exists()
    keeper.look(image(IL_GRID_LOST=tripped(locked=1)), 2, UTC_NS)
    assert restored(path)["IL-GRID-LOST"]["locked"] is True


def test_nothing_is_written_while_nothing_changes(path: Path) -> None:
    keeper = Retention(path, INTERLOCKS)
    for now_ns in range(1, 50):
        keeper.look(image(IL_ESTOP=tripped()), now_ns, UTC_NS)
    assert keeper.file.sequence == 1


def test_a_row_that_was_reset_is_forgotten(path: Path) -> None:
    keeper = Retention(path, INTERLOCKS)
    keeper.look(image(IL_ESTOP=tripped()), 1, UTC_NS)
    keeper.look(image(), 2, UTC_NS)
    assert restored(path) == {}


def test_what_another_run_left_is_replaced_by_the_first_look(path: Path, log: EventLog) -> None:
    Retention(path, INTERLOCKS).look(image(IL_ESTOP=tripped()), 1, UTC_NS)
    Retention(path, INTERLOCKS).look(image(), 1, UTC_NS)
    kept = LatchFile(path).read()
    assert kept is not None
    assert kept.latches == ()


def test_the_slots_take_turns_and_the_newest_is_read(path: Path, log: EventLog) -> None:
    keeper = Retention(path, INTERLOCKS)
    for trips in range(1, 6):
        keeper.look(image(IL_ESTOP=tripped(trips=trips)), trips, UTC_NS)
    sequences = [
        unpack_slot(path.read_bytes()[at * SLOT_BYTES : (at + 1) * SLOT_BYTES], at).sequence
        for at in range(2)
    ]
    assert sequences == [5, 4]
    assert restored(path)["IL-ESTOP"]["trips"] == 5


def test_a_torn_slot_costs_one_write_and_says_so(path: Path, log: EventLog) -> None:
    keeper = Retention(path, INTERLOCKS)
    for trips in (1, 2, 3):
        keeper.look(image(IL_ESTOP=tripped(trips=trips)), trips, UTC_NS)
    raw = bytearray(path.read_bytes())
    raw[40] ^= 1  # the newest is slot 0
    path.write_bytes(raw)
    assert restored(path)["IL-ESTOP"]["trips"] == 2
    assert log.names == ["latches.slot_bad", "latches.restored"]
    again = Retention(path, INTERLOCKS)
    again.restore(Kept(), 1, UTC_NS)
    again.look(image(IL_ESTOP=tripped(trips=9)), 1, UTC_NS)
    log.events.clear()
    assert restored(path)["IL-ESTOP"]["trips"] == 9
    assert log.names == ["latches.restored"], "the spoilt slot is the one that was overwritten"


def test_every_single_byte_of_a_slot_is_guarded() -> None:
    slot = pack_slot(7, [LATCH])
    assert unpack_slot(slot, 0).latches == (LATCH,)
    for at in range(len(slot)):
        for flipped in (0x01, 0x80):
            spoilt = bytearray(slot)
            spoilt[at] ^= flipped
            with pytest.raises(BadSlotError):
                unpack_slot(bytes(spoilt), 0)
        with pytest.raises(BadSlotError):
            unpack_slot(slot[:at], 0)


def test_with_both_slots_bad_nothing_is_given_back_and_it_is_an_error(
    path: Path, log: EventLog
) -> None:
    keeper = Retention(path, INTERLOCKS)
    for trips in (1, 2):
        keeper.look(image(IL_ESTOP=tripped(trips=trips)), trips, UTC_NS)
    path.write_bytes(bytes(byte ^ 0x55 for byte in path.read_bytes()))
    assert restored(path) == {}
    assert log.names == ["latches.lost"]
    assert log.levels == ["error"]
    assert "slot 0" in log.events[0][1]["problem"]
    assert "slot 1" in log.events[0][1]["problem"]


def test_an_unreadable_file_never_comes_back_over_what_was_written_after(
    path: Path, log: EventLog
) -> None:
    path.write_bytes(pack_slot(99, [LATCH])[:-1] + b"\x55")
    keeper = Retention(path, INTERLOCKS)
    keeper.restore(Kept(), 1, UTC_NS)
    keeper.look(image(), 1, UTC_NS)
    kept = LatchFile(path).read()
    assert kept is not None
    assert (kept.sequence, kept.latches) == (1, ())


def test_what_could_not_be_read_at_start_is_gone_with_the_first_write(
    path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Retention(path, INTERLOCKS)
    for trips in (1, 2, 3):
        before.look(image(IL_ESTOP=tripped(trips=trips)), trips, UTC_NS)
    keeper = Retention(path, INTERLOCKS)
    with monkeypatch.context() as patched:

        def refuse(_: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        patched.setattr(Path, "read_bytes", refuse)
        keeper.restore(Kept(), 1, UTC_NS)
    assert log.names == ["latches.lost"]
    keeper.look(image(IL_FIRE=tripped()), 1, UTC_NS)
    assert list(restored(path)) == ["IL-FIRE"], "a newer sequence number of then must not win"


def test_no_file_is_a_first_start_and_no_loss(path: Path, log: EventLog) -> None:
    assert restored(path) == {}
    assert log.events == []


def test_rows_are_found_by_id_and_a_vanished_one_is_told(path: Path, log: EventLog) -> None:
    Retention(path, INTERLOCKS).look(image(IL_ESTOP=tripped(), IL_FIRE=tripped(trips=2)), 1, UTC_NS)
    kernel = Kept()
    others = [row for row in INTERLOCKS if row["id"] != "IL-ESTOP"]
    names = [str(row["id"]) for row in others]
    Retention(path, others).restore(kernel, 1, UTC_NS)
    (found,) = kernel.rows
    assert ROWS[found] == names.index("IL-FIRE"), "the place is that of the new table"
    assert log.events[0] == ("latches.row_vanished", {"interlock": "IL-ESTOP", "standing": True})


def test_a_changed_row_keeps_its_latch_and_is_told(path: Path, log: EventLog) -> None:
    Retention(path, INTERLOCKS).look(image(IL_ESTOP=tripped()), 1, UTC_NS)
    worded = [dict(row) | {"title": "said otherwise"} for row in INTERLOCKS]
    assert "IL-ESTOP" in restored(path, rows=worded)
    assert "latches.row_changed" not in log.names
    slower = [dict(row) | {"on_delay_ns": 5} for row in INTERLOCKS]
    assert "IL-ESTOP" in restored(path, rows=slower)
    assert ("latches.row_changed", {"interlock": "IL-ESTOP", "standing": True}) in log.events


@pytest.mark.parametrize(
    ("away_ns", "left_ns"),
    [
        (HOUR_NS, HOUR_NS),
        (2 * HOUR_NS, 0),
        (5 * HOUR_NS, 0),
        (0, 2 * HOUR_NS),
        (-9 * HOUR_NS, 2 * HOUR_NS),  # the clock was stepped back
    ],
)
def test_a_bypass_goes_on_with_what_is_left_and_never_with_more(
    path: Path, away_ns: int, left_ns: int
) -> None:
    state = {"bypass_until_ns": 1 + 2 * HOUR_NS}
    Retention(path, INTERLOCKS).look(image(IL_DOOR=state), 1, UTC_NS)
    assert restored(path, UTC_NS + away_ns)["IL-DOOR"]["left_ns"] == left_ns


def test_a_standing_bypass_is_written_again_so_that_its_time_runs_off_on_disk_too(
    path: Path,
) -> None:
    keeper = Retention(path, INTERLOCKS)
    state = {"bypass_until_ns": 2 * HOUR_NS}
    for now_ns in range(1, HOUR_NS, BYPASS_REFRESH_NS):
        keeper.look(image(IL_DOOR=state), now_ns, UTC_NS + now_ns)
    left_ns = restored(path, UTC_NS - HOUR_NS)["IL-DOOR"]["left_ns"]
    assert HOUR_NS <= left_ns <= HOUR_NS + 2 * BYPASS_REFRESH_NS


def test_a_disk_that_takes_nothing_is_told_once_and_tried_again(
    path: Path, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Retention(path, INTERLOCKS)
    sound, fails = keeper.file.write, True

    def write(latches: Any) -> None:
        if fails:
            raise OSError(28, "No space left on device")
        sound(latches)

    monkeypatch.setattr(keeper.file, "write", write)
    for second in range(30):
        keeper.look(image(IL_ESTOP=tripped()), second * 10**9, UTC_NS)
    assert log.names == ["latches.write_failed"]
    fails = False
    keeper.look(image(IL_ESTOP=tripped()), 40 * 10**9, UTC_NS)
    assert log.names == ["latches.write_failed", "latches.write_restored"]
    assert "IL-ESTOP" in restored(path)


def test_a_kernel_restarted_after_an_estop_still_asks_the_breakers_to_open(
    path: Path, log: EventLog
) -> None:
    rig = TripRig()
    rig.inject("IL-ESTOP", 0.0)
    rig.scans(10)
    assert rig.row("IL-ESTOP")["status"] == InterlockStatus.INTERLOCK_LATCHED
    Retention(path, INTERLOCKS).look(rig.reader.snapshot(), rig.now_ns, UTC_NS)

    rig.restart()
    Retention(path, INTERLOCKS).restore(rig.kernel, 1, UTC_NS)
    rig.settle()
    row = rig.row("IL-ESTOP")
    assert row["status"] == InterlockStatus.INTERLOCK_LATCHED, "an operator's reset is not heard"
    assert (row["start"], row["first_out"], row["trips"]) == (0, 1, 1)
    assert rig.row("IL-FIRE")["start"], "nobody pressed the button: a start, which opens nothing"
    for storage in rig.record["storages"]:
        assert storage["effect"] == Effect.EFFECT_OPEN_REQUEST
        assert storage["setpoint_w"] == 0.0
    assert rig.opens()


def test_a_start_alone_never_asks_the_breakers_to_open() -> None:
    rig = TripRig()
    rig.restart()
    rig.settle()
    assert rig.row("IL-ESTOP")["start"]
    assert not rig.opens()


def test_a_bypass_survives_a_restart_in_the_kernel(path: Path, log: EventLog) -> None:
    rig = TripRig()
    rig.post(MailKind.MAIL_BYPASS, ROWS["IL-DOOR"], 600.0, int(Reset.RESET_OPERATOR))
    rig.scans(1)
    assert rig.row("IL-DOOR")["bypassed"]
    Retention(path, INTERLOCKS).look(rig.reader.snapshot(), rig.now_ns, UTC_NS)
    fresh = TripRig(settle=False)
    start_ns = rig.now_ns  # the plant's clock goes on over the restart
    Retention(path, INTERLOCKS).restore(fresh.kernel, start_ns, UTC_NS + 60 * 10**9)
    fresh.settle()
    assert fresh.row("IL-DOOR")["bypassed"]
    assert fresh.row("IL-DOOR")["bypass_until_ns"] == start_ns + 540 * 10**9
