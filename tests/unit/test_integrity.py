"""Integrity: any bit of a table that changes in memory is found within a round."""

import numpy as np
import pytest

from edgectl._kernel.integrity import IntegrityBench


def tables() -> list[bytearray]:
    return [bytearray(range(256)) * 9, bytearray(b"\x07" * 13), bytearray(8)]


def test_sound_tables_are_looked_through_round_after_round() -> None:
    fault, rounds = IntegrityBench(tables()).look(60)
    assert (fault, rounds) == (False, 8)


def test_every_single_bit_that_flips_is_found_within_two_rounds() -> None:
    for table, bits in ((0, range(0, 2304 * 8, 97)), (1, range(13 * 8)), (2, range(64))):
        for bit in bits:
            held = tables()
            made = IntegrityBench(held)
            made.look(3)
            held[table][bit // 8] ^= 1 << bit % 8
            assert made.look(15)[0], f"bit {bit} of table {table}"


def test_a_fault_stands_also_when_the_bit_flips_back() -> None:
    held = tables()
    made = IntegrityBench(held)
    held[0][5] ^= 1
    made.look(8)
    held[0][5] ^= 1
    assert made.look(50)[0]


def test_there_is_a_bound_on_the_tables_and_no_table_is_no_fault() -> None:
    with pytest.raises(ValueError, match="at most 32"):
        IntegrityBench([np.zeros(8, np.uint8)] * 33)
    assert IntegrityBench([]).look(5) == (False, 0)
