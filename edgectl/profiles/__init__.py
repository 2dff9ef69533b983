"""Device profiles: one file is one revision of one register map. See docs/profiles.md."""

from edgectl.profiles.load import load_profile, parse_profile, profile_names, profiles_root
from edgectl.profiles.model import INT64_MAX, Block, Command, Point, Probe, Profile

__all__ = [
    "INT64_MAX",
    "Block",
    "Command",
    "Point",
    "Probe",
    "Profile",
    "load_profile",
    "parse_profile",
    "profile_names",
    "profiles_root",
]
