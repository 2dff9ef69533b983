"""A site: from its TOML file to a checked frozen model to the kernel's tables.

See docs/site-file.md for the file, tables.py for the order of the rows.
"""

from edgectl.site_model.load import find_site, load_site, parse_site, site_names
from edgectl.site_model.model import (
    Battery,
    Carbon,
    Cause,
    Device,
    Effect,
    Flexible,
    Grid,
    Interlock,
    Line,
    Load,
    Mqtt,
    Pv,
    Scan,
    Site,
)
from edgectl.site_model.tables import KernelTables, compile_tables

__all__ = [
    "Battery",
    "Carbon",
    "Cause",
    "Device",
    "Effect",
    "Flexible",
    "Grid",
    "Interlock",
    "KernelTables",
    "Line",
    "Load",
    "Mqtt",
    "Pv",
    "Scan",
    "Site",
    "compile_tables",
    "find_site",
    "load_site",
    "parse_site",
    "site_names",
]
