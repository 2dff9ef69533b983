"""What each row's effects leave of a setpoint, of the flexible load, and of the breakers."""

from dataclasses import dataclass

import pytest
from cause_rig import Rig, S
from cause_states import free, make, make_all, quiet, says, scans, trip
from cause_table import Effect, Row, all_rows

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl.site_model import Battery

ROWS = all_rows()
SOC = 0.7  # over every site's reserve and readiness, under what is full
ZEROING = ("zero", "open_request", "safe_state")
Case = tuple[Row, str, int]


def named(row: Row) -> str:
    return f"{row.site}-{row.id}"


def on(row: Row, asset: str) -> list[Effect]:
    """Effects that reach a battery."""
    return [each for each in row.effects if each.asset in (None, asset)]


def directions() -> list[Case]:
    return [
        (row, battery.id, sign)
        for row in ROWS
        for battery in quiet_site(row).batteries
        for sign in (1, -1)
    ]


def quiet_site(row: Row):  # type: ignore[no-untyped-def]
    from cause_rig import site_of

    return site_of(row.site)


@dataclass
class Plant:
    """A rig whose batteries, grid and flexible load are all there and asked for something."""

    rig: Rig
    row: Row

    def __post_init__(self) -> None:
        site = self.rig.made.site
        self.tags = {cause.tag for cause in self.row.causes}
        self.show(site.grid.power, site.grid.import_cap_w / 2)
        for battery in site.batteries:
            self.show(battery.power, 0.0)
            self.show(battery.soc, SOC)
        for load in site.loads:
            self.show(load.power, 60e6 if load.kind == "it" else 0.0)
        assert site.flexible is not None
        self.show(site.flexible.available, 2e6)
        self.show(site.flexible.deferred, 0.0)
        self.rig.step()
        assert self.rig.mail(MailKind.MAIL_ARM)

    def show(self, tag: str, value: float) -> None:
        """Show a value, unless the row looks at it."""
        if tag not in self.tags:
            register = self.rig.register(tag)
            self.rig.set(tag, register.at_most(min(value, register.point.valid_max)), register.up)

    def want(self, battery: Battery, power_w: float) -> None:
        """An operator's request for one battery; the others are asked for nothing."""
        at = self.rig.made.site.batteries.index(battery)
        assert self.rig.mail(
            MailKind.MAIL_STORAGE_W, at, power_w, RequestSource.SOURCE_OPERATOR
        )  # fmt: skip

    def battery(self, asset: str) -> Battery:
        return next(each for each in self.rig.made.site.batteries if each.id == asset)

    def setpoint_w(self, battery: Battery) -> float:
        return float(self.rig.storage(battery.id)["setpoint_w"])

    def open_coil(self) -> bool:
        """What was last committed to the breakers' coil."""
        tag = self.rig.made.site.open_request
        assert tag is not None
        return self.rig.kernel.committed(self.rig.made.tables.output_index[tag])[1][-1] != 0
