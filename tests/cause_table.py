"""The cause-and-effect table as a person reads it from the TOML: what each row must do.

Made from the site file and the catalogue's templates as text, and from nothing that edgectl
loads or compiles, so that what the kernel does is held against what was written.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "catalogue": ROOT / "tests" / "data" / "catalogue-42.toml",
    "demo": ROOT / "edgectl" / "sites" / "demo.toml",
    "texas": ROOT / "edgectl" / "sites" / "texas-100mw.toml",
}
ON_STORAGE = (
    "hold", "limit_charge", "limit_discharge", "derate", "block_command", "inhibit_charge",
    "inhibit_discharge", "ramp_to_zero", "zero",
)  # fmt: skip
WORST_LAST = (
    "alarm", "hold", "limit_charge", "limit_discharge", "limit_import", "derate", "refuse_shed",
    "shed", "block_command", "inhibit_charge", "inhibit_discharge", "ramp_to_zero", "zero",
    "open_request", "safe_state",
)  # fmt: skip
Table = dict[str, Any]


@dataclass(frozen=True)
class Cause:
    """op: above below equals not_equals limit bad."""

    tag: str
    op: str
    on: float
    off: float


@dataclass(frozen=True)
class Effect:
    """asset: None where it means every battery, or none; value: ratio, or tier."""

    action: str
    asset: str | None
    value: float


@dataclass(frozen=True)
class Monitor:
    """level: of the key that carries the inputs' unit."""

    id: str
    kind: str
    inputs: tuple[str, ...]
    window_s: float
    either_way: bool
    below: bool
    level: float
    capacity_j: float
    limit_w: int
    curve: str
    multiplier: float


@dataclass(frozen=True)
class Row:
    """One row; at: its place in the table."""

    site: str
    at: int
    id: str
    number: str
    group: str
    on_bad: str
    vote: int
    on_delay_ms: int
    off_delay_ms: int
    discrepancy_ms: int
    reset: str
    lockout_trips: int
    lockout_window_s: int
    bypass: str
    causes: tuple[Cause, ...]
    effects: tuple[Effect, ...]

    @property
    def limit(self) -> Cause | None:
        """The cause whose value a limit row clamps to."""
        return self.causes[0] if self.causes[0].op == "limit" else None

    @property
    def latches(self) -> bool:
        """It waits for a person once its cause is gone."""
        return self.reset != "auto"

    def votes(self, says: Mapping[int, bool | None]) -> bool:
        """Whether it trips by what each cause says, None being bad: a bad one counts under trip."""
        bad = self.on_bad == "trip"
        return sum(bad if each is None else each for each in says.values()) >= self.vote


@cache
def site_table(site: str) -> Table:
    """The site file as parsed text."""
    return tomllib.loads(FILES[site].read_text(encoding="utf-8"))


@cache
def library() -> dict[str, Table]:
    """Templates by id, as parsed text."""
    folder = ROOT / "edgectl" / "site_model" / "catalogue"
    files = (tomllib.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.toml"))
    return {each["id"]: each for file in files for each in file["template"]}


@cache
def table_of(site: str) -> tuple[Row, ...]:
    """All rows of a site, in their order."""
    data = site_table(site)
    return tuple(_row(site, at, each, data) for at, each in enumerate(data["interlock"]))


@cache
def all_rows() -> tuple[Row, ...]:
    """The rows of every site."""
    return tuple(row for site in FILES for row in table_of(site))


@cache
def distinct_rows() -> tuple[Row, ...]:
    """all_rows without those that another site has in the same words on the same profiles."""
    found: dict[tuple[object, ...], Row] = {}
    for row in all_rows():
        profiles = {each["id"]: each["profile"] for each in site_table(row.site)["device"]}
        tags = [cause.tag.partition(".")[0] for cause in row.causes]
        key = (replace(row, site="", at=0), *(profiles.get(tag) for tag in tags))
        found.setdefault(key, row)
    return tuple(found.values())


@cache
def monitors_of(site: str) -> dict[str, Monitor]:
    """All monitors of a site by id, its own and those that rows bring."""
    data = site_table(site)
    found = [_monitor(each) for each in data.get("monitor", [])]
    for row in data["interlock"]:
        if "monitor" in row:
            template = library()[row["use"]].get("monitor", {}) if "use" in row else {}
            found.append(_monitor(template | {"id": row["id"]} | row["monitor"]))
    return {each.id: each for each in found}


def _monitor(keys: Table) -> Monitor:
    stems = ("least_", "on_above_", "above_", "below_", "pickup_")
    measured = [key for key in keys if key.startswith(stems)]
    return Monitor(
        id=keys["id"],
        kind=keys["kind"],
        inputs=tuple(keys["inputs"]),
        window_s=keys.get("window_s", 0.0),
        either_way=keys.get("either_way", False),
        below=any(key.startswith("below_") for key in measured),
        level=float(keys[measured[0]]) if measured else 0.0,
        capacity_j=keys.get("capacity_j", 1.0),
        limit_w=keys.get("limit_w", 0),
        curve=keys.get("curve", ""),
        multiplier=keys.get("multiplier", 1.0),
    )


def _row(site: str, at: int, own: Table, data: Table) -> Row:
    template = library()[own["use"]]["row"] if "use" in own else {}
    row = template | own
    causes = tuple(_causes(own, template, row, data))
    lockout = row.get("lockout", {"trips": 0, "window_s": 0})
    return Row(
        site=site,
        at=at,
        id=own["id"],
        number=own.get("catalogue") or own.get("use", "")[:3],
        group=row.get("group", own.get("asset")),
        on_bad=row["on_bad_quality"],
        vote=_vote(row.get("vote", "1oo1"), len(causes)),
        on_delay_ms=row["on_delay_ms"],
        off_delay_ms=row["off_delay_ms"],
        discrepancy_ms=row.get("discrepancy_ms", 0),
        reset=row["reset"],
        lockout_trips=lockout["trips"],
        lockout_window_s=lockout["window_s"],
        bypass=row["bypass"],
        causes=causes,
        effects=tuple(_effects(own, row, data)),
    )


def _vote(text: str, causes: int) -> int:
    return {"any": 1, "all": causes}.get(text) or int(text.partition("oo")[0])


def _causes(own: Table, template: Table, row: Table, data: Table) -> Iterator[Cause]:
    """Condition by condition: what the site writes stands over the template's."""
    before = template.get("causes") or [template.get("cause", {})]
    given = own.get("causes") or ([own["cause"]] if "cause" in own else [])
    tags = own.get("tags") or ([own["tag"]] if "tag" in own else [])
    if "monitor" in own and not tags:
        tags = [f"{own['id']}.value"]
    count = len(given) if "causes" in own else max(len(tags), len(before))
    if len(before) == 1:
        before = before * count
    if len(given) == 1:
        given = given * count
    for at in range(count):
        old = before[at] if at < len(before) else {}
        new = given[at] if given else {}
        condition = old | new if _form(old) in ("", _form(new)) or not _form(new) else new
        tag = tags[at] if tags else condition["tag"]
        yield _cause(tag, condition, row, data)


def _form(condition: Table) -> str:
    """Which of the six forms a condition has, "" for none yet."""
    for key in condition:
        stem = key.partition("_")[0]
        if key in ("equals", "not_equals", "limit", "bad"):
            return key
        if stem in ("above", "below"):
            return stem
    return ""


def _cause(tag: str, condition: Table, row: Table, data: Table) -> Cause:
    form = _form(condition)
    if form in ("equals", "not_equals"):
        return Cause(tag, form, float(condition[form]), float(condition[form]))
    if form == "limit":
        rating = _rating_w(row, data)
        return Cause(tag, form, rating, rating)
    if form == "bad":
        return Cause(tag, form, 0.0, 0.0)
    other = "reset_below" if form == "above" else "reset_above"
    on = next(value for key, value in condition.items() if key.startswith(f"{form}_"))
    off = next(value for key, value in condition.items() if key.startswith(f"{other}_"))
    return Cause(tag, form, float(on), float(off))


def _rating_w(row: Table, data: Table) -> float:
    """The rating that a limit is under when it bites: of the batteries it clamps."""
    action = (row.get("effect") or row["effects"][0])["action"]
    key = "charge_rating_w" if action == "limit_charge" else "discharge_rating_w"
    asset = row.get("asset")
    return float(max(each[key] for each in data["battery"] if asset in (None, each["id"])))


def _effects(own: Table, row: Table, data: Table) -> Iterator[Effect]:
    if "effect" in own:
        effects = [own["effect"]]
    elif "effects" in own:
        effects = own["effects"]
    else:
        effects = row.get("effects") or [row["effect"]]
    tiers = len(data.get("flexible", {}).get("tiers_ratio", [1.0]))
    for each in effects:
        action = each["action"]
        asset = each.get("asset", own.get("asset")) if action in ON_STORAGE else None
        value = each.get("to_ratio", 0.0)
        yield Effect(action, asset, float(each.get("tier", tiers)) if action == "shed" else value)
