"""The services' heartbeat: posted when due, at once on a change, and never in anyone's way."""

import pytest
from fake_controller import start_controller

from edgectl._kernel.journal import MailKind
from edgectl.services import health
from edgectl.services.health import HealthPoster


def test_the_controller_is_told_that_its_services_live_and_how_the_ledger_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 100.0
    monkeypatch.setattr(health.time, "monotonic", lambda: now_s)
    controller = start_controller()
    try:
        poster = HealthPoster("fake")
        poster.poll(ledger_fails=False)
        poster.poll(ledger_fails=False)
        assert poster.posted == 1, "not due again yet"
        poster.poll(ledger_fails=True)
        now_s += health.POST_EVERY_S
        poster.poll(ledger_fails=True)
        mails = controller.segment.mailbox[: poster.posted]
        assert list(mails["kind"]) == [MailKind.MAIL_SERVICES] * 3
        assert list(mails["value"]) == [0.0, 1.0, 1.0]
    finally:
        controller.segment.close()


def test_no_controller_is_no_error_and_is_tried_again() -> None:
    poster = HealthPoster("nobody-there")
    poster.poll(ledger_fails=False)
    assert poster.posted == 0
