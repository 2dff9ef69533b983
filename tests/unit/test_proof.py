"""The effect of a setpoint at another meter: what explains a reading, and what does not."""

import pytest

from edgectl._kernel.fieldbus import FirmwareDecode
from edgectl._kernel.identity import firmware_key
from edgectl._kernel.proof import EffectBench
from edgectl.profiles.numbers import version_key, version_text

S = 1_000_000_000
SCAN = S // 10


def errors(effect_ns: int, steps: list[tuple[float, float]]) -> list[float]:
    """Effect errors of scans with (output, metered) in W."""
    bench = EffectBench(effect_ns)
    return [bench.step(out, seen, at * SCAN + 1) for at, (out, seen) in enumerate(steps)]


def test_a_device_that_ramps_within_its_time_shows_no_error() -> None:
    outputs = [0.0] * 5 + [1000.0] * 40
    seen = [0.0] * 5 + [min(1000.0, 50.0 * at) for at in range(40)]
    assert max(errors(2 * S, list(zip(outputs, seen, strict=True)))) == 0.0


def test_a_device_that_stays_is_found_when_its_time_is_over() -> None:
    found = errors(2 * S, [(0.0, 0.0)] * 5 + [(1000.0, 0.0)] * 40)
    first = next(at for at, error in enumerate(found) if error > 0) - 5
    assert 20 <= first <= 22  # 2 s, and one slot of 2/15 s at most
    assert found[-1] == 1000.0


def test_a_device_that_goes_the_other_way_is_found_at_once() -> None:
    assert errors(2 * S, [(0.0, 0.0)] * 5 + [(1000.0, -400.0)])[-1] == 400.0


def test_nothing_is_expected_before_anything_was_written_and_gaps_forget() -> None:
    bench = EffectBench(2 * S)
    assert bench.step(0.0, 0.0, 1) == 0.0
    assert bench.step(500.0, 0.0, SCAN) == 0.0
    assert bench.step(500.0, 0.0, 3600 * S) == 500.0  # an hour without a scan: all is old


def test_of_a_pv_block_only_more_than_its_limits_of_the_effect_time_is_an_error() -> None:
    bench = EffectBench(2 * S)
    steps = [(900.0, 850.0)] * 5 + [(300.0, 850.0)] * 40 + [(300.0, 0.0)] * 3
    found = [bench.limit_step(*step, at * SCAN + 1) for at, step in enumerate(steps)]
    first = next(at for at, error in enumerate(found) if error > 0) - 5
    assert 20 <= first <= 22, "until then it may still be on its way down"
    assert found[-4:] == [550.0, 0.0, 0.0, 0.0], "less than the limit is the sun's"


@pytest.mark.parametrize(
    ("decode", "words", "version"),
    [
        ("WORDS", [2, 5, 7], "2.5.7"),
        ("WORDS", [8501], "8501"),
        ("BYTES", [0x0102, 0x0304], "1.2.3.4"),
        ("BYTES", [0x010A], "1.10"),
        ("NIBBLES", [0x1305], "1.3.5"),
        ("TEXT", [0x5631, 0x2E31, 0x302E, 0x3300], "1.10.3"),
        ("TEXT", [0x5633, 0x3030, 0x5230, 0x3031], "300.1"),
        ("TEXT", [0x4142, 0x4344], "0"),
        ("TEXT", [0x3939, 0x3939, 0x3939, 0x3939, 0x3939], "65535"),
        ("TEXT", [0x312E, 0x322E, 0x332E, 0x342E, 0x3500], "1.2.3.4"),
    ],
)
def test_versions_are_read_as_versions_and_order_as_versions(
    decode: str, words: list[int], version: str
) -> None:
    key = firmware_key(FirmwareDecode[f"FIRMWARE_{decode}"], words)
    assert version_text(key) == version
    assert key == version_key(version)
    assert version_key("1.9") < version_key("1.10") < version_key("2")
