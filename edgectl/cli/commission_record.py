"""Watch a running controller's segment for some seconds, and ask it for a step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.journal import MailKind
from edgectl.commissioning.physics_series import Observation, observation_of
from edgectl.commissioning.physics_step import StepPlan
from edgectl.errors import SegmentError
from edgectl.image import Mailbox, SegmentReader
from edgectl.site_model import Site

LOOKS_A_SCAN = 2
STEP_TTL_S = 1.0  # a request outlives its hold by so much, and lapses when nobody renews it

Stopped = Callable[[], bool]


@dataclass(slots=True)
class Recorder:
    """Takes the process image once a scan. It only reads, and can hold nothing up."""

    site: Site
    reader: SegmentReader

    def record(self, seconds: float, stopped: Stopped = lambda: False) -> Observation:
        """Watch for so many seconds, or until stopped() says so."""
        images: list[Any] = []
        self._watch(images, seconds, stopped)
        return self.observation(images)

    def step(self, plan: StepPlan, stopped: Stopped = lambda: False) -> Observation:
        """Ask for each request of a plan in turn, as the operator, and watch.

        What is asked is clamped, ramped and refused as any request is. Each request lapses by
        itself STEP_TTL_S after its hold, so that a lost terminal leaves nothing standing.
        """
        index = [each.id for each in self.site.batteries].index(plan.battery)
        images: list[Any] = []
        assert self.reader.path is not None, "a private segment has no mailbox by name"
        with Mailbox(self.reader.path) as mailbox:
            for request_w in plan.requests_w:
                if stopped():
                    break
                mailbox.put(
                    MailKind.MAIL_STORAGE_W,
                    index,
                    request_w,
                    RequestSource.SOURCE_OPERATOR,
                    plan.hold_s + STEP_TTL_S,
                )
                self._watch(images, plan.hold_s, stopped)
        return self.observation(images)

    def _watch(self, images: list[Any], seconds: float, stopped: Stopped) -> None:
        pause_s = self.site.scan.period_ns * 1e-9 / LOOKS_A_SCAN
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s and not stopped():
            images.append(self.reader.snapshot())
            time.sleep(pause_s)

    def observation(self, images: list[Any]) -> Observation:
        """Put process images under their tags; one that was taken twice counts once."""
        seen: dict[int, Any] = {int(image["head"]["seq"]): image for image in images}
        kept = [seen[seq] for seq in sorted(seen)]
        places = {point["name"]: at for at, point in enumerate(self.reader.directory["points"])}
        points = {
            f"{device.id}.{point.name}": point
            for device in self.site.devices
            for point in device.profile.points
        }
        columns = [places[tag] for tag in points]
        dtype = self.reader.layout.snapshot
        samples = np.empty((len(kept), len(columns)), dtype["samples"].base)
        storages = np.empty((len(kept), len(self.site.batteries)), dtype["storages"].base)
        for row, image in enumerate(kept):
            samples[row] = image["samples"][columns]
            storages[row] = image["storages"]
        return observation_of(
            points,
            np.array([int(image["record"]["time_ns"]) for image in kept], np.int64),
            samples,
            {each.id: storages[:, at] for at, each in enumerate(self.site.batteries)},
        )


def read_site_of(site: Site, reader: SegmentReader) -> None:
    """Raise SegmentError where the controller runs another version of the site file."""
    running = reader.directory["site_sha256"]
    if running != site.sha256:
        raise SegmentError(
            where=str(site.path),
            problem=f"the controller runs another version of it, sha256 {running[:12]}",
            because="Values would be held against points and signs that it does not use.",
            remedy="Start the controller again with this file, or commission with its own.",
        )
