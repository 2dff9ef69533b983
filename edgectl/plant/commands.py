"""What the controller may write, and what each write does to the campus."""

from collections.abc import Callable

from edgectl.plant._physics import Plant
from edgectl.site_model.model import Site

STORAGE, PV, FLEXIBLE, OPEN = range(4)  # as edgectl.plant._simulate numbers them


def site_commands(site: Site) -> dict[str, tuple[int, int]]:
    """Command tag to (kind, index of the unit) for every command the plant acts on."""
    table: dict[str, tuple[int, int]] = {}
    for index, battery in enumerate(site.batteries):
        table[battery.command] = (STORAGE, index)
    for index, pv in enumerate(site.pvs):
        if pv.limit is not None:
            table[pv.limit] = (PV, index)
    if site.flexible is not None:
        table[site.flexible.command] = (FLEXIBLE, 0)
    if site.open_request is not None:
        table[site.open_request] = (OPEN, 0)
    return table


class Commands:
    """Takes SI values by command tag and hands them to the physics."""

    def __init__(self, plant: Plant, site: Site) -> None:
        self._plant = plant
        self._table = site_commands(site)
        self.writes = 0

    def write(self, tag: str, value: float) -> None:
        """Act on one command. One that the site uses for nothing is taken and ignored."""
        kind, index = self._table.get(tag, (-1, 0))
        self.writes += 1
        actions: dict[int, Callable[[], None]] = {
            STORAGE: lambda: self._plant.write_storage_w(index, value),
            PV: lambda: self._plant.write_pv_limit_w(index, value),
            FLEXIBLE: lambda: self._plant.write_defer_w(value),
            OPEN: lambda: self._plant.write_open_request(value != 0.0),
        }
        if kind in actions:
            actions[kind]()
