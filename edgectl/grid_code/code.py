"""Grid codes from their files, one category at a time: find, read, check, freeze."""

import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from edgectl.errors import FileError, Problem
from edgectl.grid_code.schema import CodeFile, Figure
from edgectl.profiles import toml_text as toml
from edgectl.profiles.problems import RANK_REFERENCE, Report, did_you_mean, schema_problems

OVER = ("over_voltage", "over_frequency")
VOLTAGES = ("over_voltage", "under_voltage")


class GridCodeError(FileError):
    """A grid code was refused, or a site asks for what it has not. Nothing was contacted."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a figure is from."""

    clause: str
    sources: tuple[str, ...]
    verified: bool


@dataclass(frozen=True, slots=True)
class TripRule:
    """One stage at which a device shall trip. Thresholds in pu or Hz."""

    setting: str
    quantity: str
    threshold: float
    threshold_allowed: tuple[float, float]
    time_s: float
    time_allowed_s: tuple[float, float]
    origin: Origin

    @property
    def unit(self) -> str:
        """Of the threshold."""
        return "pu" if self.quantity in VOLTAGES else "Hz"


@dataclass(frozen=True, slots=True)
class ValueRule:
    """One setting of a single number."""

    setting: str
    meaning: str
    unit: str
    value: float
    allowed: tuple[float, float]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Region:
    """Where a device stays for a time; mode: mandatory permissive momentary_cessation."""

    quantity: str
    low: float
    high: float
    min_s: float
    slope_s_per_pu: float
    mode: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Rules:
    """A grid code for one category."""

    id: str
    title: str
    nominal_hz: float
    category: str
    categories: tuple[str, ...]
    trips: tuple[TripRule, ...]
    values: tuple[ValueRule, ...]
    regions: tuple[Region, ...]
    rocof_hz_per_s: float | None
    sources: tuple[tuple[str, str], ...]

    def stages(self, quantity: str) -> tuple[TripRule, ...]:
        """The stages of one quantity, the outermost (which is the slowest) first."""
        own = [each for each in self.trips if each.quantity == quantity]
        return tuple(sorted(own, key=lambda rule: rule.threshold, reverse=quantity not in OVER))

    def stay_s(self, quantity: str, threshold: float) -> float:
        """Longest ride-through time required of a device anywhere beyond a threshold.

        Infinite where the threshold lies within continuous operation, 0 where nothing is required.
        """
        own = [each for each in self.regions if each.quantity == quantity]
        over = quantity in OVER
        if not own:
            return 0.0
        edge = min(each.low for each in own) if over else max(each.high for each in own)
        if threshold < edge if over else threshold > edge:
            return math.inf
        required = 0.0
        for each in own:
            if threshold >= each.high if over else threshold <= each.low:
                continue
            top = each.high if over else min(each.high, threshold)
            required = max(required, each.min_s + each.slope_s_per_pu * (top - each.low))
        return required

    def cease_edge(self, quantity: str) -> float | None:
        """The threshold nearest to normal at which a device may cease at once; None: anywhere."""
        fed = [e for e in self.regions if e.quantity == quantity and e.mode == "mandatory"]
        own = [e for e in self.regions if e.quantity == quantity]
        if not own:
            return None
        if quantity in OVER:
            return max(e.high for e in fed) if fed else min(e.low for e in own)
        return min(e.low for e in fed) if fed else max(e.high for e in own)


def code_names() -> list[str]:
    """Grid codes that ship with the package."""
    folder = resources.files("edgectl.grid_code")
    files = (each.name for each in folder.iterdir())
    return sorted(name.removesuffix(".toml") for name in files if name.endswith(".toml"))


def load_rules(code: str, category: str, directory: Path | None = None) -> Rules:
    """The rules of one category.

    code       a shipped one, or a path ending in .toml
    directory  where a relative path starts from

    Raises GridCodeError with all problems of the file, or for a category that it has not.
    """
    file = _read(code, directory)
    if category not in file.code.categories:
        raise GridCodeError(
            [
                Problem(
                    code,
                    f"no category {category}",
                    "Limits of another category say nothing about this device.",
                    f"It has {', '.join(file.code.categories)}.",
                    RANK_REFERENCE,
                )
            ]
        )
    return _built(file, category)


def _read(code: str, directory: Path | None) -> CodeFile:
    """The checked file."""
    if code.endswith(".toml"):
        path = (directory or Path()) / code
        content = path.read_text("utf-8") if path.is_file() else None
    else:
        shipped = resources.files("edgectl.grid_code") / f"{code}.toml"
        content = shipped.read_text("utf-8") if code in code_names() else None
    if content is None:
        known = code_names()
        raise GridCodeError(
            [
                Problem(
                    code,
                    "there is no such grid code",
                    "Nothing can be compared with it.",
                    f"Give a path ending in .toml, or one of: {', '.join(known)}. "
                    f"{did_you_mean(code, known)}".strip(),
                    RANK_REFERENCE,
                )
            ]
        )
    try:
        text = toml.read_toml(Path(code).name, content)
    except toml.BrokenTomlError as error:
        raise GridCodeError([error.problem]) from error
    report = Report(text)
    try:
        file = CodeFile.model_validate(text.data)
    except ValidationError as error:
        schema_problems(report, CodeFile, error)
        raise GridCodeError(report.ordered()) from error
    _check(report, file)
    if report.problems:
        raise GridCodeError(report.ordered())
    return file


def _check(report: Report, file: CodeFile) -> None:
    """Names that must be known, and no figure given twice."""
    sources = [each.id for each in file.source]
    tables: dict[str, list[Figure]] = {
        "trip": [*file.trip],
        "value": [*file.value],
        "ride_through": [*file.ride_through],
        "rocof": [*file.rocof],
    }
    seen: set[tuple[str, str]] = set()
    for section, entries in tables.items():
        for at, entry in enumerate(entries):
            for key, names, known in (
                ("sources", entry.sources, sources),
                ("categories", entry.categories, file.code.categories),
            ):
                for name in names:
                    if name not in known:
                        report.add(
                            (section, at, key),
                            f"{name} is none of {', '.join(known)}",
                            "A figure whose origin or place is unknown cannot be checked.",
                            did_you_mean(name, known),
                            RANK_REFERENCE,
                        )
            setting = getattr(entry, "setting", None)
            for category in entry.categories:
                if setting and (setting, category) in seen:
                    report.add(
                        (section, at, "setting"),
                        f"{setting} of category {category} stands here twice",
                        "Nobody could tell which of the two holds.",
                        "Take one out.",
                        RANK_REFERENCE,
                    )
                seen.add((str(setting), category))


def _origin(entry: Figure) -> Origin:
    return Origin(entry.clause, tuple(entry.sources), entry.verified)


def _pair(allowed: list[float]) -> tuple[float, float]:
    low, high = allowed
    return low, high


def _built(file: CodeFile, category: str) -> Rules:
    rates = [each.hz_per_s for each in file.rocof if category in each.categories]
    return Rules(
        id=file.code.id,
        title=file.code.title,
        nominal_hz=file.code.nominal_hz,
        category=category,
        categories=tuple(file.code.categories),
        trips=tuple(
            TripRule(
                each.setting, each.quantity, each.threshold, _pair(each.threshold_allowed),
                each.time_s, _pair(each.time_allowed_s), _origin(each),
            )
            for each in file.trip
            if category in each.categories
        ),
        values=tuple(
            ValueRule(
                each.setting, each.meaning, each.unit, each.value, _pair(each.allowed),
                _origin(each),
            )
            for each in file.value
            if category in each.categories
        ),
        regions=tuple(
            Region(
                each.quantity, each.low, each.high, each.min_s, each.slope_s_per_pu, each.mode,
                _origin(each),
            )
            for each in file.ride_through
            if category in each.categories
        ),
        rocof_hz_per_s=rates[0] if rates else None,
        sources=tuple((each.id, each.what) for each in file.source),
    )  # fmt: skip
