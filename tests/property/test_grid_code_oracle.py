"""EPRI's OpenDER says the same: defaults of every category, and who trips when."""

from typing import Any

import grid_code_oracle as oracle
import opender
import pytest

from edgectl.grid_code.code import load_rules

pytestmark = pytest.mark.untraced  # the oracle is the slow part, not the kernel
QUICK, MANY = 12_000, 200_000
STAGES = ("UV1", "UV2", "OV1", "OV2", "UF1", "UF2", "OF1", "OF2")


@pytest.mark.parametrize("category", ["I", "II", "III"])
def test_the_defaults_of_each_category_are_those_of_opender(category: str) -> None:
    file = opender.DER_BESS(NP_ABNORMAL_OP_CAT=f"CAT_{category}").der_file
    rules = load_rules(oracle.CODE, category)
    for rule in rules.trips:
        axis = "V" if rule.unit == "pu" else "F"
        theirs = (
            getattr(file, f"{rule.setting}_TRIP_{axis}"),
            getattr(file, f"{rule.setting}_TRIP_T"),
        )
        assert theirs == (rule.threshold, rule.time_s), rule.setting
    names = {
        "ES_RAMP": "ES_RAMP_RATE", "DROOP_DB_OF": "PF_DBOF", "DROOP_DB_UF": "PF_DBUF",
        "DROOP_K_OF": "PF_KOF", "DROOP_K_UF": "PF_KUF", "DROOP_T": "PF_OLRT",
    }  # fmt: skip
    for value in rules.values:
        assert getattr(file, names.get(value.setting, value.setting)) == value.value, value.setting


def check(figures: dict[str, Any]) -> None:
    """No stage of either side differs by more than a scan, and each of them was really tried."""
    for side in ("window", "kernel"):
        assert figures[side]["disagreements"] == 0, figures
        assert figures[side]["worst_scans"] <= oracle.WITHIN_SCANS, figures
    assert figures["disagreements"] == 0


def test_window_and_kernel_trip_with_opender_to_the_scan() -> None:
    figures = oracle.as_json(oracle.run(QUICK, seed=1), seed=1)
    assert figures["samples"] >= QUICK
    check(figures)
    assert figures["kernel"]["trips"] > 50, figures


@pytest.mark.slow
def test_window_and_kernel_trip_with_opender_over_a_hundred_thousand_samples() -> None:
    figures = oracle.as_json(oracle.run(MANY, seed=7), seed=7)
    assert figures["samples"] >= 100_000
    check(figures)
    tried = figures["kernel"]["trips_by_stage"]
    assert all(tried[stage] > 0 for stage in STAGES), tried


def test_a_window_that_is_two_scans_late_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    prompt = oracle.Timer.step

    def late(self: oracle.Timer, held: bool, dt_ns: int) -> bool:
        return prompt(self, held, dt_ns) and self.elapsed_ns >= self.time_ns + 2 * dt_ns

    monkeypatch.setattr(oracle.Timer, "step", late)
    assert oracle.as_json(oracle.run(2_000, seed=1), seed=1)["window"]["disagreements"] > 0


def test_a_kernel_row_with_the_wrong_threshold_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = oracle.kernel_rows

    def shifted(stages: Any) -> Any:
        moved = [
            oracle.Stage(s.name, s.quantity, s.threshold + 2 * oracle.HAIR, s.time_ns)
            for s in stages
        ]
        return sound(moved)

    monkeypatch.setattr(oracle, "kernel_rows", shifted)
    assert oracle.as_json(oracle.run(4_000, seed=1), seed=1)["kernel"]["disagreements"] > 0
