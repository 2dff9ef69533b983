"""From the campus's signals to raw register values, by each device's profile.

One Slot a point: raw = signal * mul + add, clamped to the register. The wire servers turn
raw values into words with pymodbus; the in-process encoder does so in C; both read slots.
"""

from dataclasses import dataclass, replace

from edgectl.plant._physics import Plant
from edgectl.plant.parameters import PlantParameters
from edgectl.plant.roles import Role, Source, point_source
from edgectl.plant.wiring import SOUND, Wiring
from edgectl.profiles.model import Point, Profile
from edgectl.site_model.model import Device

INTEGER_RANGE = {
    "u16": (0.0, 2.0**16 - 1),
    "s16": (-(2.0**15), 2.0**15 - 1),
    "u32": (0.0, 2.0**32 - 1),
    "s32": (-(2.0**31), 2.0**31 - 1),
    # A double counts integers to 2**53; the encoder's rounding trick holds to 2**51.
    "u64": (0.0, 2.0**51),
    "s64": (-(2.0**51), 2.0**51),
    "bit": (0.0, 1.0),
}
# Finest power of ten worth showing, by SI unit of the point and its raw unit's own scale.
FINEST_EXPONENT = {"A": -1, "V": -1, "Hz": -3, "K": -1, "ratio": -2}
EXPONENT_MAX = 10


@dataclass(frozen=True, slots=True)
class Slot:
    """One point of one device as the plant fills it.

    signal     index into the plant's signals
    mul, add   raw = signal * mul + add
    low, high  what the register holds; raw is clamped to it
    wraps      a counter: rolls over instead
    integer    False for f32 and f64
    """

    point: Point
    signal: int
    mul: float
    add: float
    low: float
    high: float
    wraps: bool
    integer: bool

    def raw(self, plant: Plant) -> int | float:
        """Raw register value now, not yet cut into words."""
        value = plant.value(self.signal) * self.mul + self.add
        if not self.integer:
            return value
        if self.wraps:
            return round(value) % (1 << (16 * self.point.words))
        return round(min(max(value, self.low), self.high))


@dataclass(frozen=True, slots=True)
class DeviceSlots:
    """One device's slots, and its registers that never change.

    fixed           (function, address) to word: identity and scale factors
    low_first       the order of words it really has
    acts_as         id of the device whose commands its own act as
    command_gain    -1.0 where it takes a command with the other sign
    """

    device: Device
    role: Role
    slots: tuple[Slot, ...]
    fixed: dict[tuple[int, int], int]
    low_first: bool
    acts_as: str
    command_gain: float

    def exponent(self, address: int) -> int:
        """Scale-factor exponent that this device serves at a register."""
        word = next(word for (_, at), word in self.fixed.items() if at == address)
        return word - 0x10000 if word & 0x8000 else word


def scale_exponent(points: list[tuple[Point, Source]]) -> int:
    """The finest power of ten with which every point of one scale factor still fits."""
    exponent = max(FINEST_EXPONENT.get(point.unit, 0) for point, _ in points)
    for point, source in points:
        if point.type in INTEGER_RANGE:
            most = 0.95 * INTEGER_RANGE[point.type][1]
            while (
                not source.counter
                and exponent < EXPONENT_MAX
                and abs(source.magnitude / (point.scale * 10.0**exponent)) > most
            ):
                exponent += 1
    return exponent


def _slot(plant: Plant, role: Role, point: Point, source: Source, exponent: int) -> Slot:
    """Fold source, parts, sign, scale, offset and scale factor into one line."""
    gain, bias = source.gain, source.bias
    if source.parts:
        parts = max(1, -(-source.magnitude // (0.95 * point.valid_max)))
        gain, bias = gain / parts, bias / parts
    if role.kind == "pv" and point.name == "active_power" and point.scale < 0.0:
        gain = -gain  # the device counts what it generates as positive, whatever sign we give it
    scale = point.scale * 10.0**exponent
    low, high = INTEGER_RANGE.get(point.type, (-float("inf"), float("inf")))
    return Slot(
        point=point,
        signal=plant.names[source.signal],
        mul=gain / scale,
        add=(bias - point.offset) / scale,
        low=low,
        high=high,
        wraps=source.counter,
        integer=point.type in INTEGER_RANGE,
    )


def _fixed(profile: Profile, exponents: dict[tuple[int, int], int]) -> dict[tuple[int, int], int]:
    """Identity as the profile's first alternative has it, and the scale factors."""
    fixed = {key: exponent & 0xFFFF for key, exponent in exponents.items()}
    for probe in profile.probes:
        for at, word in enumerate(probe.alternatives[0]):
            fixed[probe.function, probe.address + at] = word
    return fixed


def device_slots(
    plant: Plant, device: Device, role: Role, p: PlantParameters, wiring: Wiring = SOUND
) -> DeviceSlots:
    """How one device's registers are filled.

    role     of the place it is connected at
    wiring   faults of its connection and its map

    Raises PlantError for a point that the plant has nothing for.
    """
    points = device.profile.points
    shared: dict[tuple[int, int], list[tuple[Point, Source]]] = {}
    for point in points:
        if point.sf_address is not None:
            source = _source(role, point, device.id, p, wiring)
            shared.setdefault((point.function, point.sf_address), []).append((point, source))
    exponents = {key: scale_exponent(of_one) for key, of_one in shared.items()}
    fixed = _fixed(device.profile, exponents)
    slots = []
    for point in points:
        key = (point.function, point.address)
        if key in fixed:  # the scale factor itself, read as a point
            continue
        source = _source(role, point, device.id, p, wiring)
        exponent = 0
        if point.sf_address is not None:
            exponent = exponents[point.function, point.sf_address]
        slots.append(_slot(plant, role, point, source, exponent))
    return DeviceSlots(
        device=device,
        role=role,
        slots=tuple(slots),
        fixed=fixed,
        low_first=device.profile.low_first != wiring.has(device.id, "word_swap"),
        acts_as=wiring.stands_for(device.id),
        command_gain=-1.0 if wiring.has(device.id, "command_reversed") else 1.0,
    )


def _source(role: Role, point: Point, device: str, p: PlantParameters, wiring: Wiring) -> Source:
    """What a point shows, faults of its wiring included."""
    shown = replace(point, name=wiring.counter(device, point.name))
    source = point_source(role, shown, device, p)
    return replace(source, gain=source.gain * wiring.gain(device, point.name, p))
