"""What a simulated SunSpec device says where it measures nothing: who it is, or "not implemented".

A register of a model that reads 0 would be a measurement to a SunSpec client. Source: the
model definitions in pysunspec2; SunSpec Device Information Model Specification, data types.
"""

from collections.abc import Sequence

from sunspec2 import device as sunspec_device

from edgectl.plant.der_settings import (
    FIRST,
    RATINGS,
    DerSetting,
    rated_category,
    setting_models,
)

MARKER = {0: 0x5375, 1: 0x6E53}  # "SunS", before the first model
COMMON = 1
END = 0xFFFF
MODELS_MAX = 64


def background(
    fixed: dict[tuple[int, int], int], serial: str, changes: Sequence[DerSetting] = ()
) -> dict[int, int]:
    """Words by address of a SunSpec chain in which nothing is measured; {} without a chain.

    fixed    (function, address) to word; holds the marker, and ID and length of each model
    serial   serial number that the common model shows
    changes  settings that are not the defaults

    A chain that ends in the first model of the settings goes on with the others of them.
    """
    base = next(
        (
            at
            for function, at in fixed
            if function == 3
            and all(fixed.get((3, at + offset)) == word for offset, word in MARKER.items())
        ),
        None,
    )
    if base is None:
        return {}
    words: dict[int, int] = {}
    at = base + len(MARKER)
    for _ in range(MODELS_MAX):
        model, length = fixed.get((3, at), END), fixed.get((3, at + 1), 0)
        if model == END:
            break
        if model == FIRST:
            for own in setting_models(changes).values():
                words |= dict(enumerate(own, at))
                at += len(own)
            words |= {at: END, at + 1: 0}
            break
        words |= dict(enumerate(_model_words(model, length, serial, changes), at))
        at += 2 + length
    return words


def _model_words(model: int, length: int, serial: str, changes: Sequence[DerSetting]) -> list[int]:
    """One model's words, ID and length first; none where pysunspec2 knows it otherwise."""
    data: dict[str, int | str] = {"ID": model, "L": length}
    if model == COMMON:
        data |= {"Mn": "edgectl", "Md": "simulated device", "SN": serial}
    if model == RATINGS:
        data |= {"NorOpCatRtg": 1, "AbnOpCatRtg": rated_category(changes)}
    try:
        raw = bytes(sunspec_device.Model(model_id=model, data=data).get_mb())
    except (sunspec_device.ModelError, KeyError):
        return []
    found = [int.from_bytes(raw[at : at + 2], "big") for at in range(0, len(raw), 2)]
    return found if len(found) == 2 + length else []
