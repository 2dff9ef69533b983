"""A site of one device, as far as the tables of the field bus need one."""

from types import SimpleNamespace
from typing import cast

from edgectl.profiles import load_profile
from edgectl.site_model import Device, Site


def one_device(name: str) -> Site:
    """A site whose only device has this profile."""
    device = Device("DEV", load_profile(name), "127.0.0.1", 502, 1, True, None)
    return cast("Site", SimpleNamespace(devices=[device], links={device.link: (device,)}))
