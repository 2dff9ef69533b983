"""Which firmware a device says it has, and whether its profile holds for it."""

from dataclasses import dataclass

from edgectl._kernel.fieldbus import FirmwareDecode
from edgectl._kernel.identity import firmware_key
from edgectl.commissioning.client import Failure
from edgectl.commissioning.identify import Asker
from edgectl.profiles.model import Profile
from edgectl.profiles.numbers import version_text


@dataclass(frozen=True, slots=True)
class FirmwareVerdict:
    """A device's version against its profile's ranges.

    version  "" when it could not be read
    held     the profile holds for it; what is not held is never written to
    text     for people
    """

    version: str
    held: bool
    text: str


def firmware_of(asker: Asker, profile: Profile) -> FirmwareVerdict | None:
    """Read the version; None where the profile names no place for it."""
    where = profile.firmware
    if where is None:
        return None
    answer = asker.read(where.function, where.address, where.count)
    if isinstance(answer, Failure):
        return FirmwareVerdict("", False, f"not read: {answer.text}")
    key = firmware_key(FirmwareDecode[f"FIRMWARE_{where.decode.upper()}"], answer.words)
    held = any(low <= key < high for low, high in where.ranges)
    ranges = ", ".join(f"{version_text(a)} up to {version_text(b)}" for a, b in where.ranges)
    holds = "the profile holds for" if held else "the profile does not hold for it, only for"
    return FirmwareVerdict(version_text(key), held, f"{version_text(key)}; {holds} {ranges}")
