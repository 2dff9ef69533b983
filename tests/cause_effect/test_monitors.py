"""Rows whose cause is worked out: the inputs on the wire, one step around the threshold."""

from collections.abc import Callable, Iterator

import pytest
from cause_monitors import Model, S
from cause_rig import START_UTC_NS, Rig, site_of
from cause_states import says
from cause_table import Cause, Monitor, Row, all_rows, monitors_of

from edgectl._kernel.dispatch import RequestSource
from edgectl._kernel.journal import MailKind

PLAIN = ("spread", "imbalance", "balance", "difference", "opposed")
Case = tuple[Row, int]
ROWS = [
    row
    for row in all_rows()
    if any(cause.tag.partition(".")[0] in monitors_of(row.site) for cause in row.causes)
]
AROUND = (-1, 0, 1)


def named(row: Row) -> str:
    return f"{row.site}-{row.id}"


def watched(row: Row) -> tuple[Cause, Monitor]:
    """The cause that looks at a monitor, and the monitor."""
    for cause in row.causes:
        if found := monitors_of(row.site).get(cause.tag.partition(".")[0]):
            return cause, found
    raise AssertionError(row.id)


class Watch:
    """A monitor in the real scan, with its model beside it."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.cause, self.monitor = watched(row)
        self.rig = Rig(row.site, [row.id], monitors=True)
        self.model = Model(self.monitor, START_UTC_NS)
        self.said = False  # what the cause said in the scan before, for its hysteresis
        self.values = [0.0] * len(self.monitor.inputs)
        self.tags = [self.wire(tag) for tag in self.monitor.inputs]

    def wire(self, tag: str) -> str:
        """Where an input comes from: the site's own power is its grid meter's."""
        return site_of(self.row.site).grid.power if tag == "SITE.grid_power" else tag

    def put(self, at: int, code: int) -> float:
        """Show a code of one input; what it means."""
        register = self.rig.register(self.tags[at])
        self.rig.show(self.tags[at], code)
        self.values[at] = register.value(code)
        return self.values[at]

    def put_near(self, at: int, value: float) -> float:
        """Show the greatest value not over one."""
        return self.put(at, self.rig.register(self.tags[at]).at_most(value))

    def step(self, dt_ns: int | None = None) -> float | None:
        """One scan; the kernel's value, held against the model's."""
        dt_ns = self.rig.period_ns if dt_ns is None else dt_ns
        self.model.utc_ns = self.rig.utc_ns + dt_ns
        self.rig.step(dt_ns)
        expected = self.model.step(self.values, self.rig.now_ns, dt_ns)
        value, quality, *_ = self.sample()
        assert (quality == 0) == (expected is None)
        if expected is not None:
            exact = self.monitor.kind != "inverse_time"
            assert value == pytest.approx(expected, rel=1e-12 if exact else 0.045, abs=1e-12)
        self.said = expected is not None and says(self.cause, float(value), self.said)
        if len(self.row.causes) == 1:  # else the others have a say, too: test_thresholds
            assert bool(self.rig.state(self.row)["cause"]) == self.said, value
        return None if expected is None else float(value)

    def sample(self) -> tuple[float, int, int, int, int]:
        point = self.rig.made.tables.point_index[f"{self.monitor.id}.value"]
        return self.rig.kernel.sample(point)


def crossing(watch: Watch, value: Callable[[float], float], low: float, high: float) -> int:
    """The last code of the first input, from low to high, at which `value` is not over `on`."""
    register = watch.rig.register(watch.tags[0])
    start, end = register.at_most(low), register.at_most(high)
    assert value(register.value(start)) <= watch.cause.on < value(register.value(end))
    while abs(end - start) > 1:
        middle = (start + end) // 2
        over = value(register.value(middle)) > watch.cause.on
        start, end = (start, middle) if over else (middle, end)
    return start


def by_kind(*kinds: str) -> Iterator[Row]:
    for row in ROWS:
        inputs = watched(row)[1].inputs
        own = any(tag.startswith(("BESS-", "UPS-")) for tag in inputs)
        if watched(row)[1].kind in kinds and not own:
            yield row


@pytest.mark.parametrize("step", AROUND)
@pytest.mark.parametrize("row", list(by_kind(*PLAIN)), ids=named)
def test_a_quantity_of_this_scan_trips_on_the_first_step_of_an_input(row: Row, step: int) -> None:
    watch = Watch(row)
    count = len(watch.values)
    on, level = watch.cause.on, watch.monitor.level
    base = {"spread": 300.0 if watch.cause.on >= 1 else 3.0, "opposed": -4.0 * on}.get(
        watch.monitor.kind, 4.0 * level
    )
    for at in range(1, count):
        share = base / (count - 1) if watch.monitor.kind == "balance" else base
        share = min(share, watch.rig.register(watch.tags[at]).point.valid_max)
        watch.put_near(at, share if at == 1 or watch.monitor.kind != "opposed" else 0.0)
    if watch.monitor.kind == "balance":
        base = sum(watch.values[1:])
    far = {"spread": base + 2 * on, "opposed": 2.0 * on}.get(
        watch.monitor.kind, base * (1 + 4 * on)
    )
    near = 0.0 if watch.monitor.kind == "opposed" else base

    def value(first: float) -> float:
        model = Model(watch.monitor, 0)
        found = model.step([first, *watch.values[1:]], 1, 1)
        assert found is not None
        return found

    code = crossing(watch, value, near, far)
    watch.put(0, code + step * watch.rig.register(watch.tags[0]).up)
    watch.step()
    assert bool(watch.rig.state(row)["cause"]) == (step > 0)


@pytest.mark.parametrize("step", AROUND)
@pytest.mark.parametrize("row", list(by_kind("rate", "coulomb")), ids=named)
def test_a_change_trips_on_the_first_step_over_its_rate(row: Row, step: int) -> None:
    watch = Watch(row)
    first = {"K": 300.0, "Hz": 60.0}.get(watch.rig.register(watch.tags[0]).point.unit, 0.5)
    for at in range(1, len(watch.values)):
        watch.put_near(at, 0.0)
    first = watch.put_near(0, first)
    watch.step()
    window_ns = round(watch.monitor.window_s * S)
    dt_ns = window_ns if watch.monitor.kind == "rate" else watch.rig.period_ns

    def value(second: float) -> float:
        model = Model(watch.monitor, 0)
        for at, number in enumerate((first, second)):
            found = model.step([number, *watch.values[1:]], S + at * dt_ns, dt_ns)
        assert found is not None
        return found

    span = watch.cause.on * (watch.monitor.window_s if watch.monitor.kind == "rate" else 1.0)
    code = crossing(watch, value, first, first + 3 * span)
    watch.put(0, code + step * watch.rig.register(watch.tags[0]).up)
    watch.step(dt_ns)


@pytest.mark.parametrize("late_ns", AROUND)
@pytest.mark.parametrize("row", list(by_kind("unchanged", "dwell")), ids=named)
def test_a_time_trips_to_the_nanosecond(row: Row, late_ns: int) -> None:
    watch = Watch(row)
    for more in (0, 1):
        for at in range(len(watch.values)):
            point = watch.rig.register(watch.tags[at]).point
            rest = max(point.valid_min, 0.0) + 1.0
            moved = rest + 1.0 if watch.monitor.kind == "unchanged" else 4 * watch.monitor.level
            watch.put_near(at, moved if more else rest)
        watch.step()
    watch.step(round(watch.cause.on * S) + late_ns)


@pytest.mark.parametrize("more", AROUND)
@pytest.mark.parametrize("row", list(by_kind("count")), ids=named)
def test_a_count_trips_on_the_first_over_its_number(row: Row, more: int) -> None:
    watch = Watch(row)
    level = watch.monitor.level
    idle, busy = (1.1 * level, 0.9 * level) if watch.monitor.below else (0.0, 2 * level)
    watch.put_near(0, idle)
    watch.step()
    for _ in range(int(watch.cause.on) + more):
        for value in (busy, idle):
            watch.put_near(0, value)
            watch.step()
    assert bool(watch.rig.state(row)["cause"]) == (more > 0)
    watch.put_near(0, 1.01 * idle + 1.0)  # it moves, as what is measured does
    watch.step(round(watch.monitor.window_s * S))
    assert watch.sample()[0] == 0.0, "what is older than the window counts no more"


@pytest.mark.parametrize("row", list(by_kind("mismatch")), ids=named)
def test_a_mismatch_trips_while_the_two_differ(row: Row) -> None:
    watch = Watch(row)
    for pair in ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)):
        for at, code in enumerate(pair):
            watch.put(at, code)
        watch.step()


@pytest.mark.parametrize("multiple", [0.99, 1.0, 1.3, 2.0, 6.0])
@pytest.mark.parametrize("row", list(by_kind("inverse_time")), ids=named)
def test_an_overload_trips_by_the_curve(row: Row, multiple: float) -> None:
    watch = Watch(row)
    value = watch.put_near(0, multiple * watch.monitor.level)
    watch.rig.step()
    if value <= watch.monitor.level:
        for _ in range(20):
            watch.rig.step(4 * S)
        assert not watch.rig.state(row)["cause"]
        return
    times = value / watch.monitor.level
    trip_s = watch.cause.on * watch.monitor.multiplier * 13.5 / (times - 1.0)
    for _ in range(90):
        watch.rig.step(round(trip_s * S / 100))
    assert not watch.rig.state(row)["cause"], "at nine tenths of the curve's time"
    for _ in range(11):
        watch.rig.step(round(trip_s * S / 100))
    assert watch.rig.state(row)["cause"], "within a hundredth of the curve's time"


@pytest.mark.parametrize("step", AROUND)
@pytest.mark.parametrize("row", list(by_kind("demand_forecast", "demand_shortfall")), ids=named)
def test_a_demand_window_trips_on_the_first_step_of_power(row: Row, step: int) -> None:
    watch = Watch(row)
    first = watch.put_near(0, 0.5 * watch.monitor.limit_w)
    for at in range(1, len(watch.values)):
        watch.put(at, 0)
    watch.step()

    def value(second: float) -> float:
        utc_ns = START_UTC_NS + watch.rig.period_ns
        model = Model(watch.monitor, utc_ns)
        for at, number in enumerate((first, second)):
            found = model.step([number, 0.0], at, watch.rig.period_ns)
        assert found is not None
        return found

    code = crossing(watch, value, first, 2.0 * watch.monitor.limit_w)
    watch.put(0, code + step * watch.rig.register(watch.tags[0]).up)
    watch.step()


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 1.5])
@pytest.mark.parametrize("row", list(by_kind("demand_room")), ids=named)
def test_the_room_of_a_demand_window_is_the_import_cap(row: Row, share: float) -> None:
    watch = Watch(row)
    watch.put_near(0, share * watch.monitor.limit_w)
    for at in range(1, len(watch.values)):
        watch.put(at, 0)
    watch.step()
    for _ in range(5):
        room_w = watch.step(10 * S)
        assert room_w is not None
        cap_w = site_of(row.site).grid.import_cap_w
        assert watch.rig.reader.snapshot()["record"]["import_cap_w"] == min(room_w, cap_w)


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("row", [r for r in ROWS if watched(r)[1].kind == "difference"], ids=named)
def test_a_setpoint_that_does_not_reach_its_request_is_told(row: Row, over: bool) -> None:
    rig = Rig(row.site, [row.id], monitors=True)
    battery = next(
        b for b in rig.made.site.batteries if f"{b.id}.request" in watched(row)[1].inputs
    )
    at = rig.made.site.batteries.index(battery)
    for tag, value in ((battery.soc, 0.7), (battery.power, 0.0), (rig.made.site.grid.power, 0.0)):
        rig.show(tag, rig.register(tag).at_most(value))
    cause = watched(row)[0]
    rig.step()
    wanted_w = cause.on + (1.0 if over else 0.0)
    assert rig.mail(MailKind.MAIL_STORAGE_W, at, wanted_w, RequestSource.SOURCE_OPERATOR)
    rig.step()
    assert bool(rig.state(row)["cause"]) == over, "not armed: the setpoint stays at zero"


def wire_inputs() -> Iterator[Case]:
    for row in ROWS:
        monitor = watched(row)[1]
        for at, tag in enumerate(monitor.inputs):
            pulse = monitor.kind.startswith("demand_") and at == 1
            if not pulse and not tag.startswith(("BESS-", "UPS-")):
                yield row, at


@pytest.mark.parametrize("case", list(wire_inputs()), ids=lambda c: f"{named(c[0])}-{c[1]}")
def test_a_monitor_is_no_better_than_its_worst_input(case: Case) -> None:
    row, at = case
    watch = Watch(row)
    for place in range(len(watch.values)):
        watch.put_near(place, max(watch.rig.register(watch.tags[place]).point.valid_min, 0.0) + 1.0)
    watch.rig.step()
    watch.rig.step(2 * S)
    register = watch.rig.register(watch.tags[at])
    watch.rig.silence(watch.tags[at])
    watch.rig.step(register.point.stale_after_ns + 1)
    _, quality, reason, *_ = watch.sample()
    source = watch.rig.made.tables.point_index[watch.tags[at]]
    assert (quality, reason) == (0, watch.rig.kernel.sample(source)[2])
    if len(row.causes) == 1 and row.on_bad == "trip":
        assert watch.rig.state(row)["cause"]
