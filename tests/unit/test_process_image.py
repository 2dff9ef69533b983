"""The process image: words to values and values to words, each type and order."""

import math
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pymodbus.client.mixin import ModbusClientMixin

from edgectl._kernel.layout import DTYPES
from edgectl._kernel.process_image import (
    OutputStatus,
    PointType,
    WordOrder,
    decode,
    encode_output,
)
from edgectl._kernel.quality import Quality, Reason

INT64_MAX = 2**63 - 1
HIGH, LOW = WordOrder.ORDER_HIGH_FIRST, WordOrder.ORDER_LOW_FIRST
TYPES: dict[PointType, tuple[Any, list[float]]] = {
    PointType.TYPE_U16: (ModbusClientMixin.DATATYPE.UINT16, [0, 1, 0x7FFF, 0xFFFF]),
    PointType.TYPE_S16: (ModbusClientMixin.DATATYPE.INT16, [0, 1, -1, -(2**15), 2**15 - 1]),
    PointType.TYPE_U32: (ModbusClientMixin.DATATYPE.UINT32, [0, 1, 0x10000, 2**32 - 1]),
    PointType.TYPE_S32: (ModbusClientMixin.DATATYPE.INT32, [0, -1, -65536, -(2**31)]),
    PointType.TYPE_U64: (ModbusClientMixin.DATATYPE.UINT64, [0, 1, 2**48 + 3, 2**53]),
    PointType.TYPE_S64: (ModbusClientMixin.DATATYPE.INT64, [0, -1, -(2**52), 2**52]),
    PointType.TYPE_F32: (ModbusClientMixin.DATATYPE.FLOAT32, [0.0, -1.5, 1e30, 2.0**-126]),
    PointType.TYPE_F64: (ModbusClientMixin.DATATYPE.FLOAT64, [0.0, -0.1, 1e300, 5e-324]),
}
CASES = [
    (point_type, order, number)
    for point_type, (_, numbers) in TYPES.items()
    for order in (HIGH, LOW)
    for number in numbers
]


def point(point_type: PointType, **fields: Any) -> NDArray[np.void]:
    """One PointRow at the block's first word, scale 1, without limits."""
    rows = np.zeros(1, DTYPES["PointRow"])
    rows["type"], rows["scale"], rows["sf_word"] = point_type, 1.0, -1
    limits = rows["limits"]
    limits["valid_min"], limits["valid_max"] = -math.inf, math.inf
    limits["slew_max_per_s"] = math.inf
    limits["stale_after_ns"] = limits["frozen_after_ns"] = INT64_MAX
    for name, value in fields.items():
        rows[name] = value
    return rows


def output(point_type: PointType, **fields: Any) -> NDArray[np.void]:
    """One OutputRow whose value stands at the first of four words."""
    rows = np.zeros(1, DTYPES["OutputRow"])
    rows["type"], rows["scale"], rows["count"], rows["function"] = point_type, 1.0, 4, 16
    rows["raw_min"], rows["raw_max"] = -math.inf, math.inf
    for name, value in fields.items():
        rows[name] = value
    return rows


def words_of(point_type: PointType, order: WordOrder, number: float) -> list[int]:
    """The registers as pymodbus lays them out."""
    return ModbusClientMixin.convert_to_registers(
        number, TYPES[point_type][0], word_order="big" if order == HIGH else "little"
    )


@pytest.mark.parametrize(("point_type", "order", "number"), CASES)
def test_words_laid_out_by_pymodbus_decode_to_their_number(
    point_type: PointType, order: WordOrder, number: float
) -> None:
    rows = point(point_type, word=1, word_order=order)
    words = [0xDEAD, *words_of(point_type, order, number), 0xBEEF]
    ((value, quality, reason, raw),) = decode(rows, words, 1)
    is_single = point_type == PointType.TYPE_F32
    assert value == (float(np.float32(number)) if is_single else number)
    assert (quality, reason) == (Quality.QUALITY_GOOD, Reason.REASON_NONE)
    high_first = words_of(point_type, HIGH, number)
    assert raw == int.from_bytes(struct.pack(f">{len(high_first)}H", *high_first), "big")


@pytest.mark.parametrize("bit", range(16))
def test_a_bit_is_counted_from_the_lowest(bit: int) -> None:
    rows = point(PointType.TYPE_BIT, bit=bit)
    assert decode(rows, [1 << bit], 1)[0][0] == 1.0
    assert decode(rows, [0xFFFF ^ (1 << bit)], 1)[0][0] == 0.0


def test_scale_and_offset_turn_words_into_the_si_unit() -> None:
    rows = point(PointType.TYPE_S16, scale=0.1, offset=273.15)
    assert decode(rows, [0x10000 - 50], 1)[0][0] == pytest.approx(268.15)


@pytest.mark.parametrize(("exponent", "value"), [(0, 1234.0), (2, 123400.0), (-3, 1.234)])
def test_a_sunspec_scale_factor_is_read_in_the_same_block(exponent: int, value: float) -> None:
    rows = point(PointType.TYPE_U16, sf_word=1)
    assert decode(rows, [1234, exponent & 0xFFFF], 1)[0][0] == pytest.approx(value)


@pytest.mark.parametrize("factor", [0x8000, 11, 0x10000 - 11, 0x7FFF])
def test_a_scale_factor_outside_sunspec_is_a_configuration_error(factor: int) -> None:
    rows = point(PointType.TYPE_U16, sf_word=1)
    _, quality, reason, _ = decode(rows, [1234, factor], 1)[0]
    assert (quality, reason) == (Quality.QUALITY_BAD, Reason.REASON_CONFIGURATION)


@pytest.mark.parametrize(
    ("point_type", "order", "sentinel", "words"),
    [
        (PointType.TYPE_S16, HIGH, 0x8000, [0x8000]),
        (PointType.TYPE_U16, HIGH, 0xFFFF, [0xFFFF]),
        (PointType.TYPE_S32, HIGH, 0x7FFFFFFF, [0x7FFF, 0xFFFF]),
        (PointType.TYPE_S32, LOW, 0x80000000, [0x0000, 0x8000]),
        (PointType.TYPE_U64, HIGH, 0xFFFFFFFFFFFFFFFF, [0xFFFF] * 4),
    ],
)
def test_the_makers_own_no_such_value_is_not_a_value(
    point_type: PointType, order: WordOrder, sentinel: int, words: list[int]
) -> None:
    rows = point(point_type, word_order=order, has_sentinel=1, sentinel=sentinel)
    _, quality, reason, raw = decode(rows, words, 1)[0]
    assert (quality, reason) == (Quality.QUALITY_BAD, Reason.REASON_NOT_IMPLEMENTED)
    assert raw == sentinel


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00001, 0x7F800001, 0x7F800000, 0xFF800000])
def test_every_nan_and_both_infinities_are_not_finite(bits: int) -> None:
    rows = point(PointType.TYPE_F32)
    _, quality, reason, _ = decode(rows, [bits >> 16, bits & 0xFFFF], 1)[0]
    assert (quality, reason) == (Quality.QUALITY_BAD, Reason.REASON_NOT_FINITE)


@pytest.mark.parametrize(
    ("point_type", "order", "number"),
    [case for case in CASES if "64" not in case[0].name],
)
def test_a_command_is_laid_out_as_pymodbus_lays_it_out(
    point_type: PointType, order: WordOrder, number: float
) -> None:
    rows = output(point_type, word_order=order, value_word=1, template_words=[7] * 16)
    laid_out = words_of(point_type, order, number)
    status, words = encode_output(rows, number)
    assert status == OutputStatus.OUTPUT_COMMITTED
    assert words == ([7, *laid_out, 7, 7, 7])[:4]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_never_committed(value: float) -> None:
    assert encode_output(output(PointType.TYPE_F32), value) == (
        OutputStatus.OUTPUT_NOT_FINITE, [],
    )  # fmt: skip


@pytest.mark.parametrize("value", [-3276.9, 3276.8, 1e30])
def test_a_value_that_does_not_fit_the_register_is_never_committed(value: float) -> None:
    rows = output(PointType.TYPE_S16, scale=0.1, raw_min=-32768, raw_max=32767)
    assert encode_output(rows, value) == (OutputStatus.OUTPUT_OUT_OF_RANGE, [])
    assert encode_output(rows, 3276.7)[1][0] == 0x7FFF
    assert encode_output(rows, -3276.8)[1][0] == 0x8000


def test_a_command_with_a_scale_factor_divides_by_it() -> None:
    rows = output(PointType.TYPE_S16, raw_min=-32768, raw_max=32767)
    assert encode_output(rows, 2500.0, 1)[1][0] == 250
    assert encode_output(rows, 25.0, -2)[1][0] == 2500


@pytest.mark.parametrize("exponent", [-32768.0, 11.0, math.nan])
def test_a_command_without_a_good_scale_factor_is_never_committed(exponent: float) -> None:
    rows = output(PointType.TYPE_S16, raw_min=-32768, raw_max=32767)
    assert encode_output(rows, 1.0, exponent) == (OutputStatus.OUTPUT_NO_SCALE, [])
