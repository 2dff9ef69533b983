"""Tables under watch on their own: the tests' door."""

from collections.abc import Sequence
from typing import Any, Self

class IntegrityBench:
    """Buffers under watch."""

    def __new__(cls, tables: Sequence[Any]) -> Self: ...
    def look(self, scans: int) -> tuple[bool, int]: ...
