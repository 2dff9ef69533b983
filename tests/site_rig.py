"""A whole site: served by the plant in a thread, read by a kernel and bus that a test steps."""

import asyncio
import os
import re
import threading
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from free_ports import free_ports

from edgectl._kernel.clock import now_ns
from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.fieldbus import FieldBus
from edgectl._kernel.journal import MailKind
from edgectl._kernel.kernel import Kernel
from edgectl._kernel.quality import Quality
from edgectl.controller.ports import SerialPorts
from edgectl.image import private_segment
from edgectl.image.mailbox import post
from edgectl.plant.der_settings import DerSetting
from edgectl.plant.host import HostOptions, WireHost
from edgectl.plant.wire import Pace, WireDevice, slot_words
from edgectl.site_model import Site, compile_tables

START_UTC_NS = 1_690_000_000_000_000_000
CALL_TIMEOUT_S = 10.0
PROOFS = "demo.proofs.toml"
ON_LINE = {"AUX-01": 1, "AUX-02": 2}
LINE = """
[[line]]
id        = "RS485-1"
port      = "{port}"
baud      = 19_200
parity    = "even"
stop_bits = 1
"""


def demo_elsewhere(root: Path, folder: Path, name: str) -> Path:
    """The demo site and its proofs in a folder: on free ports, under an id of its own."""
    shipped = root / "edgectl" / "sites"
    text = (shipped / "demo.toml").read_text()
    free = iter(free_ports(len(re.findall(r"(?m)^port\s*= 150\d\d$", text))))
    text = re.sub(r"(?m)^(port\s*= )150\d\d$", lambda found: f"{found[1]}{next(free)}", text)
    path = folder / "site.toml"
    path.write_text(re.sub(r'(?m)^id\s*= "demo"', f'id = "{name}-{os.getpid()}"', text, count=1))
    (folder / PROOFS).write_text((shipped / PROOFS).read_text())
    return path


def demo_with_a_line(root: Path, folder: Path) -> Path:
    """demo_elsewhere, with its two auxiliary meters on one line at 19200 8E1.

    The line's port is the path `line` in the folder; nothing stands there yet.
    """
    path = demo_elsewhere(root, folder, "line")
    text = path.read_text()
    for device, unit in ON_LINE.items():
        text, changed = re.subn(
            rf'(id      = "{device}"\nprofile = "[^"]*"\n)host.*\nport.*\nunit.*\n',
            rf'\1line    = "RS485-1"\nunit    = {unit}\nevery_scans = 5\nstale_after_ms = 3000\n',
            text,
        )
        assert changed == 1, device
    path.write_text(text + LINE.format(port=folder / "line"))
    return path


class StandingPace(Pace):
    """Time does not move: two readers find the same."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class Served:
    """A plant that is served in a thread of its own."""

    def __init__(self, host: WireHost, loop: asyncio.AbstractEventLoop) -> None:
        self.host = host
        self.wire = host.wire()
        self._loop = loop

    def call(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine where the plant is served, and wait for its end."""
        asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_TIMEOUT_S)

    def device(self, device: str) -> WireDevice:
        """A simulated device by its id."""
        return next(each for each in self.host.devices if each.device.id == device)

    def measured(self, device: str, function: int = 3) -> dict[int, int]:
        """Address to word of every register that shows a signal of the physics now."""
        core = self.device(device).slots
        return {
            slot.point.address + at: word
            for slot in core.slots
            if slot.point.function == function
            for at, word in enumerate(slot_words(slot, self.host.plant, core.low_first))
        }


@contextmanager
def served(
    site: Site,
    devices: tuple[str, ...] | None = None,
    *,
    standing: bool = True,
    der_settings: tuple[DerSetting, ...] = (),
) -> Iterator[Served]:
    """Serve a site's simulated devices.

    standing      time does not move, so that what is read can be compared
    der_settings  of converters, where not the defaults
    """
    options = HostOptions(devices=devices, start_utc_ns=START_UTC_NS, der_settings=der_settings)
    host = WireHost(site, options)
    if standing:
        host.pace.__class__ = StandingPace
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    plant = Served(host, loop)
    try:
        plant.call(plant.wire.start())
        yield plant
    finally:
        plant.call(plant.wire.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class SiteRig:
    """Kernel and bus of a whole site on the real clock, one scan at a time."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.tables = compile_tables(site)
        self._segment = private_segment(self.tables.directory, 256)
        self.kernel = Kernel(self.tables, self._segment.buffer)
        self.bus = FieldBus(self.kernel, self.tables.links, self.tables.devices, self.tables.probes)
        self._ports = SerialPorts(self.bus, site.lines)
        self._reader = self._segment.reader()
        self._period = 0
        self._origin_ns = now_ns() + 2 * site.scan.period_ns
        self.bus.open(self._origin_ns)

    def scan(self, times: int = 1) -> None:
        """Tend the ports, serve the bus until the next period, and scan."""
        for _ in range(times):
            self._ports.tend()
            self.bus.poll(self._origin_ns + self._period * self.site.scan.period_ns)
            self.kernel.step(now_ns(), time.time_ns(), self._period, 0)
            self._period += 1
            while now_ns() > self._origin_ns + self._period * self.site.scan.period_ns:
                self._period += 1

    def arm(self) -> None:
        """Ask for writing, as an operator: from the next scan on outputs are written."""
        expiry_ns = now_ns() + 60_000_000_000
        head, mailbox = self._segment.head, self._segment.mailbox
        operator = int(RequestSource.SOURCE_OPERATOR)
        post(head, mailbox, int(MailKind.MAIL_ARM), 0, 0.0, operator, expiry_ns)

    def value(self, tag: str) -> tuple[float, Quality]:
        """A point's value in SI and its quality."""
        value, quality, *_ = self.kernel.sample(self.tables.point_index[tag])
        return value, Quality(quality)

    def links(self) -> dict[str, Any]:
        """Counters of every device by its id."""
        rows = self._reader.snapshot()["links"]
        return {device.id: row for device, row in zip(self.site.devices, rows, strict=True)}

    def close(self) -> None:
        """Close every connection and port."""
        del self.bus
