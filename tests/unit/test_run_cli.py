"""A controller that ends by an error says so in its log, and never that all was in order."""

import threading
from pathlib import Path

import pytest
from event_log import EventLog

from edgectl.cli import run
from edgectl.controller import session as session_module
from edgectl.controller.runtime import RuntimeOptions
from edgectl.controller.session import Session
from edgectl.errors import EdgectlError, SegmentError
from edgectl.site_model import compile_tables, load_site


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> EventLog:
    kept = EventLog()
    monkeypatch.setattr(run, "log", kept)
    monkeypatch.setattr(session_module, "log", kept)
    return kept


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The demo with nobody to talk to; nothing runs yet."""
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))
    site = load_site("demo")
    return Session(site, compile_tables(site), RuntimeOptions(dry_run=True, realtime=False))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            SegmentError(where="demo", problem="it runs", because="One.", remedy="Stop it."),
            "demo: it runs",
        ),
        (OSError(28, "No space left"), "OSError(28, 'No space left')"),
    ],
)
def test_what_ends_the_controller_is_told_and_goes_on_to_the_caller(
    log: EventLog, error: Exception, said: str
) -> None:
    with pytest.raises(type(error)), run._failure_told("demo"):
        raise error
    assert log.events == [("controller.failed", {"site": "demo", "error": said})]
    assert log.levels == ["error"]


def test_a_run_without_an_error_tells_of_none(log: EventLog) -> None:
    with run._failure_told("demo"):
        pass
    assert log.events == []


def test_a_scan_that_does_not_end_is_an_error_and_no_orderly_stop(
    log: EventLog, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_really = session.runtime.stop

    def ends_too_late() -> bool:
        stop_really()
        return False

    monkeypatch.setattr(session.runtime, "stop", ends_too_late)
    asked = threading.Event()
    asked.set()
    with pytest.raises(EdgectlError, match="did not end within 25 periods"):
        session.run(asked, lambda: None)
    assert "controller.started" in log.names
    assert "controller.stopped" not in log.names


def test_a_run_that_is_asked_to_stop_says_that_it_was_in_order(
    log: EventLog, session: Session
) -> None:
    asked = threading.Event()
    asked.set()
    session.run(asked, lambda: None)
    (fields,) = [fields for name, fields in log.events if name == "controller.stopped"]
    assert fields["cause"] == "asked"
