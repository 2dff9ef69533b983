"""What batteries hold must follow from record to record: two verifiers look, each by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import verify_ledger as stranger
from carryover_rig import SECOND, Runs, both_methods
from event_log import EventLog

from edgectl.controller import stocks
from edgectl.controller.stocks import FIRST_START, stocks_file
from edgectl.ledger import writer
from edgectl.ledger.keys import load_public
from edgectl.ledger.verify import verify

pytestmark = pytest.mark.untraced  # thousands of simulated scans

FIRST, SECOND_ID = (each.id for each in both_methods().batteries)


@pytest.fixture(autouse=True)
def shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Shared memory in a folder of the test's own, and nothing told."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    monkeypatch.setattr(stocks, "log", EventLog())


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "data")


def ran(runs: Runs, seconds: int = 12) -> None:
    runs.start()
    runs.scans(seconds * SECOND)


def judged(runs: Runs) -> tuple[str, str]:
    """What each verifier says is bad; and both of the same record."""
    (result,) = verify(runs.data_dir, stocks=True)
    key = load_public(runs.data_dir / f"{runs.model.id}.key.pub")
    with pytest.raises(stranger.BadError) as bad:
        stranger.verify_ledger(runs.data_dir, key, [], live=False)
    assert f"record {result.bad_seq}," in str(bad.value)
    return str(result.bad), str(bad.value)


def last_record(runs: Runs) -> Any:
    """The newest journal record, in place, before the services read it."""
    layout = runs.segment.layout
    at = (runs.reader.journal_head - 1) % layout.journal_slots
    offset = layout.journal_offset + at * layout.record.itemsize
    return np.frombuffer(runs.segment.buffer, layout.record, 1, offset)


@pytest.mark.parametrize("battery", [0, 1])
@pytest.mark.parametrize(
    ("name", "by"), [("stock_ug", 1), ("stock_ug", -1), ("stock_mj", 4), ("stock_mj", -4)]
)
def test_a_second_that_holds_one_ug_or_some_mj_more_than_its_flows_make_is_named(
    runs: Runs, battery: int, name: str, by: int
) -> None:
    ran(runs)
    runs.plant.run(runs.kernel, SECOND)
    record = last_record(runs)
    record["storages"][name][0, battery] += by
    if name == "stock_mj":
        record["storages"]["stock_origins_mj"][0, battery, 0] += by
    runs.stop()
    for said in judged(runs):
        assert runs.model.batteries[battery].id in said
        assert name[-2:] in said.lower()


def test_a_leak_of_one_mj_a_second_is_found_though_each_second_is_within_its_remainders(
    runs: Runs,
) -> None:
    ran(runs)
    for leaked in range(1, 6):
        for _ in range(SECOND):
            runs.plant.run(runs.kernel, 1)
            storages = last_record(runs)["storages"]
            storages["stock_mj"][0, 1] += leaked
            storages["stock_origins_mj"][0, 1, 0] += leaked
        runs.feed.pump()
    runs.stop()
    assert all(SECOND_ID in said for said in judged(runs))


def test_energy_of_no_origin_is_named(runs: Runs) -> None:
    ran(runs)
    runs.plant.run(runs.kernel, SECOND)
    last_record(runs)["storages"]["stock_origins_mj"][0, 0, 3] += 1
    runs.stop()
    assert all(FIRST in said for said in judged(runs))


def forged(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """The writer says something else in its next START records."""
    sound = writer.openings_said

    def openings_said(directory: Any, before: Any) -> Any:
        said = sound(directory, before)
        change(said)
        return said

    monkeypatch.setattr(writer, "openings_said", openings_said)


def grown(said: dict[str, Any]) -> None:
    said["stocks_adjusted"][FIRST] = [1, 0, 1, 0, 0, 0]


def another_before(said: dict[str, Any]) -> None:
    held = said["stocks_before"]["held"]
    was = held[FIRST]
    held[FIRST] = (was[0], was[1] - 1, *was[2:])
    said["stocks_adjusted"][FIRST] = [0, 1, 0, 0, 0, 0]


def nothing_before(said: dict[str, Any]) -> None:
    said["stocks_adjusted"] = {each["id"]: each["held"] for each in said["stocks"]}
    said["stocks_before"] = None


def forgotten(said: dict[str, Any]) -> None:
    """Both batteries are said to have been emptied, and one is full again at once."""
    said["stocks"][0]["opened"] = "declared"


def unreadable(said: dict[str, Any]) -> None:
    said["stocks"][0]["held"] = None


@pytest.mark.parametrize("change", [grown, another_before, nothing_before, forgotten, unreadable])
def test_a_start_record_that_hides_what_became_of_a_stock_is_named(
    runs: Runs, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    ran(runs)
    runs.stop()
    forged(monkeypatch, change)
    ran(runs)
    runs.stop()
    starts = [row.seq for row in runs.rows() if row.kind.name == "START"]
    said = judged(runs)
    assert f"record {starts[-1]}," in said[1]


def test_books_that_open_with_other_than_the_kernel_holds_are_named_by_the_first_second(
    runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(runs)
    runs.stop()

    def change(said: dict[str, Any]) -> None:
        opened = said["stocks"][0]["held"]
        opened[1] -= 7
        said["stocks_adjusted"][FIRST] = [0, -7, 0, 0, 0, 0]

    forged(monkeypatch, change)
    ran(runs)
    runs.stop()
    assert all(f"{FIRST} held" in said for said in judged(runs))


def test_scans_that_no_record_has_are_counted_and_the_rest_is_followed(runs: Runs) -> None:
    ran(runs)
    runs.plant.run(runs.kernel, 1_300)  # the ring holds 1200
    runs.scans(5 * SECOND)
    runs.stop()
    ran(runs)
    runs.stop()
    result = runs.verified()
    assert (result.restarts_followed, result.seconds_unfollowed) == (1, 1)


def test_deliveries_beyond_the_books_carry_the_default_and_are_followed(runs: Runs) -> None:
    ran(runs)
    runs.keep()
    runs.kill(power_cut=True)
    file = stocks_file(runs.path)
    kept = file.read()
    assert kept is not None
    nearly = (50_000_000, 6_000, 0, 0, 0, 50_000_000)
    slices = ((), (nearly,))
    file.write(
        replace(
            kept,
            stocks=tuple(
                replace(each, held=nearly, soc=(), slices=own)
                for each, own in zip(kept.stocks, slices, strict=True)
            ),
        )
    )
    runs.watts = (-3e6, -4e6)
    ran(runs, 80)
    runs.stop()
    image = runs.reader.snapshot()
    assert int(image["storages"]["stock_mj"].max()) == 0, "more was given than was held"
    assert runs.verified().restarts_followed == 1


def test_losses_and_true_ups_are_followed_over_restarts_in_both_methods(tmp_path: Path) -> None:
    model = both_methods(
        standby_w=2_000.0, standby_carbon="loss account", full_soc_ratio=0.625,
        empty_soc_ratio=0.615, charge_efficiency=0.93, discharge_efficiency=0.91,
    )  # fmt: skip
    runs = Runs(tmp_path / "data", model)
    for _ in range(3):
        ran(runs, 30)
        runs.stop()
    result = runs.verified()
    assert (result.restarts_followed, result.seconds_unfollowed) == (2, 0)


def test_what_a_controller_does_not_say_is_not_followed_over_its_start(runs: Runs) -> None:
    ran(runs)
    runs.stop()
    assert {each["why"] for each in runs.openings.values()} == {FIRST_START}
    runs.start(says=False)
    runs.scans(5 * SECOND)
    runs.stop()
    assert "stocks" not in runs.start_said()
    result = runs.verified()
    assert (result.restarts_followed, result.seconds_unfollowed) == (0, 1)
