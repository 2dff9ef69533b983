"""The black box: what stood around a trip, frozen to a file that reads without edgectl's help."""

from edgectl.blackbox.files import Entry, blackbox_dir, entries, evict, file_name
from edgectl.blackbox.format import BlackBox, Trigger, read_blackbox, read_header, write_blackbox
from edgectl.blackbox.triggers import rising

__all__ = [
    "BlackBox",
    "Entry",
    "Trigger",
    "blackbox_dir",
    "entries",
    "evict",
    "file_name",
    "read_blackbox",
    "read_header",
    "rising",
    "write_blackbox",
]
