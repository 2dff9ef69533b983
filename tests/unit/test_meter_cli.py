"""`edgectl meter swap`: what is asked back, signed and handed over, and what came of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edgectl.cli import meter
from edgectl.errors import NoAnswerError
from edgectl.ledger.keys import generate
from edgectl.ledger.swap import parse_swap, swaps_path

ARGS = ["swap", "demo", "MTR-02", "--last-old", "12345.67", "--first-new", "0.1", "--by", "Anna",
        "--reason", "display broken", "--at", "2026-11-27T08:00"]  # fmt: skip


@pytest.fixture
def where(tmp_path: Path) -> Path:
    generate(tmp_path / "demo.key")
    swaps_path("demo", tmp_path).mkdir()
    return tmp_path


def run(where: Path, *more: str, typed: str = "") -> Any:
    return CliRunner().invoke(meter.app, [*ARGS, "--data-dir", str(where), *more], input=typed)


def answering(where: Path, answer: dict[str, str], seen: list[bytes]) -> Callable[[float], None]:
    """In the place of a wait: the services take the statement and answer."""

    def look(_seconds: float) -> None:
        for path in swaps_path("demo", where).glob("*.swap"):
            seen.append(path.read_bytes())
            path.with_suffix(".answer").write_text(json.dumps(answer))
            path.unlink()

    return look


def test_it_asks_back_in_kilowatt_hours_before_it_signs(
    where: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    answer = {"refused": "", "outcome": "it is followed"}
    monkeypatch.setattr(meter.time, "sleep", answering(where, answer, seen))
    no = run(where, typed="n\n")
    assert "ended at  12 345.67 kWh" in no.output
    assert "begins at 0.1 kWh" in no.output
    assert (no.exit_code, seen) == (1, [])
    yes = run(where, typed="y\n")
    assert yes.exit_code == 0, yes.output
    assert "MTR-02: it is followed" in yes.output
    (signed,) = map(parse_swap, seen)
    assert signed.signed
    assert signed.said().last_old == "12345.67"


def test_a_refusal_is_said_with_exit_status_1(where: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"refused": "it was submitted already: record 7", "outcome": ""}
    monkeypatch.setattr(meter.time, "sleep", answering(where, answer, []))
    found = run(where, "--yes", "--json")
    assert found.exit_code == 1
    assert json.loads(found.output)["refused"] == answer["refused"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("--last-old", "-3"), ("--first-new", "12,5"), ("--ct-ratio", "400"), ("--by", " ")],
)
def test_what_is_no_reading_is_refused_before_it_is_signed(
    where: Path, option: str, value: str
) -> None:
    found = run(where, "--yes", option, value)
    assert found.exit_code == 2
    assert option in found.output


def test_without_services_it_waits_and_says_so(where: Path) -> None:
    signed = parse_swap(b'{"statement": "{}", "signature": "00", "key": "00"}')
    with pytest.raises(NoAnswerError, match="did not answer"):
        meter.submit(signed, swaps_path("demo", where), wait_s=-1.0)
    assert len(list(swaps_path("demo", where).glob("*.swap"))) == 1
