"""A logger for tests: keeps what was emitted."""

from collections.abc import Callable
from typing import Any


class EventLog:
    """Stands where a structlog logger does."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.levels: list[str] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        def keep(name: str, **fields: Any) -> None:
            self.levels.append(level)
            self.events.append((name, fields))

        return keep

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]
