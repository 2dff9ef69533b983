"""A site of one device, as far as the tables of the field bus need one."""

from types import SimpleNamespace
from typing import cast

from edgectl.profiles import load_profile
from edgectl.site_model import Site


def one_device(name: str) -> Site:
    """A site whose only device has this profile."""
    device = SimpleNamespace(
        id="DEV", profile=load_profile(name), host="127.0.0.1", port=502, unit=1, counted=True
    )
    return cast("Site", SimpleNamespace(devices=[device]))
