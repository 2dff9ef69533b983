"""What each row's effects leave of a setpoint, of the flexible load, and of the breakers."""

from dataclasses import dataclass

import pytest
from cause_rig import Rig, S, site_of
from cause_states import free, make_all, quiet, trip
from cause_table import Effect, Row, all_rows, site_table

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.interlock import Reset
from edgectl._kernel.journal import MailKind
from edgectl.site_model import Battery

ROWS = all_rows()
SOC = 0.7  # over every site's reserve and readiness, under what is full
SHED_W = 1e6
AVAILABLE_W = 2e6
ZEROING = ("zero", "open_request", "safe_state")


def on(row: Row, asset: str) -> list[Effect]:
    """Effects that reach a battery."""
    return [each for each in row.effects if each.asset in (None, asset)]


Case = tuple[Row, str, int]
CASES: list[Case] = [
    (row, battery.id, sign)
    for row in ROWS
    if row.limit is None
    for battery in site_of(row.site).batteries
    for sign in (1, -1)
]
ON_STORAGE = [case for case in CASES if on(case[0], case[1])]


def named(row: Row) -> str:
    return f"{row.site}-{row.id}"


def named_case(case: Case) -> str:
    return f"{named(case[0])}-{case[1]}-{'charge' if case[2] > 0 else 'discharge'}"


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
        self.show(site.flexible.available, AVAILABLE_W)
        self.show(site.flexible.deferred, 0.0)
        self.rig.step()
        assert self.rig.mail(MailKind.MAIL_ARM)

    def show(self, tag: str, value: float) -> None:
        """Show a value, unless the row looks at it."""
        if tag not in self.tags:
            register = self.rig.register(tag)
            self.rig.show(tag, register.at_most(min(value, register.point.valid_max)), register.up)

    def want(self, battery: Battery, power_w: float) -> None:
        """An operator's request for one battery; the others are asked for nothing."""
        at = self.rig.made.site.batteries.index(battery)
        assert self.rig.mail(MailKind.MAIL_STORAGE_W, at, power_w, RequestSource.SOURCE_OPERATOR)

    def battery(self, asset: str) -> Battery:
        return next(each for each in self.rig.made.site.batteries if each.id == asset)

    def setpoint_w(self, battery: Battery) -> float:
        return float(self.rig.storage(battery.id)["setpoint_w"])

    def open_coil(self) -> bool:
        """What was last committed to the breakers' coil."""
        tag = self.rig.made.site.open_request
        assert tag is not None
        return self.rig.kernel.committed(self.rig.made.tables.output_index[tag])[1][-1] != 0

    def shed_w(self) -> float:
        return float(self.rig.reader.snapshot()["record"]["shed_request_w"])


def actions(row: Row | None, asset: str) -> dict[str, float]:
    """Effects of a tripped row on a battery, and the value of each."""
    return {each.action: each.value for each in on(row, asset)} if row is not None else {}


def left_w(plant: Plant, battery: Battery, row: Row | None, wanted_w: float, now_w: float) -> float:
    """By the words of the site file: what is permitted of a request, once it was ramped to.

    row    that stands tripped, None for none
    now_w  setpoint when it tripped
    """
    done = actions(row, battery.id)
    if any(each in done for each in ZEROING) or "ramp_to_zero" in done:
        return 0.0
    value, quality, *_ = plant.rig.kernel.sample(plant.rig.made.tables.point_index[battery.soc])
    charge_w = battery.charge_rating_w * done.get("derate", 1.0)
    discharge_w = battery.discharge_rating_w * done.get("derate", 1.0)
    if "inhibit_charge" in done or quality == 0 or value >= battery.full_ratio:
        charge_w = 0.0
    if "inhibit_discharge" in done or quality == 0 or value <= battery.reserve_ratio:
        discharge_w = 0.0
    if "hold" in done:
        wanted_w = now_w
    return max(min(wanted_w, charge_w), -discharge_w)


def running(row: Row, asset: str, sign: int, wide_w: float = 0.0) -> tuple[Plant, Battery, float]:
    """A battery at its rating, one way or the other, with the row clear; and its setpoint.

    wide_w  of a limit row, a value that limits nothing
    """
    rig = quiet(row)
    if wide_w:
        rig.show(row.causes[0].tag, rig.register(row.causes[0].tag).at_most(wide_w))
    plant = Plant(rig, row)
    battery = plant.battery(asset)
    wanted_w = sign * (battery.charge_rating_w if sign > 0 else battery.discharge_rating_w)
    plant.want(battery, wanted_w)
    plant.rig.step(60 * S)
    plant.rig.step()
    assert plant.setpoint_w(battery) == left_w(plant, battery, None, wanted_w, 0.0)
    return plant, battery, wanted_w


@pytest.mark.parametrize("case", CASES, ids=named_case)
def test_a_trip_leaves_of_a_setpoint_what_its_effects_say_in_the_same_scan(case: Case) -> None:
    row, asset, sign = case
    plant, battery, wanted_w = running(row, asset, sign)
    before_w = plant.setpoint_w(battery)
    trip(plant.rig, row)
    expected_w = left_w(plant, battery, row, wanted_w, before_w)
    if "ramp_to_zero" in actions(row, asset):
        step_w = battery.ramp_w_per_s * plant.rig.period_ns / S
        assert abs(plant.setpoint_w(battery)) == max(abs(before_w) - step_w, 0.0)
        plant.rig.step(60 * S)
    assert plant.setpoint_w(battery) == expected_w
    plant.rig.step(60 * S)
    assert plant.setpoint_w(battery) == left_w(plant, battery, row, wanted_w, before_w)


@pytest.mark.parametrize("case", ON_STORAGE, ids=named_case)
def test_nothing_asked_for_during_a_trip_passes_its_effects(case: Case) -> None:
    row, asset, sign = case
    plant = Plant(quiet(row), row)
    battery = plant.battery(asset)
    plant.rig.step(60 * S)
    before_w = plant.setpoint_w(battery)
    trip(plant.rig, row)
    wanted_w = sign * (battery.charge_rating_w if sign > 0 else battery.discharge_rating_w)
    plant.want(battery, wanted_w)
    plant.rig.step(60 * S)
    heard_w = 0.0 if "block_command" in actions(row, asset) else wanted_w
    assert plant.setpoint_w(battery) == left_w(plant, battery, row, heard_w, before_w)


@pytest.mark.parametrize(
    "case", [c for c in ON_STORAGE if c[2] > 0 and c[0].reset != "restart"], ids=named_case
)
def test_a_setpoint_comes_back_once_the_row_is_clear(case: Case) -> None:
    row, asset, sign = case
    plant, battery, wanted_w = running(row, asset, sign)
    trip(plant.rig, row)
    free(plant.rig, row)
    plant.rig.step(60 * S)
    assert plant.setpoint_w(battery) == left_w(plant, battery, None, wanted_w, 0.0)


@pytest.mark.parametrize("case", [c for c in ON_STORAGE if c[0].bypass == "authorised"],
                         ids=named_case)  # fmt: skip
def test_a_bypassed_row_leaves_everything_and_takes_it_when_the_bypass_ends(case: Case) -> None:
    row, asset, sign = case
    plant, battery, wanted_w = running(row, asset, sign)
    before_w = plant.setpoint_w(battery)
    length_s = row.on_delay_ms / 1000 + 60.0
    assert plant.rig.mail(
        MailKind.MAIL_BYPASS, plant.rig.at(row), length_s, Reset.RESET_OPERATOR
    )  # fmt: skip
    trip(plant.rig, row)
    assert plant.setpoint_w(battery) == left_w(plant, battery, None, wanted_w, 0.0)
    plant.rig.step(round(length_s * S))
    assert plant.setpoint_w(battery) == left_w(plant, battery, row, wanted_w, before_w)


@pytest.mark.parametrize("row", [r for r in ROWS if r.limit is None], ids=named)
def test_the_flexible_load_is_asked_for_the_tier_or_for_nothing_more(row: Row) -> None:
    plant = Plant(quiet(row), row)
    assert plant.rig.mail(MailKind.MAIL_SHED_W, 0, SHED_W, RequestSource.SOURCE_OPERATOR)
    assert plant.shed_w() == SHED_W
    trip(plant.rig, row)
    done = {each.action: each.value for each in row.effects}
    tiers = site_table(row.site)["flexible"].get("tiers_ratio", [1.0])
    expected_w = SHED_W
    if "shed" in done:
        available = plant.rig.register(plant.rig.made.site.flexible.available)
        most_w = available.value(available.at_most(AVAILABLE_W))
        expected_w = max(SHED_W, tiers[int(done["shed"]) - 1] * most_w)
    if "refuse_shed" in done or "safe_state" in done:
        expected_w = 0.0
    assert plant.shed_w() == expected_w


@pytest.mark.parametrize("row", [r for r in ROWS if r.limit is None], ids=named)
def test_the_breakers_are_asked_to_open_by_the_rows_that_say_so_alone(row: Row) -> None:
    plant = Plant(quiet(row), row)
    assert not plant.open_coil()
    trip(plant.rig, row)
    opens = any(each.action == "open_request" for each in row.effects)
    assert plant.open_coil() == opens
    if opens:
        free(plant.rig, row)
        assert not plant.open_coil()


@pytest.mark.parametrize("row", [r for r in ROWS if r.limit is None], ids=named)
def test_a_start_holds_setpoints_back_and_opens_no_breaker_and_sheds_nothing(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    make_all(rig, row, False)
    plant = Plant(rig, row)
    assert not plant.open_coil()
    assert plant.shed_w() == 0.0


@pytest.mark.parametrize(
    "row",
    [r for r in ROWS if r.reset in ("operator", "local") and r.limit is None],
    ids=named,
)
def test_a_latch_that_outlived_a_restart_acts_in_the_first_scan(row: Row) -> None:
    rig = Rig(row.site, [row.id])
    rig.kernel.retain(0, 3, False, True, 1, 0, rig.now_ns)
    make_all(rig, row, False)
    plant = Plant(rig, row)
    battery = plant.rig.made.site.batteries[0]
    plant.want(battery, battery.charge_rating_w)
    rig.step(60 * S)
    heard_w = 0.0 if "block_command" in actions(row, battery.id) else battery.charge_rating_w
    assert plant.setpoint_w(battery) == left_w(plant, battery, row, heard_w, 0.0)
    assert plant.open_coil() == any(each.action == "open_request" for each in row.effects)


LIMITS = [row for row in ROWS if row.limit is not None and row.effects[0].asset is not None]


@pytest.mark.parametrize("share", [0.0, 0.25, 0.999, 1.0, 1.5])
@pytest.mark.parametrize("row", LIMITS, ids=named)
def test_a_limit_clamps_to_its_value_in_the_same_scan_and_while_clear(
    row: Row, share: float
) -> None:
    asset = row.effects[0].asset
    assert asset is not None
    sign = 1 if row.effects[0].action == "limit_charge" else -1
    plant, battery, wanted_w = running(row, asset, sign)
    tag = row.causes[0].tag
    register = plant.rig.register(tag)
    code = register.at_most(min(share * abs(wanted_w), register.point.valid_max))
    plant.rig.show(tag, code)
    plant.rig.step()
    assert plant.setpoint_w(battery) == sign * min(register.value(code), abs(wanted_w))


@pytest.mark.parametrize("row", LIMITS, ids=named)
def test_a_limit_that_is_lost_is_zero(row: Row) -> None:
    asset = row.effects[0].asset
    assert asset is not None
    sign = 1 if row.effects[0].action == "limit_charge" else -1
    plant, battery, _ = running(row, asset, sign)
    plant.rig.silence(row.causes[0].tag)
    plant.rig.step(plant.rig.register(row.causes[0].tag).point.stale_after_ns + 1)
    assert plant.setpoint_w(battery) == 0.0


@pytest.mark.parametrize("over_w", [0.0, 100_000.0, 800_000.0])
@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.effects[0].action == "limit_import"], ids=named
)
def test_a_limit_on_the_import_lowers_the_cap_in_the_same_scan(row: Row, over_w: float) -> None:
    plant, *_ = running(row, site_of(row.site).batteries[0].id, 1, wide_w=1e12)
    site = plant.rig.made.site
    net_w = plant.rig.kernel.sample(plant.rig.made.tables.point_index[site.grid.power])[0]
    register = plant.rig.register(row.causes[0].tag)
    limit_w = net_w + site.grid.import_guard_w + over_w
    plant.rig.show(row.causes[0].tag, register.at_most(limit_w))
    plant.rig.step()
    assert plant.rig.reader.snapshot()["record"]["import_cap_w"] == limit_w
    plant.rig.step(60 * S)
    asked_w = sum(plant.setpoint_w(each) for each in site.batteries)
    assert asked_w == pytest.approx(over_w, abs=1.0)
