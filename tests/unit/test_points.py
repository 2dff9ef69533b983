"""What a record keeps of a point decodes to the kernel's own value, to the last bit."""

import math
import struct

import pytest
from physics_rig import TABLES, PhysicsRig

from edgectl._kernel.quality import Quality
from edgectl.image.points import PointDecoder, bits_number


def bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def test_every_journaled_point_decodes_to_the_kernels_own_sample() -> None:
    rig = PhysicsRig(arm=True)
    decoder = PointDecoder(TABLES.directory)
    compared: set[str] = set()
    for _ in range(12):
        (image,) = rig.scans(1)
        decoder.learn(image["samples"])
        record = rig.reader.journal(rig.reader.journal_head - 1).records[0]
        for name, found in decoder.values(record).items():
            value, quality, reason, _, raw = rig.kernel.sample(TABLES.point_index[name])
            assert (found.quality, found.reason, found.raw) == (quality, reason, raw), name
            if quality == Quality.QUALITY_BAD:
                continue
            assert found.value is not None, f"{name}: raw {raw:#x}"
            assert bits(found.value) == bits(value), f"{name}: {found.value!r} for {value!r}"
            compared.add(name)
    assert len(compared) > 70
    types = {each["type"] for each in TABLES.directory["points"] if each["name"] in compared}
    assert {"internal", "u16", "s16", "f32"} <= types


def test_a_scale_factor_is_learnt_from_the_image_and_never_guessed() -> None:
    rig = PhysicsRig(arm=True)
    (image,) = rig.scans(1)
    record = rig.reader.journal(rig.reader.journal_head - 1).records[0]
    tag = "PCS-01.charge_limit"
    unlearnt = PointDecoder(TABLES.directory)
    assert unlearnt.values(record)[tag].raw != 0
    assert unlearnt.values(record)[tag].value is None
    unlearnt.learn(image["samples"])
    assert unlearnt.values(record)[tag].value == 10e6
    later = PointDecoder(TABLES.directory, unlearnt.exponents)
    assert later.values(record)[tag].value == 10e6


def test_a_point_never_received_has_no_value() -> None:
    rig = PhysicsRig()
    record = rig.reader.journal(0, limit=1).records[0]
    unheard = [
        each for each in PointDecoder(TABLES.directory).values(record).values() if not each.good
    ]
    assert all(each.value is None for each in unheard if each.reason.name == "REASON_NOT_YET")


@pytest.mark.parametrize(
    ("kind", "raw", "number"),
    [
        ("u16", 0xFFFF, 65535.0),
        ("s16", 0x8000, -32768.0),
        ("s32", 0xFFFFFFFF, -1.0),
        ("u32", 0xFFFFFFFF, 4294967295.0),
        ("s64", 2**64 - 2, -2.0),
        ("u64", 2**64 - 1, float(2**64 - 1)),
        ("f32", 0x7F800000, math.inf),
        ("f32", 0xBF800000, -1.0),
        ("internal", bits(-0.1), -0.1),
        ("bit", 1, 1.0),
    ],
)
def test_words_mean_what_their_type_says(kind: str, raw: int, number: float) -> None:
    assert bits_number(kind, raw) == number
