"""A site with meters on a serial line, run as a user runs it: read, pulled, plugged in again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from site_rig import ON_LINE, Served, demo_with_a_line, served

from edgectl._kernel.quality import Quality
from edgectl.errors import SegmentError
from edgectl.image import SegmentReader, attach
from edgectl.site_model import Site, compile_tables, load_site

pytestmark = pytest.mark.wire

WAIT_S = 12.0
POWER = "active_power"
NEIGHBOUR = "GRID-01"  # over TCP


class Running:
    """A controller in a process of its own, seen through its shared memory."""

    def __init__(self, site: Site, reader: SegmentReader) -> None:
        self.points = compile_tables(site).point_index
        self.names = [device.id for device in site.devices]
        self.reader = reader

    def power(self, device: str) -> tuple[float, bool]:
        """Active power of a device, W, and whether it is good."""
        sample = self.reader.snapshot()["samples"][self.points[f"{device}.{POWER}"]]
        return float(sample["value"]), int(sample["quality"]) == Quality.QUALITY_GOOD

    def link(self, device: str) -> Any:
        """Counters of a device."""
        return self.reader.snapshot()["links"][self.names.index(device)]

    def await_line(self, *, good: bool) -> None:
        """Wait until all meters of the line are good, or none; TCP is good at every look."""
        wait_for(lambda: {self.power(each)[1] for each in ON_LINE} == {good})
        assert self.power(NEIGHBOUR)[1]


def wait_for(done: Callable[[], bool]) -> None:
    """Look until it is so; fails when it never is."""
    end_s = time.monotonic() + WAIT_S
    while not done():
        assert time.monotonic() < end_s, f"not within {WAIT_S:.0f} s"
        time.sleep(0.05)


@contextmanager
def controller(path: Path, site: Site) -> Iterator[Running]:
    """`edgectl run`, its segment beside the site file."""
    words = [sys.executable, "-m", "edgectl.cli.main", "run", str(path), "--no-services"]
    environment = os.environ | {"EDGECTL_SHM_DIR": str(path.parent)}
    with (path.parent / "run.log").open("w") as log:
        child = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        try:
            segment = path.parent / f"edgectl-{site.id}.seg"
            wait_for(lambda: can_attach(segment) or child.poll() is not None)
            with attach(segment) as reader:
                wait_for(lambda: reader.journal_head > 0)
                yield Running(site, reader)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(20)  # 4 where the start's interlocks still stand: no matter of this test


def can_attach(segment: Path) -> bool:
    try:
        attach(segment).close()
    except SegmentError:
        return False
    return True


def assert_values(running: Running, plant: Served) -> None:
    """What the controller holds of the line's meters is what the plant's physics are."""
    for device in ON_LINE:
        core = plant.device(device).slots
        slot = next(each for each in core.slots if each.point.name == POWER)
        held_w = slot.raw(plant.host.plant) * slot.point.scale + slot.point.offset
        assert running.power(device)[0] == pytest.approx(held_w), device


@pytest.mark.slow
def test_a_line_is_read_beside_tcp_and_comes_back_after_its_cable_was_pulled(
    root: Path, tmp_path: Path
) -> None:
    path = demo_with_a_line(root, tmp_path)
    site = load_site(path)
    with served(site) as plant, controller(path, site) as running:
        (line,) = plant.wire.lines
        running.await_line(good=True)
        assert_values(running, plant)
        replies = int(running.link(NEIGHBOUR)["replies"])
        plant.call(line.stop())
        running.await_line(good=False)
        assert running.link("AUX-01")["connects"] == 1
        assert running.link(NEIGHBOUR)["replies"] >= replies + 20, "TCP went on"
        assert running.link(NEIGHBOUR)["timeouts"] == 0
        plant.host.pace.advance(1_000_000_000)
        plant.call(line.start())
        running.await_line(good=True)
        assert_values(running, plant)
        for device in ON_LINE:
            link = running.link(device)
            assert (link["bad_replies"], link["connects"], link["refused"]) == (0, 2, 0), device
    log = (tmp_path / "run.log").read_text()
    assert log.index("line.port_failed") > log.index("line.port_opened"), "told while it was away"
    assert "Traceback" not in log
