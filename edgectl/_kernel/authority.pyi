"""Who may do what to a row from outside: what comes of it."""

from enum import IntEnum

class AuthorityStatus(IntEnum):
    AUTHORITY_DONE = 0
    AUTHORITY_NO_ROW = 1
    AUTHORITY_NEVER = 2
    AUTHORITY_GROUP_TAKEN = 3
    AUTHORITY_TOO_LONG = 4
    AUTHORITY_NO_MAINTENANCE = 5
    AUTHORITY_FULL = 6
