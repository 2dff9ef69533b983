"""Events are declared once; what is not declared cannot be logged."""

import json
import re

import pytest
import structlog

from edgectl.events import EVENTS, SPECS, Level, configure_logging, emit, markdown_table


class Recorder:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, object]]] = []

    def __getattr__(self, level: str) -> object:
        return lambda name, **fields: self.told.append((level, name, fields))


def test_a_declared_event_is_logged_at_its_own_level() -> None:
    log = Recorder()
    emit(log, "interlock.tripped", interlock="IL-01", scan=7)
    assert log.told == [("warning", "interlock.tripped", {"interlock": "IL-01", "scan": 7})]


def test_an_undeclared_name_or_field_is_refused() -> None:
    with pytest.raises(ValueError, match="not declared"):
        emit(Recorder(), "interlock.exploded")
    with pytest.raises(ValueError, match="declares no field mood"):
        emit(Recorder(), "interlock.tripped", mood="bad")


def test_every_event_says_what_it_means_and_what_to_do() -> None:
    assert len(EVENTS) == len(SPECS), "a name is declared twice"
    for spec in SPECS:
        assert re.fullmatch(r"[a-z]+\.[a-z]+(_[a-z]+)*", spec.name)
        assert spec.meaning.endswith(".")
        assert spec.operator_action.endswith(".")
        assert spec.fields
        assert spec.name in markdown_table()


def test_lines_for_machines_are_json_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        configure_logging(log_json=True)
        emit(structlog.get_logger(), "controller.stopped", scans=5)
        line = json.loads(capsys.readouterr().err)
        assert (line["event"], line["scans"], line["level"]) == ("controller.stopped", 5, "info")
        configure_logging(log_json=True, level=Level.WARNING)
        emit(structlog.get_logger(), "controller.stopped", scans=5)
        emit(structlog.get_logger(), "scan.overrun", scan=6)
        (text,) = capsys.readouterr().err.splitlines()
        assert json.loads(text)["event"] == "scan.overrun", "the other one is not loud enough"
        configure_logging()
        emit(structlog.get_logger(), "controller.stopped", scans=5)
        captured = capsys.readouterr()
        assert "controller.stopped" in captured.err
        assert captured.out == ""
    finally:
        structlog.reset_defaults()
