"""What the controller may write, and what each write does to the campus."""

from edgectl.plant._physics import Plant
from edgectl.plant._simulate import CommandKind
from edgectl.site_model.model import Site

NOTHING = (CommandKind.COMMAND_NONE, 0)


def site_commands(site: Site) -> dict[str, tuple[CommandKind, int]]:
    """Command tag to (kind, index of the unit) for every command the plant acts on."""
    table: dict[str, tuple[CommandKind, int]] = {}
    for index, battery in enumerate(site.batteries):
        table[battery.command] = (CommandKind.COMMAND_STORAGE, index)
    for index, pv in enumerate(site.pvs):
        if pv.limit is not None:
            table[pv.limit] = (CommandKind.COMMAND_PV, index)
    if site.flexible is not None:
        table[site.flexible.command] = (CommandKind.COMMAND_FLEXIBLE, 0)
    if site.open_request is not None:
        table[site.open_request] = (CommandKind.COMMAND_OPEN, 0)
    return table


class Commands:
    """Takes SI values by command tag and hands them to the physics."""

    def __init__(self, plant: Plant, site: Site) -> None:
        self._plant = plant
        self._table = site_commands(site)
        self.writes = 0

    def write(self, tag: str, value: float) -> None:
        """Act on one command. One that the site uses for nothing is taken and ignored."""
        kind, index = self._table.get(tag, NOTHING)
        self.writes += 1
        if kind == CommandKind.COMMAND_STORAGE:
            self._plant.write_storage_w(index, value)
        elif kind == CommandKind.COMMAND_PV:
            self._plant.write_pv_limit_w(index, value)
        elif kind == CommandKind.COMMAND_FLEXIBLE:
            self._plant.write_defer_w(value)
        elif kind == CommandKind.COMMAND_OPEN:
            self._plant.write_open_request(value != 0.0)
