"""The services' one loop: attach, read, feed, and attach again to the next controller.

The ledger is fed before MQTT, and MQTT never waits: a slow or missing broker
delays no record. A run of the controller is left only when its journal is read
to the end and its last second is in the ledger.
"""

import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from edgectl.alarms import Health
from edgectl.errors import SegmentError
from edgectl.events import emit
from edgectl.image import SegmentReader, attach, segment_path
from edgectl.image.reader import JOURNAL_BATCH, read_head
from edgectl.ledger.heads import TreeHead
from edgectl.mqtt import Publisher, Topics, birth
from edgectl.services.alarm_feed import AlarmFeed
from edgectl.services.alarm_mqtt import AlarmMqtt
from edgectl.services.blackbox_feed import BlackboxFeed
from edgectl.services.carbon_feed import CarbonFeed, CarbonPoster
from edgectl.services.counter_feed import CounterFeed
from edgectl.services.health import HealthPoster
from edgectl.services.ledger_feed import LedgerFeed
from edgectl.services.mqtt_feed import MqttFeed
from edgectl.services.register_feed import RegisterFeed

TICK_S = 0.1
READ_OUT_S = 3.0  # under the supervisor's STOP_S
FINISH_S = 3.0  # for the last records of a controller that stopped just before us
BEHIND_STEP = 50  # scans; what is behind by less is as good as there
GIVE_UP_S = 10.0  # a ledger that fails so long does not keep us from the next controller


@dataclass(frozen=True, slots=True)
class Settings:
    """What the services of one site need to know."""

    site: str
    data_dir: Path
    mqtt_host: str | None = None  # None: as the site file says
    mqtt_port: int | None = None  # None: as the site file says; 0: no MQTT
    carbon_ttl_s: float = 900.0
    parent_pid: int | None = None  # end when this is no longer the parent


@dataclass(slots=True)
class _Run:
    """One run of the controller, while it is read."""

    reader: SegmentReader
    mqtt: MqttFeed | None = field(default=None)


class Services:
    """The services of one site."""

    def __init__(self, settings: Settings, log: Any = None, feed: CarbonFeed | None = None) -> None:
        """Nothing is opened or contacted before run().

        feed   of grid carbon
        """
        self.settings = settings
        self._log = log or structlog.get_logger()
        self._ledger = LedgerFeed(settings.site, settings.data_dir, self._log, self._publish_head)
        self._registers = RegisterFeed(settings.site, settings.data_dir, self._log, self._ledger)
        self._counters = CounterFeed(self._log)
        self._heartbeat = HealthPoster(settings.site)
        self._alarms = AlarmFeed(settings.site, settings.data_dir, self._log)
        self._blackbox = BlackboxFeed(settings.site, settings.data_dir, self._log)
        self._publisher: Publisher | None = None
        self._alarm_mqtt: AlarmMqtt | None = None
        self._head: bytes | None = None  # the newest signed head, as it is published
        self._carbon = (
            CarbonPoster(
                feed, settings.site, self._log, settings.carbon_ttl_s, self._ledger.use_factor
            )
            if feed
            else None
        )
        self._run: _Run | None = None
        self._done_boot = -1
        self._awaited = False

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop` is set, or the parent is gone and all is read."""
        start_s = time.monotonic()
        emit(self._log, "services.started", pid=os.getpid(), site=self.settings.site)
        try:
            while not stop.is_set():
                busy = self.tick()
                if self._run is None and self._orphaned():
                    break
                if not busy:
                    stop.wait(TICK_S)
            self._read_out()
        finally:
            self.close()
            emit(self._log, "services.stopped", site=self.settings.site,
                 seconds=round(time.monotonic() - start_s, 1))  # fmt: skip

    def tick(self) -> bool:
        """Do what is there to be done; True where more is waiting."""
        if self._publisher is not None:
            self._publisher.poll()
        if self._run is None and not self._attach():
            self._alarms.idle()
            self._pump_alarms()
            return False
        run = self._run
        assert run is not None, "attached above"
        # Looked at before reading: what a dead controller wrote last is then in the journal.
        over = not run.reader.alive()
        for count in self._counters.take():
            self._ledger.count(count)
        caught_up = self._ledger.pump()
        self._registers.pump()
        self._alarms.pump(self._health(run, over=over))
        self._pump_alarms()
        if run.mqtt is not None:
            run.mqtt.pump()
        boxed = self._blackbox.pump() or self._blackbox.failing
        if not over:
            self._heartbeat.poll(ledger_fails=self._ledger.failing_since_s is not None)
            if self._carbon is not None:
                self._carbon.poll()
        if over and self._may_leave(run, caught_up):
            self._leave(run)
        return not boxed or (not caught_up and self._ledger.failing_since_s is None)

    def _read_out(self) -> None:
        """Asked to stop after the controller did: its last records still go into the ledger."""
        end_s = time.monotonic() + READ_OUT_S
        while self._run is not None and not self._run.reader.alive() and time.monotonic() < end_s:
            self.tick()

    def _finish_run(self) -> None:
        """A controller that stopped before us is booked to its last scan."""
        end_s = time.monotonic() + FINISH_S
        while self._run is not None and time.monotonic() < end_s:
            if self._run.reader.alive():
                return
            self.tick()

    def close(self) -> None:
        """Let go of everything. The second under way stays in the journal."""
        self._registers.close()
        self._ledger.close()
        self._alarms.detach()
        self._alarms.close()
        self._blackbox.close()
        if self._carbon is not None:
            self._carbon.feed.close()
        if self._publisher is not None:
            self._publisher.stop()
            self._publisher = self._alarm_mqtt = None
        if self._run is not None:
            self._run.reader.close()
            self._run = None

    def _attach(self) -> bool:
        try:
            head = read_head(segment_path(self.settings.site))
            if head is not None and int(head["start_utc_ns"]) == self._done_boot:
                return False
            reader = attach(self.settings.site)
        except SegmentError as error:
            self._say_awaited(error.problem)
            return False
        self._awaited = False
        self._run = _Run(reader)
        self._ledger.attach(reader)
        self._registers.attach(reader)
        self._alarms.attach(reader)
        self._blackbox.attach(reader)
        publisher = self._publish_for(reader)
        if publisher is not None:
            self._run.mqtt = MqttFeed(reader, publisher)
            publisher.set_birth(birth(reader.directory, publisher.topics.node))
            publisher.set_controller(reader.alive())
        emit(self._log, "segment.attached", site=self.settings.site, segment=str(reader.path),
             controller_pid=reader.controller_pid, boot_id=reader.boot_id,
             next_seq=reader.journal_head)  # fmt: skip
        return True

    def _publish_for(self, reader: SegmentReader) -> Publisher | None:
        """The publisher, made once; node and broker are as the site file had them."""
        if self.settings.mqtt_port == 0:
            return None
        if self._publisher is None:
            of_site = reader.directory.get("mqtt") or {}
            node = str(of_site.get("node", "edge-1"))
            host = self.settings.mqtt_host or str(of_site.get("host", "127.0.0.1"))
            port = self.settings.mqtt_port or int(of_site.get("port", 1883))
            self._publisher = Publisher(Topics(self.settings.site, node), host, port, self._log)
            self._alarm_mqtt = AlarmMqtt(self._alarms, self._publisher, self._log)
            self._publisher.on_counter(self._counters.on_message)
            if self._head is not None:
                self._publisher.set_head(self._head)
            self._publisher.start()
        return self._publisher

    def _publish_head(self, head: TreeHead) -> None:
        self._head = head.document()
        if self._publisher is not None:
            self._publisher.set_head(self._head)

    def _health(self, run: _Run, *, over: bool) -> Health:
        """What the services know that no record holds."""
        behind = run.reader.journal_head - self._ledger.next_seq
        return Health(
            ledger_failing=self._ledger.failing_since_s is not None,
            behind_scans=BEHIND_STEP * (behind // BEHIND_STEP),
            broker_away=self._publisher is not None and not self._publisher.connected,
            controller_gone=over and not run.reader.stopped,
            disagreeing=self._registers.devices,
        )

    def _pump_alarms(self) -> None:
        if self._alarm_mqtt is not None:
            self._alarm_mqtt.pump()

    def _may_leave(self, run: _Run, caught_up: bool) -> bool:
        """All is in the ledger; or it cannot be written and nobody waits for that."""
        if caught_up:
            boxed = self._blackbox.finish() or self._blackbox.failing
            return self._ledger.finish() and boxed
        failing_s = self._ledger.failing_since_s
        return (
            failing_s is not None
            and time.monotonic() - failing_s > GIVE_UP_S
            and (self._orphaned() or not run.reader.current())
        )

    def _leave(self, run: _Run) -> None:
        emit(self._log, "segment.ended" if run.reader.stopped else "segment.lost",
             site=self.settings.site, controller_pid=run.reader.controller_pid)  # fmt: skip
        self._done_boot = run.reader.boot_id
        self._registers.finish()
        run.mqtt = None
        self._finish_alarms(run)
        if self._publisher is not None:
            self._publisher.set_controller(False)
        run.reader.close()
        self._run = None
        self._awaited = True

    def _finish_alarms(self, run: _Run) -> None:
        """Take the run's last records; where they cannot be stored nobody waits for that."""
        health = self._health(run, over=True)
        batches = run.reader.layout.journal_slots // JOURNAL_BATCH + 1
        for _ in range(batches):
            if self._alarms.pump(health):
                break
        self._alarms.detach()
        self._pump_alarms()

    def _say_awaited(self, problem: str) -> None:
        if not self._awaited:
            emit(self._log, "segment.awaited", site=self.settings.site,
                 segment=str(segment_path(self.settings.site)), problem=problem)  # fmt: skip
        self._awaited = True

    def _orphaned(self) -> bool:
        parent = self.settings.parent_pid
        return parent is not None and os.getppid() != parent
