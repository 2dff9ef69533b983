"""The panels of the terminal view, each a pure function of the plant and its own size in cells."""

import math
from collections.abc import Sequence

import numpy as np
from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from edgectl.cli.top_model import Array, Battery, Curves, Level, Load, Notice, Plant
from edgectl.cli.top_parts import (
    ATTENTION,
    BATTERY,
    DIM,
    FAINT,
    GRID,
    MISSING,
    NORMAL,
    OTHER,
    PV,
    TEXT,
    TRIP,
    Area,
    area_chart,
    bar,
    both_ends,
    duration,
    framed,
    megawatts,
    number,
    source_style,
    words,
)

LEVEL_STYLE = {Level.NORMAL: NORMAL, Level.ATTENTION: ATTENTION, Level.TRIP: TRIP}
CHART_BUCKETS_S = (1, 2, 5)  # what one column of the chart may stand for
SCALE_CELLS = 6  # right of the chart
NEAR_CAP = 0.98  # of the import cap: worth amber
SOURCE_CELLS = 39  # name 9, bar 8, share 9, power 6, unit 4, arrow 3
MIX = {"grid": "grid", "pv": "PV", "generator": "generator", "unmetered": "unmetered"}
AGE_MS_MAX = 100_000.0  # shown to the millisecond; longer is simply long
STILL_W = 5_000.0  # a battery below this stands still


def power_panel(plant: Plant, width: int, height: int) -> Panel:
    """Sources on the left, the bus bar, what they feed on the right: a single-line diagram."""
    inner, rows = width - 4, height - 2
    left = source_lines(plant, rows)
    right = load_lines(plant, inner - SOURCE_CELLS - 1, rows)
    body = []
    for row in range(rows):
        feed, taken = left[row : row + 1], right[row : row + 1]
        joint = {(0, 0): "┃", (1, 0): "┨", (0, 1): "┠", (1, 1): "╂"}[
            bool(feed and feed[0][1]), bool(taken and taken[0][1])
        ]
        line = feed[0][0].copy() if feed else Text()
        line.append(" " * max(0, SOURCE_CELLS - line.cell_len))
        line.append(joint, style=TEXT)
        if taken:
            line.append_text(taken[0][0])
        line.no_wrap = True
        body.append(line)
    note = f"IT {megawatts(plant.it_w, 0)} MW   auxiliaries {megawatts(plant.aux_w, 0)} MW"
    if plant.shed_request_w > STILL_W or plant.deferred_w > STILL_W:
        asked = megawatts(plant.shed_request_w, 0)
        note = f"deferred {megawatts(plant.deferred_w, 0)} of {asked} MW asked   {note}"
    return framed("Power", Group(*body), width, height, note)


def source_lines(plant: Plant, rows: int) -> list[tuple[Text, bool]]:
    """Lines left of the bus bar, and whether each is joined to it."""
    cap_w = plant.import_cap_w
    room = f"cap {megawatts(cap_w, 0)} MW, {megawatts(cap_w - plant.grid_w, 0)} MW left"
    blocks = [
        (
            source_line(
                "Grid", plant.grid_w, plant.grid_w / cap_w, cap_style(plant), into_bus=True
            ),
            words(("         " + room, DIM)),
        ),
        (
            source_line("PV", plant.pv_w, plant.pv_w / plant.pv_rating_w, PV),
            words((f"         of {megawatts(plant.pv_rating_w, 0)} MW peak", DIM)),
        ),
    ]
    blocks += [(battery_line(each), battery_note(each)) for each in plant.batteries]
    if len(blocks) > rows:
        blocks = blocks[:rows]
    detailed = len(blocks) * 2 <= rows
    spaced = len(blocks) * 3 - 1 <= rows
    lines: list[tuple[Text, bool]] = []
    for main, detail in blocks:
        if spaced and lines:
            lines.append((Text(), False))
        lines.append((main, True))
        if detailed:
            lines.append((detail, False))
    return lines


def source_line(
    name: str, power_w: float, share: float, style: str, *, into_bus: bool = True, of: str = ""
) -> Text:
    """Name, bar and share of its limit (or of what `of` says), power, arrow."""
    arrow = "──▶" if into_bus else "◀──"
    return words(
        (f"{name[:8]:<9}", f"bold {TEXT}"),
        bar([(share, style)], 8),
        (f"{of} {number(share * 100.0, 0)} %".rjust(9), DIM),
        megawatts(power_w, 6),
        (" MW ", DIM),
        (arrow, style),
    )


def battery_line(battery: Battery) -> Text:
    """As source_line; the bar is the state of charge."""
    out = battery.power_w < 0.0
    line = source_line(
        battery.name, battery.power_w, battery.soc_ratio, BATTERY, into_bus=out, of="SoC"
    )
    if abs(battery.power_w) < STILL_W:
        line.right_crop(3)
        line.append("───", style=FAINT)
    return line


def battery_note(battery: Battery) -> Text:
    """What it does, its set point, and what holds it."""
    if battery.held_by:
        return words(("         held by ", DIM), (battery.held_by, ATTENTION))
    what = "standing by"
    if abs(battery.power_w) >= STILL_W:
        what = "charging" if battery.power_w > 0.0 else "discharging"
    text = f"         {what}, set {megawatts(battery.setpoint_w, 0)} MW"
    return words((text, DIM))


def load_lines(plant: Plant, width: int, rows: int) -> list[tuple[Text, bool]]:
    """Lines right of the bus bar; what does not fit is summed in one line."""
    it = [load for load in plant.loads if load.is_it]
    aux = [load for load in plant.loads if not load.is_it]
    extra = 1 + (plant.export_w > STILL_W)
    loads = summed([*it, *aux], rows - extra)
    scale_w = max((load.power_w for load in plant.loads), default=1.0) or 1.0
    lines = [(load_line(load, width, scale_w), True) for load in loads]
    if len(lines) + extra + 2 <= rows and it and aux and len(loads) == len(plant.loads):
        lines.insert(len(it), (Text(), False))
        lines.append((Text(), False))
    lines.append((plain_line("losses", plant.losses_w, width), True))
    if plant.export_w > STILL_W:
        lines.append((plain_line("export", plant.export_w, width), True))
    return lines


def summed(loads: list[Load], rows: int) -> list[Load]:
    """At most `rows` loads; those that are too many become one with their sum."""
    if len(loads) <= rows:
        return loads
    kept, rest = loads[: max(0, rows - 1)], loads[max(0, rows - 1) :]
    total_w = sum(load.power_w for load in rest)
    return [*kept, Load(f"{len(rest)} more", False, total_w, rest[0].shares)]


def load_line(load: Load, width: int, scale_w: float) -> Text:
    """Arrow, name, a bar whose colours are the sources of its energy, power."""
    cells = max(4, width - 4 - 11 - 12)
    whole = load.power_w / scale_w
    parts = [(share * whole, source_style(name)) for name, share in load.shares]
    return words(
        ("──▶ ", OTHER),
        f"{load.name[:10]:<11}",
        bar(merged(parts), cells),
        megawatts(load.power_w, 8),
        (" MW", DIM),
    )


def plain_line(name: str, power_w: float, width: int) -> Text:
    """A line of what is counted and not metered."""
    cells = max(4, width - 4 - 11 - 12)
    return words(
        ("──▶ ", FAINT), (f"{name:<11}" + " " * cells + megawatts(power_w, 8) + " MW", DIM)
    )


def merged(parts: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Neighbours of one colour as one part: all batteries look alike."""
    joined: list[tuple[float, str]] = []
    for share, style in parts:
        if joined and joined[-1][1] == style:
            joined[-1] = (joined[-1][0] + share, style)
        else:
            joined.append((share, style))
    return joined


def cap_style(plant: Plant) -> str:
    """Blue under the cap, amber close to it, red over it."""
    share = plant.grid_w / plant.import_cap_w
    return TRIP if share > 1.0 else ATTENTION if share > NEAR_CAP else GRID


def import_panel(plant: Plant, width: int, height: int) -> Panel:
    """Grid import against its cap, and the last minutes of it."""
    inner = width - 4
    style = cap_style(plant)
    share = plant.grid_w / plant.import_cap_w
    bucket_s = bucket_of(plant.curves, inner - SCALE_CELLS)
    state = {GRID: ("under the cap", DIM), ATTENTION: ("at the cap", ATTENTION)}
    left = words(
        (megawatts(plant.grid_w, 0), f"bold {style}"), (" MW of ", DIM),
        megawatts(plant.import_cap_w, 0), (" MW", DIM),
    )  # fmt: skip
    body = [
        both_ends(left, words(state.get(style, ("OVER THE CAP", f"bold {TRIP}"))), inner),
        bar([(share, style)], inner),
        *chart_lines(plant, inner, height - 2 - 3),
        both_ends(
            words(("▇ grid  ", GRID), ("▇ kept off the grid", BATTERY)),
            words((f"last {duration((inner - SCALE_CELLS) * bucket_s)}", DIM)),
            inner,
        ),
    ]
    return framed("Grid import", Group(*body), width, height)


def chart_lines(plant: Plant, width: int, height: int) -> list[Text]:
    """Import below, what the grid would have carried above it, the cap as a line; a scale in MW."""
    if height < 1:
        return []
    room = width - SCALE_CELLS
    grid_w = buckets(plant.curves, plant.curves.grid_w, room)
    load_w = np.maximum(buckets(plant.curves, plant.curves.load_w, room), grid_w)
    values = [v for v in (*grid_w, *load_w, plant.import_cap_w) if math.isfinite(v)]
    step_w = 10.0 ** math.floor(math.log10(max(values) or 1.0)) / 5.0
    low_w = math.floor((min(values) - 0.02 * max(values)) / step_w) * step_w
    high_w = math.ceil((max(values) + 0.01 * max(values)) / step_w) * step_w
    area = Area(grid_w.tolist(), load_w.tolist(), plant.import_cap_w, GRID, BATTERY)
    rows = area_chart(area, low_w, high_w, room, height)
    rows[0].append(number(high_w / 1e6, 0, SCALE_CELLS), style=DIM)
    if height > 1:
        rows[-1].append(number(low_w / 1e6, 0, SCALE_CELLS), style=DIM)
    return rows


def bucket_of(curves: Curves, room: int) -> int:
    """Seconds a column stands for: as few as let the history fill the chart."""
    span_s = int(curves.utc_s[-1] - curves.utc_s[0]) if len(curves.utc_s) else 0
    return next((s for s in CHART_BUCKETS_S if span_s < s * room), CHART_BUCKETS_S[-1])


def buckets(curves: Curves, values: Array, room: int) -> Array:
    """Means over bucket_of, on a fixed raster so that the picture does not shimmer."""
    slots = curves.utc_s // bucket_of(curves, room)
    raster, first = np.unique(slots, return_index=True)
    if not len(raster):
        return np.zeros(0)
    counts = np.diff(np.append(first, len(slots)))
    means: Array = np.add.reduceat(values, first) / counts
    return means[-room:]


def carbon_panel(plant: Plant, width: int, height: int) -> Panel:
    """Intensity, emission, PUE, and where the energy of IT comes from; scan health if it fits."""
    inner = width - 4
    lines = [
        quantity("Grid intensity", plant.grid_g_per_kwh, 0, "g/kWh", inner, plant.carbon_default),
        quantity("Grid emission", plant.grid_kg_per_h, 0, "kg/h ", inner),
        quantity("IT intensity", plant.it_g_per_kwh, 0, "g/kWh", inner),
        quantity("PUE", plant.pue, 3, "     ", inner),
    ]
    lines += [*mix_lines(plant, inner), *scan_lines(plant, inner)[:3]]
    energy, carbon = plant.grid_energy_j / 3.6e9, plant.grid_carbon_g / 1e6
    note = f"since start {number(energy, 1)} MWh, {number(carbon, 1)} t"
    return framed("Carbon", Group(*lines[: height - 2]), width, height, note)


def quantity(
    name: str, value: float, digits: int, unit: str, width: int, default: bool = False
) -> Text:
    """Name on the left, number and unit on the right; amber where it is a default."""
    label = words((name, DIM), (" default", ATTENTION) if default else "")
    figure = words((number(value, digits), ATTENTION if default else TEXT), (f" {unit}", DIM))
    return both_ends(label, figure, width)


def mix_lines(plant: Plant, width: int) -> list[Text]:
    """Where the energy of IT comes from: a bar, and the shares in words."""
    shares: dict[str, float] = {}
    for name, share in plant.it_shares:
        kind = MIX.get(name, "battery")
        shares[kind] = shares.get(kind, 0.0) + share
    styles = {kind: source_style(name) for name, kind in MIX.items()} | {"battery": BATTERY}
    legend = Text(no_wrap=True, overflow="ellipsis")
    for place, (kind, share) in enumerate(shares.items()):
        legend.append(f"{'  ' if place else ''}{kind} ", style=styles[kind])
        legend.append(f"{share * 100.0:.0f} %", style=TEXT)
    if legend.cell_len + 8 <= width:
        legend = words(("IT from ", DIM), legend)
    return [bar([(share, styles[kind]) for kind, share in shares.items()], width), legend]


def scan_panel(plant: Plant, width: int, height: int) -> Panel:
    """Is the cycle on time, and does the bus answer."""
    lines = scan_lines(plant, width - 4)[: height - 2]
    return framed("Scan", Group(*lines), width, height)


def scan_lines(plant: Plant, inner: int) -> list[Text]:
    """Scan and bus health, what matters most first."""
    timing = plant.timing

    def row(name: str, value: str, ok: bool = True) -> Text:
        return both_ends(words((name, DIM)), words((value, TEXT if ok else ATTENTION)), inner)

    late = f"{timing.lateness_p50_us:.0f} / {timing.lateness_p99_us:.0f} / "
    return [
        row("Lateness p50/p99/max", f"{late}{number(timing.lateness_max_us, 0)} µs"),
        row("Overruns", str(timing.overruns), timing.overruns == 0),
        row(
            "Fresh devices",
            f"{timing.devices_fresh} of {timing.devices_counted}",
            timing.devices_fresh == timing.devices_counted,
        ),
        row("Execution p50/max", f"{timing.exec_p50_us:.0f} / {timing.exec_max_us:.0f} µs"),
        row("Set points written", number(timing.setpoints_written, 0)),
        row(
            "Read-backs agreed",
            f"{number(timing.readbacks - timing.readback_mismatches, 0)} of "
            f"{number(timing.readbacks, 0)}",
            timing.readback_mismatches == 0,
        ),
        row("Transactions", number(timing.transactions, 0)),
        row("Timeouts, late replies", f"{timing.timeouts}, {timing.late_replies}"),
        row("Scan thread", timing.grade, timing.grade != "ordinary scheduling"),
        row("Field bus thread", timing.bus_grade, timing.bus_grade != "ordinary scheduling"),
    ]


def age_text(age_ms: float) -> str:
    """An age, ms; how long a device is away for good is for the alarms to say."""
    if not math.isfinite(age_ms):
        return MISSING
    return f"{age_ms:.0f}" if age_ms < AGE_MS_MAX else f">{AGE_MS_MAX / 1000:.0f} s"


def bus_panel(plant: Plant, width: int, height: int) -> Panel:
    """One line a device; those that are not well come first when not all of them fit."""
    inner, rows = width - 4, height - 3
    devices = list(plant.devices)
    if len(devices) > rows:
        devices = sorted(devices, key=lambda device: -device.level)[: max(0, rows - 1)]
    names = max([8, *(len(device.name) for device in devices)])
    # 15 state, 11 age, 8 round trip, 11 poll, 9 timeouts, 5 late, 5 bad; the profile takes the rest
    profile = max(0, inner - names - 1 - 15 - 11 - 8 - 11 - 9 - 5 - 5 - 2)
    header = f"{'device':<{names}} {'state':<15}{'age ms':>11}{'trip ms':>8}{'poll ms':>11}"
    header += f"{'timeouts':>9}{'late':>5}{'bad':>5}  {'profile':<{profile}}"
    lines = [words((header[:inner], DIM))]
    for device in devices:
        state = (f"{device.state:<15}", LEVEL_STYLE[device.level])
        counts = f"{device.timeouts:>9}{device.late_replies:>5}{device.bad_replies:>5}  "
        poll = f"{device.poll_max_ms:.0f}/{device.poll_bound_ms:.0f}".rjust(11)
        age = f"{age_text(device.age_ms)}/{device.age_limit_ms:.0f}".rjust(11)
        late = device.poll_max_ms > device.poll_bound_ms
        lines.append(
            words(
                f"{device.name:<{names}} ",
                state,
                (age, ATTENTION if device.age_ms > device.age_limit_ms else TEXT),
                number(device.round_trip_ms, 2, 8),
                (poll, ATTENTION if late else TEXT),
                (counts, TEXT if device.timeouts + device.bad_replies else DIM),
                (device.profile[:profile], DIM),
            )
        )
    if len(devices) < len(plant.devices):
        lines.append(words((f"{len(plant.devices) - len(devices)} more devices", DIM)))
    return framed("Field bus", Group(*lines), width, height)


def attention_panel(plant: Plant, width: int, height: int) -> Panel:
    """Alarms that are trips, then interlocks that are not clear, first-out first; then the rest."""
    inner, rows = width - 4, height - 2
    lines = [notice_line(notice) for notice in plant.notices if notice.level == Level.TRIP]
    if lines and plant.interlocks:
        lines.append(Text())
    for row in plant.interlocks:
        style = LEVEL_STYLE[row.level]
        mark = "▶ " if row.first_out else "  "
        left = words((mark, style), (f"{row.name} ", f"bold {style}"), row.title)
        lines.append(both_ends(left, words((row.status, style)), inner))
        if row.first_out:
            lines.append(
                words(("  first out ", style), (f"{duration(row.since_s)} ago. {row.why}", DIM))
            )
    rest = [notice_line(notice) for notice in plant.notices if notice.level < Level.TRIP]
    lines += [Text(), *rest] if rest and plant.interlocks else rest
    if not lines:
        lines = [words(("Nothing asks for attention.", NORMAL))]
    if len(lines) > rows:
        hidden = len(lines) - rows + 1
        lines = [
            *lines[: rows - 1],
            words((f"{hidden} more lines; a taller terminal shows them", DIM)),
        ]
    note = f"{len(plant.interlocks)} of {plant.interlocks_total} interlocks not clear"
    return framed("Interlocks and alarms", Group(*lines), width, height, note)


def notice_line(notice: Notice) -> Text:
    """A mark in the colour of how serious it is, and the words."""
    mark = "● " if notice.level == Level.TRIP else "○ "
    return words((mark, LEVEL_STYLE[notice.level]), notice.text)
