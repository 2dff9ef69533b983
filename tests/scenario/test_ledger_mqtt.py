"""The ledger over a real broker: heads go out and stay, counts come in and are booked."""

import gzip
import json
from functools import partial
from pathlib import Path

import pytest
import verify_ledger as stranger_verifier
from event_log import EventLog
from fake_controller import PERIOD_NS, UTC_NS, FakeController, directory
from ledger_rig import TENANTS
from mqtt_stranger import Stranger, broker_of, wait

from edgectl.image import create_segment
from edgectl.ledger import Kind, Ledger
from edgectl.ledger.heads import parse_document
from edgectl.ledger.keys import load_public
from edgectl.ledger.verify import verify
from edgectl.mqtt.broker import find_mosquitto
from edgectl.reports.receipt import make_receipt
from edgectl.services import Services, Settings, ledger_feed


@pytest.fixture(autouse=True)
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGECTL_SHM_DIR", str(tmp_path))


def test_heads_are_retained_and_counts_are_booked_for_their_tenant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if find_mosquitto() is None:
        pytest.skip("LEDGER OVER MQTT NOT TESTED: mosquitto is not installed")
    monkeypatch.setattr(ledger_feed, "COUNTER_S", 0.0)
    said = directory() | {"tenants": TENANTS}
    fake = FakeController(create_segment("fake", said, 1.0, PERIOD_NS), UTC_NS)
    fake.run(25)
    data = tmp_path / "data"
    with broker_of("mosquitto") as broker:
        stranger = Stranger(broker.port)
        services = Services(Settings("fake", data, mqtt_port=broker.port), EventLog())
        assert wait(partial(head_seen, services, stranger))
        for value in (100, 700):
            count = {"value": value, "unit": "job-hour", "source": "slurm-1"}
            for tenant in ("acme", "nobody"):
                stranger.client.publish(f"edgectl/fake/counter/{tenant}/jobs", json.dumps(count), 1)
            assert wait(partial(seen, services, fake, data, value))
        fake.segment.close()
        services.tick()
        services.tick()
        services.close()
        assert wait(lambda: stranger.online() is False), "the broker has all that came before"
        late = Stranger(broker.port)
        assert wait(lambda: late.of("ledger"))
        head = parse_document(late.of("ledger")[0].payload)
        stranger.close()
        late.close()
    key = load_public(data / "fake.key.pub")
    (result,) = verify(data, key, [head])
    assert result.good, result.bad
    assert head.size == result.records, "the head on stop is what a late client finds"
    begin_s = UTC_NS // 10**9
    with Ledger("fake", data, read_only=True) as ledger:
        receipt = make_receipt(ledger, "acme", begin_s, begin_s + 10**6)
    path = tmp_path / "r.gz"
    path.write_bytes(receipt)
    (counter,) = stranger_verifier.verify_receipt(path, key)["counters"]
    assert (counter["name"], counter["source"], counter["count"]) == ("jobs", "slurm-1", 600)
    assert b"nobody" not in gzip.decompress(receipt)


def head_seen(services: Services, stranger: Stranger) -> bool:
    """Whether a head has come out, by a publisher that listens as well."""
    services.tick()
    return bool(stranger.of("ledger"))


def seen(services: Services, fake: FakeController, data: Path, value: int) -> bool:
    """Whether a count of this value has come through to the file."""
    fake.run(10)
    services.tick()
    with Ledger("fake", data, read_only=True) as ledger:
        return any(row.content()["value"] == value for row in ledger.rows(Kind.COUNTER))
