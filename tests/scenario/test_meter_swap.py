"""A meter is changed: the signed statement, the services that judge it, the record it becomes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import verify_ledger as stranger
from register_rig import BEGIN_S, RegisterRig

from edgectl.cli.verify import as_text
from edgectl.ledger import Kind, Ledger
from edgectl.ledger.keys import generate, load_private, load_public
from edgectl.ledger.swap import SignedSwap, Statement, sign_swap, swap_of, swaps_path
from edgectl.ledger.verify import verify
from edgectl.reports.books import read_books
from edgectl.reports.quality import quality

pytestmark = pytest.mark.untraced
TAG = "MTR-02.energy_import"
J_PER_KWH = 3_600_000.0
OLD_J, NEW_J = 5e14, 36e6  # where the counters stand as this begins, and the new one's first


class SwapRig(RegisterRig):
    """The campus, with a meter that is changed."""

    def __init__(self, where: Path) -> None:
        super().__init__(where)
        self.index, _ = self.signal(TAG)
        self.plant.plant.force(self.index, OLD_J)
        self.run(60)

    def open(self) -> None:
        super().open()
        self.registers._desk._clock_s = lambda: float(BEGIN_S + self.seconds)

    def statement(self, last_kwh: float, first_kwh: float, **more: Any) -> Statement:
        now_s = BEGIN_S + self.seconds
        said = {
            "site": "demo", "meter": "MTR-02", "last_old": f"{last_kwh:.2f}",
            "first_new": f"{first_kwh:.2f}", "at_utc_s": now_s, "said_utc_s": now_s,
            "by": "Anna", "reason": "display broken",
        }  # fmt: skip
        return Statement(**(said | more))

    def signed(self, last_kwh: float, first_kwh: float, **more: Any) -> SignedSwap:
        return sign_swap(
            self.statement(last_kwh, first_kwh, **more), load_private(self.where / "demo.key")
        )

    def submit(self, content: bytes) -> dict[str, Any]:
        folder = swaps_path("demo", self.where)
        folder.mkdir(exist_ok=True)
        path = folder / "one.swap"
        path.write_bytes(content)
        self.registers._desk._looked_s = 0.0
        self.pump()
        assert not path.exists(), "it is taken away once it is answered"
        found: dict[str, Any] = json.loads(path.with_suffix(".answer").read_bytes())
        return found

    def shown_kwh(self) -> float:
        return self.signal(TAG)[1] / J_PER_KWH

    def records(self) -> list[dict[str, Any]]:
        with Ledger("demo", self.where, read_only=True) as ledger:
            rows = [each for each in ledger.rows(Kind.METER) if each.public["what"] == "swap"]
            return [row.content() for row in rows]


@pytest.fixture
def rig(tmp_path: Path) -> SwapRig:
    return SwapRig(tmp_path)


def held_mj(rig: SwapRig, from_s: int) -> int:
    """Corrected energy of the load from a second on."""
    had_mj = 0
    for each in rig.intervals(60):
        if each.start_s >= from_s:
            fixed = each.as_corrected()
            had_mj += sum(mj for (_, to), mj in fixed.energy_mj.items() if to == "IT-B")
    return had_mj


def test_a_meter_stated_as_changed_while_it_is_silent_is_followed_over_the_change(
    rig: SwapRig,
) -> None:
    begin_j = rig.signal(TAG)[1]
    rig.run(60)
    rig.silence("MTR-02", on=True)
    rig.run(60)
    last_kwh, through_j = rig.shown_kwh(), rig.signal(TAG)[1] - begin_j
    rig.plant.plant.force(rig.index, NEW_J)
    answer = rig.submit(rig.signed(last_kwh, NEW_J / J_PER_KWH).document())
    assert answer == {"refused": "", "outcome": "the new meter is followed from its first reading "
                      "on"}  # fmt: skip
    rig.silence("MTR-02", on=False)
    rig.run(180)
    through_j += rig.signal(TAG)[1] - NEW_J
    rig.finish()
    assert held_mj(rig, BEGIN_S + 60) == pytest.approx(through_j * 1000, rel=0.01)
    (record,) = rig.records()
    assert swap_of(record).signed
    assert (record["meter"], record["by"]) == (TAG, "Anna")
    assert verify(rig.where)[0].good


def test_a_change_stated_afterwards_is_appended_as_a_correction(rig: SwapRig) -> None:
    rig.run(60)
    begin_j, begin_s = rig.signal(TAG)[1], BEGIN_S + rig.seconds
    rig.silence("MTR-02", on=True)
    rig.run(120)
    last_kwh, through_j = rig.shown_kwh(), rig.signal(TAG)[1] - begin_j
    rig.plant.plant.force(rig.index, NEW_J)
    rig.silence("MTR-02", on=False)
    rig.run(60)
    assert rig.said("meter.register_broken"), "a reset, as long as nobody says otherwise"
    answer = rig.submit(rig.signed(last_kwh, NEW_J / J_PER_KWH, at_utc_s=begin_s + 120).document())
    assert "appended as a correction" in answer["outcome"], answer
    rig.run(60)
    found = [each for each in rig.read("IT-B") if each.gaps]
    (gap,) = found
    recovered_mj = gap.energy_mj - (gap.booked_mj - gap.gap_mj)
    assert recovered_mj == pytest.approx(through_j * 1000, rel=0.02)
    assert gap.booked_mj > 1.2 * gap.energy_mj, "the worst credible power was booked"


def dark_of(rig: SwapRig) -> list[dict[str, Any]]:
    figures = [each["figures"] for each in rig.contents_now()]
    return [each for each in figures if each.get("dark") and each.get("sink") == "IT-B"]


def test_a_meter_changed_while_no_controller_ran_is_recovered(rig: SwapRig) -> None:
    rig.run(60)
    rig.finish()
    begin_j = rig.signal(TAG)[1]
    rig.dark(200)
    last_kwh, through_j = rig.shown_kwh(), rig.signal(TAG)[1] - begin_j
    rig.plant.plant.force(rig.index, NEW_J)
    rig.dark(100)
    through_j += rig.signal(TAG)[1] - NEW_J
    rig.start()
    rig.run(60)
    assert dark_of(rig) == []
    answer = rig.submit(rig.signed(last_kwh, NEW_J / J_PER_KWH).document())
    assert "no controller ran is recovered" in answer["outcome"], answer
    rig.run(30)
    (dark,) = dark_of(rig)
    assert dark["energy_mj"] - dark["booked_mj"] == pytest.approx(through_j * 1000, rel=0.02)


def silent(rig: SwapRig) -> float:
    """The meter is being changed; what the old one showed last, kWh."""
    rig.silence("MTR-02", on=True)
    rig.run(30)
    return rig.shown_kwh()


@pytest.mark.parametrize(
    ("more", "off_kwh", "why"),
    [
        ({"at_utc_s": BEGIN_S + 9_999}, 0.0, "in the future"),
        ({"said_utc_s": BEGIN_S + 9_999}, 0.0, "in the future"),
        ({"at_utc_s": BEGIN_S - 9_999}, 0.0, "is no longer put right"),
        ({"meter": "MTR-99"}, 0.0, "no counter of MTR-99 is followed; there are "),
        ({"meter": "MTR-01"}, 0.0, "counted on without a break"),
        ({"meter": "GRID-01"}, 0.0, "has several counters; state each: GRID-01.energy_export"),
        ({"site": "texas-100mw"}, 0.0, "it is of site texas-100mw"),
        ({}, 50_000.0, "it can have shown"),
        ({}, -50_000.0, "it can have shown"),
    ],
)
def test_what_cannot_be_is_refused_with_its_numbers(
    rig: SwapRig, more: dict[str, Any], off_kwh: float, why: str
) -> None:
    last_kwh = silent(rig) + off_kwh
    answer = rig.submit(rig.signed(last_kwh, 10.0, **more).document())
    assert why in answer["refused"]
    assert rig.records() == []
    assert [each["reason"] for each in rig.said("meter.change_refused")] == [answer["refused"]]


def test_a_contradiction_holds_with_a_reason_and_books_no_energy(rig: SwapRig) -> None:
    last_kwh = silent(rig) + 50_000.0
    answer = rig.submit(rig.signed(last_kwh, 10.0, force="read by two, photographed").document())
    assert answer["refused"] == ""
    rig.plant.plant.force(rig.index, NEW_J)
    rig.silence("MTR-02", on=False)
    rig.run(120)
    rig.finish()
    (record,) = rig.records()
    assert record["force"] == "read by two, photographed"
    most_mj = max((each.energy_mj for each in rig.of("IT-B")), default=0)
    assert most_mj < 50_000 * 3_600_000_000 // 2, "no energy is invented"


def test_nobody_states_a_change_without_a_key_that_is_known(rig: SwapRig) -> None:
    last_kwh = silent(rig)
    good = rig.signed(last_kwh, 10.0)
    altered = replace(good, statement=good.statement.replace("Anna", "Berta"))
    stranger = sign_swap(rig.statement(last_kwh, 10.0), generate(rig.where / "stranger.key"))
    unsigned = json.dumps({"statement": good.statement}).encode()
    for content, why in (
        (altered.document(), "its signature is not that of its key"),
        (stranger.document(), "is neither the ledger's own nor one of [ledger] technician_keys"),
        (unsigned, "nobody signed it"),
        (b"\xff not JSON", "nobody signed it"),
    ):
        assert why in rig.submit(content)["refused"]
    assert rig.records() == []


def test_a_technician_of_the_site_file_may_state_it(rig: SwapRig) -> None:
    last_kwh = silent(rig)
    signer = generate(rig.where / "anna.key")
    rig.reader.directory["ledger"]["technicians"] = [str(rig.where / "anna.key.pub")]
    answer = rig.submit(sign_swap(rig.statement(last_kwh, 10.0), signer).document())
    assert answer["refused"] == ""


def test_a_statement_is_taken_once(rig: SwapRig) -> None:
    last_kwh = silent(rig)
    good = rig.signed(last_kwh, 10.0)
    assert rig.submit(good.document())["refused"] == ""
    assert "it was submitted already: record " in rig.submit(good.document())["refused"]
    again = rig.signed(last_kwh, 10.0, reason="typed once more")
    assert "by Anna" in rig.submit(again.document())["refused"]
    assert len(rig.records()) == 1


def test_both_verifiers_hold_the_statement_against_its_signature(rig: SwapRig) -> None:
    last_kwh = silent(rig)
    assert rig.submit(rig.signed(last_kwh, 10.0).document())["refused"] == ""
    rig.finish()
    key = load_public(rig.where / "demo.key.pub")
    (result,) = verify(rig.where, key)
    assert result.good, result.bad
    ((seq, meter),) = [(each["seq"], each["meter"]) for each in result.changes]
    assert meter == TAG
    assert f"record {seq}: {TAG} was changed at 2023-" in as_text(result)
    assert "good" in stranger.verify_ledger(rig.where, key, [], False)
    with Ledger("demo", rig.where, read_only=True) as ledger:
        document = quality(read_books(ledger, BEGIN_S, BEGIN_S + 3_600, {}))
    assert [each["meter"] for each in document["meters_changed"]] == [TAG]


def test_both_verifiers_find_a_statement_that_nobody_signed(
    rig: SwapRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    last_kwh = silent(rig)
    monkeypatch.setattr(SignedSwap, "signed", property(lambda _self: True))
    good = rig.signed(last_kwh, 10.0)
    forged = replace(good, statement=good.statement.replace("Anna", "Eve"))
    assert rig.submit(forged.document())["refused"] == ""
    rig.finish()
    monkeypatch.undo()
    key = load_public(rig.where / "demo.key.pub")
    (result,) = verify(rig.where, key)
    assert result.bad == f"that {TAG} was changed is not signed by the key it names"
    with pytest.raises(stranger.BadError, match="not signed by the key it names"):
        stranger.verify_ledger(rig.where, key, [], False)
