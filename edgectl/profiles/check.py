"""What a profile file must not contain, beyond its form."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from edgectl.profiles.build import probe_words
from edgectl.profiles.numbers import (
    FUNCTIONS,
    WORDS,
    rational,
    split_layout,
    version_key,
    version_text,
    words_of,
)
from edgectl.profiles.problems import (
    RANK_REFERENCE,
    RANK_SAFETY,
    RANK_VALUE,
    Report,
    did_you_mean,
)
from edgectl.profiles.schema import (
    CommandSection,
    IdentitySection,
    ModbusSection,
    PointSection,
    ProfileFile,
)
from edgectl.profiles.toml_text import Path
from edgectl.profiles.units import UNITS, unit_text

PROBE_WORDS_MAX = 10  # fieldbus.pxd
FIRMWARE_RANGES_MAX = 4  # fieldbus.pxd
FIRMWARE_WORDS = {"words": 4, "bytes": 2, "nibbles": 1}  # that fit a version's 64 bits
PROBE_ALTERNATIVES_MAX = 8  # fieldbus.pxd
OUTPUT_WORDS_MAX = 16  # process_image.pxd
ADDRESSES = 0x10000  # MAP 4.4
COUNTED_BITS = {"u16": 16, "u32": 32, "u64": 64, "s16": 15, "s32": 31, "s64": 63, "f32": 128,
                "f64": 1024}  # fmt: skip


def check_profile(report: Report, file: ProfileFile) -> None:
    """Add every problem of a file whose form is right."""
    _check_names(report, "point", [each.name for each in file.point])
    _check_names(report, "command", [each.name for each in file.command])
    for at, point in enumerate(file.point):
        _check_point(report, ("point", at), point, file.modbus.max_registers)
        _check_reach(report, ("point", at), point, file)
        _check_modulus(report, ("point", at), point)
    _check_overlaps(report, file.point)
    _check_reply(report, file.modbus)
    _check_outstanding(report, file.modbus)
    _check_identity_present(report, file)
    for at, identity in enumerate(file.identity):
        _check_identity(report, ("identity", at), identity)
    _check_firmware(report, file)
    for at, command in enumerate(file.command):
        _check_layout(report, ("command", at), command, file.modbus.word_order == "low_first")
        _check_command(report, ("command", at), command, file.point)


def _check_reply(report: Report, modbus: ModbusSection) -> None:
    if modbus.reply_ms is not None and modbus.reply_ms > modbus.timeout_ms:
        report.add(
            ("modbus", "reply_ms"),
            f"reply_ms is {modbus.reply_ms} ms; it must be at most timeout_ms, "
            f"{modbus.timeout_ms} ms",
            "A reply that late is given up: nothing of the device would ever be read.",
            "Give the slowest reply that edgectl watch shows, and three times that as timeout_ms.",
            RANK_VALUE,
        )


def _check_outstanding(report: Report, modbus: ModbusSection) -> None:
    """Several requests at once: each must be answered in time, behind all the others."""
    most = modbus.max_outstanding
    if most == 1:
        return
    if modbus.gap_ms > 0:
        report.add(
            ("modbus", "max_outstanding"),
            f"max_outstanding is {most} and gap_ms {modbus.gap_ms} ms",
            "A device that needs a pause before the next request takes one at a time.",
            "Leave one of the two out.",
            RANK_VALUE,
        )
    if modbus.reply_ms is None or most * modbus.reply_ms > modbus.timeout_ms:
        reply = "not given" if modbus.reply_ms is None else f"{modbus.reply_ms} ms"
        report.add(
            ("modbus", "max_outstanding"),
            f"max_outstanding is {most}, reply_ms {reply}, timeout_ms {modbus.timeout_ms} ms; "
            "max_outstanding times reply_ms must be at most timeout_ms",
            "The last of the requests is answered after all the others, and must not be late.",
            "Give the slowest reply that edgectl watch shows as reply_ms, and a timeout_ms of "
            f"{most} times that, or fewer requests at once.",
            RANK_VALUE,
        )


def _check_names(report: Report, kind: str, names: Sequence[str]) -> None:
    for at, name in enumerate(names):
        if name in names[:at]:
            report.add(
                (kind, at, "name"),
                f"there are two {kind}s named {name}",
                "A site joins by name; it could not say which it means.",
                "Give each its own name.",
                RANK_REFERENCE,
            )


def _check_quantity(report: Report, path: Path, row: PointSection | CommandSection) -> None:
    """Unit, scale and valid range of a point or a command."""
    if row.unit not in UNITS:
        report.add(
            (*path, "unit"),
            f"wrong unit: {row.unit!r} is none that edgectl knows",
            "A value is converted to SI by its unit; a guess would be off by thousands.",
            did_you_mean(row.unit, UNITS),
            RANK_VALUE,
        )
    try:
        usable = rational(row.scale) > 0
    except (ValueError, ZeroDivisionError):
        usable = False
    if not usable:
        report.add(
            (*path, "scale"),
            f"scale is {row.scale!r}; it must be a number above 0 or a fraction",
            "value = raw * scale; a sign is given by `sign`, so that it is seen.",
            'For example scale = "1/10".',
            RANK_VALUE,
        )
    low, high = row.valid
    if low >= high:
        unit = row.unit if row.unit in UNITS else ""
        report.add(
            (*path, "valid"),
            f"valid is [{unit_text(low, unit)}, {unit_text(high, unit)}]; "
            "the first must be under the second",
            "No value could ever be good.",
            "Give the range as [lowest, highest], in the point's unit and after its sign.",
            RANK_VALUE,
        )


def _check_point(report: Report, path: Path, point: PointSection, max_registers: int) -> None:
    _check_quantity(report, path, point)
    bits = point.table in ("discrete", "coil")
    if bits and (point.type != "bit" or point.bit != 0):
        report.add(
            (*path, "type"),
            f"type is {point.type}, bit {point.bit}; a {point.table} is one bit",
            "Functions 1 and 2 read single bits (MAP 6.1, 6.2).",
            'Write type = "bit" and no bit number.',
            RANK_VALUE,
        )
    if point.type != "bit" and point.bit != 0:
        report.add(
            (*path, "bit"),
            f"bit is {point.bit} on type {point.type}",
            "Only type bit picks one bit of a register.",
            'Write type = "bit", or remove the bit number.',
            RANK_VALUE,
        )
    words = WORDS[point.type]
    if point.sentinel is not None and point.sentinel >= 2 ** (16 * words):
        report.add(
            (*path, "sentinel"),
            f"sentinel is {point.sentinel:#x}; type {point.type} has {16 * words} bits",
            "The device could never send it, and its real sentinel would pass as a value.",
            f"Give the raw words, at most {2 ** (16 * words) - 1:#x}.",
            RANK_VALUE,
        )
    if point.address + words > ADDRESSES or (not bits and words > max_registers):
        report.add(
            (*path, "address"),
            f"{point.type} at {point.address} takes {words} registers; it would straddle "
            f"{'the end of the address space' if words <= max_registers else 'two requests'}",
            "A value put together from two replies may be one that never was.",
            f"Check the address, or raise max_registers to at least {words}.",
            RANK_VALUE,
        )


def _check_modulus(report: Report, path: Path, point: PointSection) -> None:
    """A roll-over is of an energy counter, fits its register, and has a source."""
    if point.modulus is None and point.modulus_source is None:
        return
    width = COUNTED_BITS.get(point.type, 0)
    if point.unit not in UNITS or UNITS[point.unit].si != "J" or not width:
        problem = f"a roll-over on a {point.type} in {point.unit}, which counts no energy"
    elif point.modulus is None or point.modulus_source is None:
        problem = "modulus and modulus_source stand together; one of them is missing"
    elif point.modulus > 2**width:
        problem = f"modulus is {point.modulus}; a {point.type} counts to {2**width - 1}"
    else:
        return
    report.add(
        (*path, "modulus" if point.modulus is not None else "modulus_source"),
        problem,
        "At a roll-over the way over the top is booked as energy that flowed.",
        "Take the highest value from the maker's manual and name the page, or remove both.",
        RANK_VALUE,
    )


def _check_reach(report: Report, path: Path, point: PointSection, file: ProfileFile) -> None:
    """The scale factor must be in the same reply as the value."""
    if point.scale_factor is None:
        return
    first = min(point.address, point.scale_factor)
    end = max(point.address + WORDS[point.type], point.scale_factor + 1)
    limit = file.modbus.max_registers
    if point.table in ("discrete", "coil") or point.type in ("bit", "f32", "f64"):
        problem = f"scale_factor on a {point.table} of type {point.type}"
    elif end - first > limit:
        problem = (
            f"scale factor at {point.scale_factor} is {end - first} registers from its value at "
            f"{point.address}; one request reads {limit}"
        )
    elif file.modbus.gaps == "illegal" and not _covered(file, point, first, end):
        problem = (
            f"scale factor at {point.scale_factor} lies across registers that no point names, "
            "and gaps are illegal"
        )
    else:
        return
    report.add(
        (*path, "scale_factor"),
        problem,
        "A scale factor may change at run time; read apart from its value it gives a wrong number.",
        "Check the address against the model's base, or raise max_registers where the device can.",
        RANK_VALUE,
    )


def _covered(file: ProfileFile, point: PointSection, first: int, end: int) -> bool:
    named: set[int] = set()
    for each in file.point:
        if each.table == point.table:
            named.update(range(each.address, each.address + WORDS[each.type]))
            named.update(() if each.scale_factor is None else (each.scale_factor,))
    return named.issuperset(range(first, end))


def _check_overlaps(report: Report, points: Sequence[PointSection]) -> None:
    """No register bit belongs to two points."""
    claimed: dict[tuple[int, int, int], int] = {}
    for at, point in enumerate(points):
        function = FUNCTIONS[point.table]
        if point.type == "bit":
            claims = [(function, point.address, point.bit)]
        else:
            words = range(point.address, point.address + WORDS[point.type])
            claims = [(function, word, bit) for word in words for bit in range(16)]
        rivals = {claimed[claim] for claim in claims if claim in claimed}
        for rival in sorted(rivals):
            other = points[rival]
            report.add(
                ("point", at, "address"),
                f"{point.name} ({point.type} at {point.address}) overlaps {other.name} "
                f"({other.type} at {other.address}), both {point.table}",
                "The same registers cannot mean two things; one of them would be a plausible lie.",
                "Check both addresses and types against the register map.",
                RANK_VALUE,
            )
        for claim in claims:
            claimed.setdefault(claim, at)


def _check_identity_present(report: Report, file: ProfileFile) -> None:
    why = "Written to another device, the same register may mean anything."
    if file.identity and file.device.identity_none:
        report.add(
            ("device", "identity_none"),
            "identity_none stands beside an [[identity]]",
            "Either the device can be recognised or it cannot.",
            "Remove one of them.",
            RANK_VALUE,
        )
    if not file.identity and file.command:
        report.add(
            ("command", 0),
            "the profile has commands and no [[identity]]",
            why,
            "Add an [[identity]] that only this device answers, or remove the commands.",
            RANK_SAFETY,
        )
    elif not file.identity and not file.device.identity_none:
        report.add(
            ("device",),
            "the profile has no [[identity]] and does not say why",
            "A map laid over the wrong device gives plausible nonsense.",
            'Add an [[identity]], or identity_none = "the reason" under [device].',
            RANK_SAFETY,
        )


def _check_identity(report: Report, path: Path, row: IdentitySection) -> None:
    problem = ""
    if (row.text is None) == (row.equals is None):
        problem = "identity needs either equals or text"
    elif row.text is not None and not row.text.isascii():
        problem = f"text {row.text!r} is not ASCII"
    elif row.text is not None and row.mask is not None:
        problem = "mask stands beside text, which makes its own"
    if not problem:
        mask, alternatives = probe_words(row)
        widths = {len(each) for each in (*alternatives, mask)}
        if len(widths) != 1 or not alternatives:
            problem = f"equals and mask have {sorted(widths)} words; all need the same number"
        elif max(widths) > PROBE_WORDS_MAX:
            problem = f"{max(widths)} words; PROBE_WORDS_MAX is {PROBE_WORDS_MAX}"
        elif len(alternatives) > PROBE_ALTERNATIVES_MAX:
            problem = (
                f"{len(alternatives)} alternatives; PROBE_ALTERNATIVES_MAX is "
                f"{PROBE_ALTERNATIVES_MAX}"
            )
        elif row.count not in (None, max(widths)):
            problem = f"count is {row.count}, but {max(widths)} words are compared"
        elif not any(mask):
            problem = "the mask compares no bit"
    if problem:
        report.add(
            path,
            problem,
            "Identity decides whether a device may be written to at all.",
            'For example equals = [[0x5375, 0x6E53]], or text = "SUN2000".',
            RANK_SAFETY,
        )


def _check_firmware(report: Report, file: ProfileFile) -> None:
    """Version ranges that can be met, and a word on versions wherever something is written."""
    if file.firmware is None:
        if file.command and not file.device.firmware_note:
            report.add(
                ("command", 0),
                "the profile has commands and says nothing of firmware versions",
                "Makers move registers between versions; a write would go to another register.",
                "Add a [firmware] section, or firmware_note under [device] that says why not.",
                RANK_SAFETY,
            )
        return
    row = file.firmware
    most = FIRMWARE_WORDS.get(row.decode, PROBE_WORDS_MAX)
    problem = ""
    if row.count > most:
        problem = f"count is {row.count}; decode {row.decode} takes at most {most} registers"
    elif len(row.ranges) > FIRMWARE_RANGES_MAX:
        problem = f"{len(row.ranges)} ranges; FIRMWARE_RANGES_MAX is {FIRMWARE_RANGES_MAX}"
    else:
        problem = _ranges_problem(row.ranges)
    if problem:
        report.add(
            ("firmware",),
            problem,
            "The version decides whether the device may be written to at all.",
            'For example decode = "words", count = 3, ranges = [["1.3", "2"]].',
            RANK_SAFETY,
        )


def _ranges_problem(ranges: Sequence[Sequence[str]]) -> str:
    """What is wrong with version ranges; "" when nothing is."""
    keys = []
    for low, high in ranges:
        try:
            keys.append((version_key(low), version_key(high)))
        except ValueError as error:
            return str(error)
        if keys[-1][0] >= keys[-1][1]:
            return f"range {low} up to {high} holds no version"
    for (_, end), (after, _) in pairwise(sorted(keys)):
        if after < end:
            return f"ranges overlap at {version_text(after)}"
    return ""


def _layout_problem(row: CommandSection, low_first: bool) -> str:
    """What is wrong with a command's layout; "" when nothing is."""
    words, values = 0, []
    for entry in row.layout:
        try:
            type_name, what = split_layout(entry)
            if what == "value":
                values.append(type_name)
            else:
                words_of(type_name, float(what), low_first)
        except ValueError as error:
            return str(error)
        words += WORDS[type_name]
    types = {entry.partition(":")[0].strip() for entry in row.layout}
    if len(values) != 1:
        return f"the layout has {len(values)} values; it must have exactly one"
    if row.function in (5, 15) and types != {"bit"}:
        return f"function {row.function} writes coils; the layout must be of type bit"
    if row.function in (6, 16) and "bit" in types:
        return f"function {row.function} writes registers; type bit is for coils"
    if row.function in (5, 6) and words != 1:
        return f"function {row.function} writes one; the layout has {words} words"
    if words > OUTPUT_WORDS_MAX:
        return f"the layout has {words} words; OUTPUT_WORDS_MAX is {OUTPUT_WORDS_MAX}"
    if row.address + words > ADDRESSES:
        return f"{words} registers from {row.address} run past the end of the address space"
    return ""


def _check_layout(report: Report, path: Path, row: CommandSection, low_first: bool) -> None:
    problem = _layout_problem(row, low_first)
    if problem:
        report.add(
            (*path, "layout"),
            problem,
            "A command is written as one block or not at all.",
            'For example function = 16, layout = ["u16:1", "s32:value"].',
            RANK_VALUE,
        )


def _check_command(
    report: Report, path: Path, row: CommandSection, points: Sequence[PointSection]
) -> None:
    _check_quantity(report, path, row)
    named = {each.name: each for each in points}
    if row.scale_factor is not None:
        factor = named.get(row.scale_factor)
        if factor is None or factor.type != "s16" or rational(factor.scale) != Fraction(1):
            report.add(
                (*path, "scale_factor"),
                f"{row.scale_factor} is not a point of type s16 with scale 1",
                "A setpoint scaled by a guess may be a thousand times what was permitted.",
                did_you_mean(row.scale_factor, (n for n, p in named.items() if p.type == "s16")),
                RANK_SAFETY,
            )
    _check_readback(report, path, row, named)
    if row.revert_ms is not None and row.revert_ms < 2 * row.refresh_ms:
        report.add(
            (*path, "revert_ms"),
            f"revert_ms is {unit_text(row.revert_ms, 'ms')}; refresh_ms is "
            f"{unit_text(row.refresh_ms, 'ms')}, more than half of it",
            "One lost write would make the device fall back while we are alive.",
            "Refresh at least twice within the device's own fallback time.",
            RANK_SAFETY,
        )


def _check_readback(
    report: Report, path: Path, row: CommandSection, named: dict[str, PointSection]
) -> None:
    point = named.get(row.readback)
    if row.readback.startswith("none:"):
        if len(row.readback.removeprefix("none:").strip()) >= 8:
            return
        problem = "readback is none, and no reason follows"
        remedy = 'Write the reason: readback = "none: the map has no such register".'
    elif point is None:
        problem = f"readback names {row.readback}, which is no point of this profile"
        remedy = did_you_mean(row.readback, named)
    elif point.unit in UNITS and row.unit in UNITS and UNITS[point.unit].si != UNITS[row.unit].si:
        problem = f"readback {row.readback} is in {point.unit}, the command in {row.unit}"
        remedy = "Name the point that shows what this command set."
    else:
        return
    report.add(
        (*path, "readback"),
        problem,
        "A write that cannot be read back is a hope, not an output.",
        remedy,
        RANK_SAFETY,
    )
