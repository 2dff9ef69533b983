"""The bench commands: the keys that the acceptance page names, and figures that can be true."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytestmark = [pytest.mark.alone, pytest.mark.wire]
QUANTILES = {"p50", "p99", "p999", "max"}


def bench(*words: str) -> dict[str, Any]:
    """Run `edgectl bench ...  --json`; the last line of its output."""
    done = subprocess.run(
        [sys.executable, "-m", "edgectl.cli.main", "bench", *words, "--json"],
        capture_output=True, text=True, timeout=240, check=True,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


@pytest.mark.parametrize("extra", [[], ["--faults"], ["--stress"]], ids=["plain", "faults", "load"])
def test_bench_scan_prints_the_figures_of_the_acceptance_page(extra: list[str]) -> None:
    figures = bench("scan", "--devices", "10", "--registers", "20", "--seconds", "2", *extra)
    assert figures.keys() >= {
        "scans", "missed_while_witness_on_time", "overruns", "fresh_fraction",
        "healthy_age_ms_max", "cpu_us_per_transaction", "cpu_ratio_floor",
        "cpu_ratio_pymodbus", "rss_growth_kib", "witness_late_periods",
    }  # fmt: skip
    for name in ("lateness_us", "witness_lateness_us", "exec_us"):
        assert figures[name].keys() == QUANTILES
    assert figures["scans"] + figures["overruns"] == 20
    assert figures["missed_while_witness_on_time"] == 0
    assert figures["timeouts"] > 0 or extra != ["--faults"]
    if figures["witness_late_periods"] == 0:
        assert figures["timeouts"] == 0 or extra
        assert figures["fresh_fraction"] == 1.0, "a faulty device is nobody else's fault"
        assert figures["healthy_age_ms_max"] < 100.0
    assert figures["journal_gap_records"] == 0
    assert figures["cpu_ratio_floor"] > 0.5
    assert 0.0 < figures["cpu_ratio_pymodbus"] < 1.0
    assert 0.0 < figures["cpu_ratio_pymodbus_warm_heap"] < 1.0


def test_bench_trip_times_each_cause_to_the_safe_value_within_its_bound() -> None:
    figures = bench("trip", "--injections", "30")
    assert figures["injections"] == 30
    assert figures["latency_ms"].keys() >= {"p50", "p99", "max"}
    assert figures["bound_ms"] == 300.0, "a poll period and 200 ms"
    assert figures["never_answered"] == 0
    assert figures["over_bound"] == 0
    assert figures["trips"] >= 30
    if figures["left_out"] < 30:
        assert 0.0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["max"] <= 300.0


def test_bench_kernel_prints_the_time_of_one_scan() -> None:
    figures = bench("kernel", "--tags", "500", "--interlocks", "20")
    assert figures["exec_us"].keys() == QUANTILES
    assert 0.0 < figures["exec_us"]["p50"] <= figures["exec_us"]["p99"]


@pytest.mark.parametrize(
    "extra", [[], ["--together", "--outstanding", "3"]], ids=["apart", "together"]
)
def test_bench_fieldbus_holds_us_against_every_client_there_is(extra: list[str]) -> None:
    figures = bench("fieldbus", "--connections", "5", "--seconds", "0.9", *extra)
    clients = {"edgectl", "floor", "libmodbus", "pymodbus"}
    assert figures["cpu_us_per_transaction"].keys() == clients
    assert figures["transactions_per_s"].keys() == clients
    assert figures["ratios"].keys() == clients - {"edgectl"}
    missing = {line.split(":")[0] for line in figures["skipped"]}
    for client in clients:
        for name in ("cpu_us_per_transaction", "transactions_per_s"):
            assert (figures[name][client] is None) == (client in missing)
    for client, ratio in figures["ratios"].items():
        assert (ratio is None) == (client in missing)
    assert figures["ratios"]["floor"] > 0.5
    assert figures["ratios"]["pymodbus"] < 0.7
    assert 0.0 < figures["ratio_pymodbus_warm_heap"] < 0.7
    assert figures["cpu_us_pymodbus_warm_heap"] > figures["cpu_us_per_transaction"]["edgectl"]
    several = figures["several"]
    assert several["outstanding"] == (3 if extra else 8)
    assert several["ratios"].keys() == {*figures["ratios"], "pymodbus_warm_heap"}
    for name in ("cpu_us_per_transaction", "transactions_per_s"):
        assert several[name].keys() == {"edgectl", "floor"}
        assert min(several[name].values()) > 0.0
    for client, ratio in several["ratios"].items():
        assert (ratio is None) == (client in missing)
    assert several["ratios"]["pymodbus"] < 0.7
    one = figures["cpu_us_per_transaction"]
    assert several["cpu_us_per_transaction"]["edgectl"] < one["edgectl"], "fewer system calls"


@pytest.mark.slow
def test_the_field_bus_costs_little_more_than_the_floor_and_less_than_libmodbus() -> None:
    figures = bench("fieldbus", "--connections", "20")
    assert figures["ratios"]["floor"] <= 1.3
    assert figures["ratios"]["libmodbus"] is None or figures["ratios"]["libmodbus"] <= 0.8


@pytest.mark.slow
def test_one_scan_of_2000_tags_and_100_interlocks_takes_under_50_us() -> None:
    assert bench("kernel", "--tags", "2000", "--interlocks", "100")["exec_us"]["p50"] <= 50.0


def test_the_same_seed_gives_the_same_digest_and_another_seed_another() -> None:
    runs = [bench("kernel", "--simulate-hours", "0.1", "--seed", seed) for seed in ("4", "4", "5")]
    assert runs[0]["scans"] == 3600
    assert runs[0]["digest"] == runs[1]["digest"] != runs[2]["digest"]
    assert runs[0]["balance_error_mj"] == runs[0]["balance_error_ug"] == 0
    for figures in runs:
        assert figures["scans_per_s"] > 0
        skipped = " ".join(figures["skipped"])
        assert (figures["vessim_simulated_s_per_s"] is None) == ("vessim" in skipped)


def test_without_json_a_table_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgectl.cli.main", "bench", "kernel", "--tags", "64",
         "--interlocks", "4"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "exec_us" in done.stdout
    assert not done.stdout.lstrip().startswith("{")


def test_bench_ledger_prints_the_figures_of_the_acceptance_page() -> None:
    figures = bench("ledger", "--days", "0.04", "--meters", "40")
    assert figures["records"] == 3600 + 3600 // 300, "seconds, and a factor every five minutes"
    for name in ("append_per_s", "verify_per_s", "verify_per_s_one_process"):
        assert figures[name] > 1_000
    assert 100 < figures["bytes_per_record"] < 700
    assert 0 < figures["live_writer_core_fraction"] < 0.02
