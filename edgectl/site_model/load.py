"""Sites from their files: find, read, check, build."""

import copy
import hashlib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgectl.errors import Problem, ProfileError, SiteFileError
from edgectl.profiles import Profile, load_profile, profile_names
from edgectl.profiles import toml_text as toml
from edgectl.profiles.problems import RANK_REFERENCE, Report, did_you_mean, schema_problems
from edgectl.site_model.build import build_site
from edgectl.site_model.check import check_site
from edgectl.site_model.check_bus import check_schedule
from edgectl.site_model.check_interlocks import check_interlocks
from edgectl.site_model.check_tenants import check_tenants
from edgectl.site_model.context import Context
from edgectl.site_model.model import Site
from edgectl.site_model.monitors import check_monitors, monitor_unit
from edgectl.site_model.schema import SiteFile
from edgectl.site_model.tags import MONITOR_VALUE
from edgectl.site_model.use import expand

ARRAYS = (
    "device", "load", "pv", "battery", "generator", "bus", "feeder", "monitor", "heartbeat",
    "interlock", "tenant",
)  # fmt: skip


def sites_root() -> Traversable:
    """Directory of the sites that ship with the package."""
    return resources.files("edgectl") / "sites"


def site_names() -> list[str]:
    """Names of the sites that ship with the package."""
    found = (each.name for each in sites_root().iterdir())
    files = [name for name in found if name.endswith(".toml")]
    return sorted(n.removesuffix(".toml") for n in files if not n.endswith(".proofs.toml"))


def load_site(site: str | Path) -> Site:
    """Load and check a site.

    site  path of a site file, or the name of a shipped one: demo

    Raises SiteFileError with all problems of the file and of the profiles it uses.
    """
    path = find_site(site)
    return parse_site(path, path.read_bytes())


def find_site(site: str | Path) -> Path:
    """Path of a site file given by path or by shipped name."""
    text = str(site)
    if isinstance(site, str) and text in site_names():
        return Path(str(sites_root() / f"{text}.toml"))
    path = Path(site)
    if path.is_file():
        return path
    names = site_names()
    raise SiteFileError(
        [
            Problem(
                text,
                "there is no such file, and no shipped site of this name",
                "Nothing was contacted.",
                f"Give a path, or one of: {', '.join(names)}.",
                RANK_REFERENCE,
            )
        ]
    )


def parse_site(path: Path, content: bytes) -> Site:
    """Check and build the content of a site file.

    path     names the file in errors, and is where relative profile paths start from
    content  the file's bytes

    Raises SiteFileError with all problems, worst first.
    """
    try:
        text = toml.read_toml(path.name, content.decode("utf-8"))
    except toml.BrokenTomlError as error:
        raise SiteFileError([error.problem]) from error
    report, not_expanded = expand(text)
    file, ordinals, broken = _salvage(report, not_expanded)
    if file is None:
        raise SiteFileError(report.ordered())
    profiles, refused = _profiles(report, file, ordinals, path.parent)
    broken |= {each.id for each in file.device if each.id not in profiles}
    context = Context(report, file, ordinals, broken, profiles)
    for entry in file.monitor:
        if unit := monitor_unit(entry, context.points):
            context.points[f"{entry.id}.{MONITOR_VALUE}"] = unit
    check_site(context)
    check_tenants(context)
    monitors = check_monitors(context)
    interlocks = check_interlocks(context)
    if report.problems or refused:
        raise SiteFileError([*report.ordered(), *refused])
    site = build_site(path, hashlib.sha256(content).hexdigest(), context, monitors, interlocks)
    check_schedule(context, site)
    if report.problems:
        raise SiteFileError(report.ordered())
    return site


def _salvage(
    report: Report, not_expanded: set[int]
) -> tuple[SiteFile | None, dict[str, list[int]], set[str]]:
    """Validate the form; where it is wrong, go on with what is right.

    not_expanded  interlocks whose template could not be taken over: reported already

    Returns the model without its refused parts (None when a needed section is
    refused), for each array with holes the ordinals of its remaining entries, and
    the ids of what was taken out.
    """
    data = report.text.data
    faults: list[tuple[toml.Path, str]] = []
    rows = [("interlock", at) for at in not_expanded]
    try:
        whole = SiteFile.model_validate(data)
        if not rows:
            return whole, {}, set()
    except ValidationError as error:
        schema_problems(report, SiteFile, error, rows)
        faults = [(tuple(each["loc"]), each["type"]) for each in error.errors()]
    kept = copy.deepcopy(data)
    dropped: dict[str, set[int]] = {"interlock": set(not_expanded)} if rows else {}
    for path, kind in faults:
        if kind == "extra_forbidden":
            _remove(kept, path)
        elif path and path[0] in ARRAYS and len(path) > 1 and isinstance(path[1], int):
            dropped.setdefault(str(path[0]), set()).add(path[1])
    broken: set[str] = set()
    ordinals: dict[str, list[int]] = {}
    for name, holes in dropped.items():
        entries = kept[name]
        broken |= {str(entries[at].get("id")) for at in holes if isinstance(entries[at], dict)}
        ordinals[name] = [at for at in range(len(entries)) if at not in holes]
        kept[name] = [entries[at] for at in ordinals[name]]
    try:
        return SiteFile.model_validate(kept), ordinals, broken
    except ValidationError:  # a whole section is refused: its problems are reported already
        return None, {}, set()


def _remove(data: Any, path: toml.Path) -> None:
    for part in path[:-1]:
        data = data[part]
    del data[path[-1]]


def _profiles(
    report: Report, file: SiteFile, ordinals: dict[str, list[int]], directory: Path
) -> tuple[dict[str, Profile], list[Problem]]:
    """Profiles by device id, and the problems of those that were refused, each once."""
    profiles: dict[str, Profile] = {}
    refused: dict[str, tuple[Problem, ...]] = {}
    known = profile_names()
    for at, device in enumerate(file.device):
        name = device.profile
        shipped = not name.endswith(".toml")
        if (shipped and name not in known) or not (shipped or (directory / name).is_file()):
            ordinal = ordinals["device"][at] if "device" in ordinals else at
            report.add(
                ("device", ordinal, "profile"),
                f"unknown profile {name}",
                "Without a register map nothing of the device can be read or written.",
                did_you_mean(name, known),
                RANK_REFERENCE,
            )
            continue
        try:
            profiles[device.id] = load_profile(name, directory)
        except ProfileError as error:
            refused[name] = error.problems
    return profiles, [problem for problems in refused.values() for problem in problems]
