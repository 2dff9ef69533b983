"""Who a device says it is: the tests' and the commissioning's door."""

from collections.abc import Sequence

from edgectl._kernel.fieldbus import FirmwareDecode

def firmware_key(decode: FirmwareDecode, words: Sequence[int]) -> int: ...
