"""The segment's counters with the memory order they need, and the kinds of request."""

import mmap
from enum import IntEnum

class MailKind(IntEnum):
    MAIL_STORAGE_W = 1
    MAIL_SHED_W = 2
    MAIL_IMPORT_CAP_W = 3
    MAIL_GRID_CARBON = 4
    MAIL_RESET = 5
    MAIL_ARM = 6
    MAIL_DISARM = 7
    MAIL_SERVICES = 8
    MAIL_BYPASS = 9
    MAIL_MAINTENANCE = 10
    MAIL_INJECT = 11

def load_acquire(segment: mmap.mmap, offset: int) -> int: ...
def full_fence() -> None: ...
