"""What every check of a site file needs: the file, its lines, the profiles, the known tags."""

from dataclasses import dataclass, field

from edgectl.profiles.model import Profile
from edgectl.profiles.problems import RANK_REFERENCE, RANK_VALUE, Report, did_you_mean
from edgectl.profiles.toml_text import Path
from edgectl.site_model.schema import SiteFile
from edgectl.site_model.tags import command_units, point_units


@dataclass(slots=True)
class Context:
    """One site file under check.

    ordinals   of each array's entries in the file: a refused entry leaves a hole
    broken     ids of refused entries, so that one mistake is reported once
    profiles   by device id, those that could be loaded
    points     SI unit by tag
    commands   SI unit by tag
    """

    report: Report
    file: SiteFile
    ordinals: dict[str, list[int]]
    broken: set[str]
    profiles: dict[str, Profile]
    points: dict[str, str] = field(default_factory=dict)
    commands: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        batteries = [each.id for each in self.file.battery]
        metered = [each.id for each in self.file.pv if each.proof_meter is not None]
        self.points = point_units(self.profiles, batteries, metered)
        self.commands = command_units(self.profiles)

    def path(self, section: str, at: int, *rest: str | int) -> Path:
        """Path in the file of the at-th accepted entry of an array."""
        ordinals = self.ordinals.get(section)
        return (section, ordinals[at] if ordinals else at, *rest)

    def add(self, path: Path, problem: str, because: str, remedy: str, rank: int) -> None:
        """Report one problem."""
        self.report.add(path, problem, because, remedy, rank)

    def need_point(self, path: Path, tag: str, unit: str) -> None:
        """Report unless the tag is a point in this unit."""
        self._need(path, tag, unit, self.points, "point")

    def need_command(self, path: Path, tag: str, unit: str) -> None:
        """Report unless the tag is a command in this unit."""
        self._need(path, tag, unit, self.commands, "command")

    def _need(self, path: Path, tag: str, unit: str, known: dict[str, str], kind: str) -> None:
        if tag not in known:
            self.unknown_tag(path, tag, known, kind)
        elif known[tag] != unit:
            self.add(
                path,
                f"wrong unit: {tag} is in {known[tag]}; a {kind} in {unit} is needed here",
                "A number taken in another unit passes every check and is still wrong.",
                did_you_mean(tag, (name for name, its in known.items() if its == unit)),
                RANK_VALUE,
            )

    def unknown_tag(self, path: Path, tag: str, known: dict[str, str], kind: str) -> None:
        """Report a tag that names nothing, saying whether its device or its name is unknown."""
        owner, _, name = tag.partition(".")
        if owner in self.broken:
            return
        own = {each.partition(".")[2] for each in known if each.partition(".")[0] == owner}
        if own:
            profile = self.profiles.get(owner)
            of = f" (profile {profile.name})" if profile else ""
            problem = f"{owner}{of} has no {kind} {name}"
            remedy = did_you_mean(name, own)
        elif owner in self.profiles:
            problem = f"{owner} (profile {self.profiles[owner].name}) has no {kind}s at all"
            remedy = f"Name a device whose profile has the {kind}, or use another profile."
        else:
            problem = f"unknown device {owner} in {tag}"
            remedy = did_you_mean(owner, {each.partition(".")[0] for each in self.points})
        self.add(path, problem, "What it names is nowhere on the bus.", remedy, RANK_REFERENCE)
