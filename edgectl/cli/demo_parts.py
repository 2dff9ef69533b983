"""The processes of the demo: plant, controller with its services, and what the operator does."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from edgectl._kernel.interlock import InterlockStatus, Reset
from edgectl._kernel.journal import MailKind
from edgectl.errors import EdgectlError, PlantError, SegmentError
from edgectl.image import Mailbox, SegmentReader, attach
from edgectl.plant.traces import HOUR_NS, GridCarbonTrace, open_traces
from edgectl.site_model import Site

PLANT_READY_S = 60.0
ATTACH_S = 20.0
STOP_S = 15.0
FEED_HOURS = 48
RESET_TTL_S = 2.0
EDGECTL = (sys.executable, "-m", "edgectl.cli.main")


class Child:
    """One process of the demo, its output in a file that is shown if it fails."""

    def __init__(self, name: str, argv: Sequence[str], log: Path, *, piped: bool = False) -> None:
        """Start it.

        name    for messages
        argv    arguments of edgectl
        log     where its standard error goes, and its standard output unless piped
        """
        self.name = name
        self.log = log
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                [*EDGECTL, *argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if piped else file,
                stderr=file,
                text=True,
                start_new_session=True,  # Ctrl-C ends the demo, which then ends its children
            )

    def line(self, timeout_s: float) -> str:
        """The next line of a piped child; empty if it ended or said nothing in time."""
        lines: queue.Queue[str] = queue.Queue()
        assert self.process.stdout is not None
        read = self.process.stdout.readline
        threading.Thread(target=lambda: lines.put(read()), daemon=True).start()
        try:
            return lines.get(timeout=timeout_s)
        except queue.Empty:
            return ""

    def tail(self) -> str:
        """The last it said, indented."""
        said = self.log.read_text(errors="replace").strip().splitlines()[-8:]
        return "\n  ".join(said) or "nothing"

    def stop(self) -> int:
        """End it: asked first, then killed; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def start_plant(site: str, data: Path | None, seed: int, log: Path) -> tuple[Child, dict[str, Any]]:
    """Start the simulated campus and wait until every device listens.

    Returns the child and what it says of itself. Raises PlantError where it does not come up.
    """
    argv = ["plant", site, "--seed", str(seed), "--scenario", "demo"]
    child = Child("plant", [*argv, "--data", str(data)] if data else argv, log, piped=True)
    line = child.line(PLANT_READY_S)
    if not line:
        child.stop()
        raise PlantError(
            where="the simulated campus",
            problem=f"it did not come up; it said:\n  {child.tail()}",
            because="Without devices there is nothing to control.",
            remedy="See the message above; another demo may still run on the same ports.",
        )
    return child, json.loads(line)


def write_carbon_feed(path: Path, site: Site, data: Path | None, ready: dict[str, Any]) -> None:
    """Write the campus's grid carbon as rows of wall time and g/kWh, for the services to post.

    path    .json file of the feed
    ready   what the plant said: its time now
    """
    trace = GridCarbonTrace(open_traces(data, site.zone, int(ready["seed"])))
    campus_ns = int(datetime.fromisoformat(ready["start_utc"]).timestamp()) * 1_000_000_000
    wall_ns = time.time_ns()
    rows = []
    for hour in range(FEED_HOURS):
        at_ns = campus_ns if hour == 0 else (campus_ns // HOUR_NS + hour) * HOUR_NS
        rows.append([wall_ns + at_ns - campus_ns, trace.g_per_kwh(at_ns)])
    path.write_text(json.dumps({"rows": rows}))


def await_segment(site_id: str, controller: Child) -> SegmentReader:
    """Attach to the controller once it has scanned.

    Raises EdgectlError with what it said where it ended instead.
    """
    end_s = time.monotonic() + ATTACH_S
    while time.monotonic() < end_s and controller.process.poll() is None:
        try:
            reader = attach(site_id)
            if reader.controller_pid == controller.process.pid and reader.journal_head > 0:
                return reader
            reader.close()
        except SegmentError:
            pass
        time.sleep(0.05)
    raise EdgectlError(
        where="the controller",
        problem=f"it did not start to scan; it said:\n  {controller.tail()}",
        because="The demo shows a running controller.",
        remedy="See the message above.",
    )


class Operator:
    """Resets latched interlocks, as a person at the panel would once the cause is gone."""

    def __init__(self, reader: SegmentReader) -> None:
        """reader   of the controller's segment"""
        assert reader.path is not None
        self._mailbox = Mailbox(reader.path)
        self._rows = reader.directory["interlocks"]

    def look(self, snapshot: Any) -> None:
        """Ask for a reset of every row that waits for the operator since the start."""
        for at, row in enumerate(self._rows):
            now = snapshot["interlocks"][at]
            if (
                row["reset"] == "operator"
                and int(now["start"])
                and int(now["status"]) == InterlockStatus.INTERLOCK_LATCHED
            ):
                self._mailbox.put(MailKind.MAIL_RESET, at, 0.0, Reset.RESET_OPERATOR, RESET_TTL_S)


class MessageCount:
    """An independent MQTT client that counts what reaches it."""

    def __init__(self, port: int, site_id: str) -> None:
        """Subscribe to everything of a site on a loopback broker."""
        self.messages = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv311)
        self._client.on_connect = lambda client, *_: client.subscribe(f"edgectl/v1/{site_id}/#")
        self._client.on_message = self._count
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _count(self, *_: Any) -> None:
        self.messages += 1

    def stop(self) -> int:
        """Messages received."""
        self._client.loop_stop()
        self._client.disconnect()
        return self.messages


@dataclass(slots=True)
class Killer:
    """Kills the services process with SIGKILL at even times."""

    times_s: list[float]
    killed: int = 0

    def look(self, elapsed_s: float, controller: Child) -> None:
        """Kill once for every time that has come."""
        if not self.times_s or elapsed_s < self.times_s[0]:
            return
        for pid in children_of(controller.process.pid):
            os.kill(pid, signal.SIGKILL)
            self.killed += 1
        self.times_s.pop(0)


def children_of(pid: int) -> list[int]:
    """Processes whose parent is pid."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
