"""The site's record of proven stops: what each device really did when nobody spoke to it.

A TOML file beside the site file, written by `edgectl stoptest` and read by whoever wants to
arm. A proof belongs to one command and one register map: with another map it is void.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from edgectl.errors import Problem, SiteFileError
from edgectl.profiles import toml_text as toml
from edgectl.profiles.problems import RANK_VALUE, Report, schema_problems
from edgectl.profiles.schema import Milliseconds, Section, Text
from edgectl.site_model.model import Battery, Pv, Site
from edgectl.site_model.schema_types import Id, PositiveWatts, Tag

Outcome = Literal["to zero", "limit lifted", "kept its setpoint", "went elsewhere"]

NS_PER_MS = 1_000_000
SHA256_SHOWN = 12
HEAD = """\
# What each device of this site really did when the controller fell silent, and how fast.
# Written by edgectl stoptest; docs/commissioning.md says how to read and repeat it.
# A proof holds for the register map it was made with: another profile_sha256 makes it void.
"""


class StopProof(Section):
    """One [[stop]]: one device, silenced once. Watts are import and charge positive."""

    device: Id = Field(description="The device that was left alone.")
    command: Tag = Field(description="The command that was no longer written.")
    profile: Text = Field(description="The register map it was tested with.")
    profile_sha256: Text = Field(description="Another register map makes the proof void.")
    power_w: float = Field(description="What it had been commanded; a proof at 0 W proves nothing.")
    observed_through: Tag = Field(description="Where the power was seen.")
    independent: bool = Field(
        description="Whether another device than the silenced one saw it: what a converter says "
        "of itself is weaker."
    )
    mode: Literal["silent", "no_writes"] = Field(
        description="Nothing at all was sent to it, or only reads; a watchdog may count reads."
    )
    outcome: Outcome = Field(description="What it did by itself.")
    stop_ms: Milliseconds | None = Field(
        default=None,
        description="From the last write to the new power, which then stayed; absent if it never "
        "came.",
    )
    resolution_ms: Milliseconds = Field(
        description="The true time is at most so much shorter; it is never longer."
    )
    tolerance_w: PositiveWatts = Field(description="What counted as there.")
    last_power_w: float = Field(description="What was seen last, before it was written to again.")
    observed_ms: Milliseconds = Field(description="How long it was left alone and watched.")
    tested_utc: AwareDatetime = Field(description="When the silence began.")
    edgectl_version: Text = Field(description="What made the test.")
    by: Text = Field(description="Who made the test.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        moved = self.outcome in ("to zero", "limit lifted")
        if moved != (self.stop_ms is not None):
            raise ValueError(f'"{self.outcome}" {"needs a" if moved else "has no"} stop_ms')
        if self.stop_ms is not None and self.stop_ms > self.observed_ms:
            raise ValueError(f"it stopped after {self.stop_ms} ms, seen for {self.observed_ms} ms")
        return self

    @property
    def date(self) -> str:
        """Day of the test, UTC."""
        return self.tested_utc.astimezone(UTC).date().isoformat()


class ProofsFile(Section):
    """A whole record."""

    schema_: Literal["edgectl.proofs/1"] = Field(
        alias="schema", description="The form of the file has a version of its own."
    )
    stop: list[StopProof] = Field(default=[], description="One entry a device.")


@dataclass(frozen=True, slots=True)
class Unproven:
    """Why one battery or PV block must not be commanded; reason is a sentence with its numbers."""

    asset: str
    device: str
    reason: str

    def __str__(self) -> str:
        return f"{self.asset}: {self.reason}"


def seconds_text(ms: float) -> str:
    """A time as a person reads it, to the ms."""
    return f"{ms / 1000:g} s"


# ---- the file


def load_proofs(path: Path) -> tuple[StopProof, ...]:
    """The proofs of a record, one a device at most.

    Raises SiteFileError with every problem and its line; OSError where there is no such file.
    """
    try:
        text = toml.read_toml(path.name, path.read_text("utf-8"))
    except toml.BrokenTomlError as error:
        raise SiteFileError([error.problem]) from error
    except UnicodeDecodeError as error:
        raise SiteFileError([_not_text(path, error)]) from error
    report = Report(text)
    try:
        proofs = tuple(ProofsFile.model_validate(text.data).stop)
    except ValidationError as error:
        schema_problems(report, ProofsFile, error)
        raise SiteFileError(report.ordered()) from error
    devices = [each.device for each in proofs]
    for at, device in enumerate(devices):
        if device in devices[:at]:
            report.add(
                ("stop", at, "device"),
                f"{device} stands here twice",
                "Nobody could tell which of the two holds.",
                "Take the older one out.",
                RANK_VALUE,
            )
    if report.problems:
        raise SiteFileError(report.ordered())
    return proofs


def _not_text(path: Path, error: UnicodeDecodeError) -> Problem:
    return Problem(
        path.name,
        f"this is no UTF-8 text: {error.reason} at byte {error.start}",
        "A record that cannot be read proves nothing.",
        "Restore the file, or remove it and test again: edgectl stoptest.",
    )


def store_proof(path: Path, proof: StopProof) -> None:
    """Put one device's proof into a record in place of an older one; the others stay.

    The file is replaced in one step: a reader, or a crash, meets the old one or the new.
    Raises SiteFileError where the record there is broken, OSError where it cannot be written.
    """
    before = load_proofs(path) if path.exists() else ()
    kept = [each for each in before if each.device != proof.device]
    proofs = sorted([*kept, proof], key=lambda each: each.device)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(proofs_text(proofs))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def proofs_text(proofs: Iterable[StopProof]) -> str:
    """The record as TOML; load_proofs reads it back to the same."""
    lines = [HEAD, 'schema = "edgectl.proofs/1"']
    for proof in proofs:
        lines += ["", "[[stop]]"]
        fields = proof.model_dump(exclude_none=True)
        width = max(map(len, StopProof.model_fields))
        lines += [f"{name:{width}} = {_toml(value)}" for name, value in fields.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    """A value of the record in TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    assert isinstance(value, datetime), value
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# ---- what it allows


def unproven(site: Site) -> tuple[Unproven, ...]:
    """The batteries and PV of a site that must not be commanded, and why; empty: it may be armed.

    Never raises: a record that is missing or broken proves nothing, and says so.
    """
    if not site.batteries and not limited(site):
        return ()
    if site.proofs is None:
        return _none_of(site, "its stop was never proven: the site file names no record of proofs")
    try:
        proofs = {each.command: each for each in load_proofs(site.proofs)}
    except SiteFileError as error:
        return _none_of(site, f"the record of proofs is broken: {error.where}: {error.problem}")
    except OSError as error:
        why = error.strerror or type(error).__name__
        return _none_of(site, f"its stop was never proven: {site.proofs.name}: {why}")
    found = []
    for battery in site.batteries:
        reason = _reason(site, battery, proofs.get(battery.command))
        if reason:
            found.append(Unproven(battery.id, _device(battery.command), reason))
    for pv in site.pvs:
        if pv.limit is None:
            continue
        reason = _pv_reason(site, pv, _device(pv.limit), proofs.get(pv.limit))
        if reason:
            found.append(Unproven(pv.id, _device(pv.limit), reason))
    return tuple(found)


def limited(site: Site) -> tuple[tuple[str, str], ...]:
    """PV blocks that are limited, and the command that does it."""
    return tuple((pv.id, pv.limit) for pv in site.pvs if pv.limit is not None)


def _none_of(site: Site, reason: str) -> tuple[Unproven, ...]:
    commands = [*((each.id, each.command) for each in site.batteries), *limited(site)]
    return tuple(Unproven(asset, _device(command), reason) for asset, command in commands)


def _device(command: str) -> str:
    return command.partition(".")[0]


def _reason(site: Site, battery: Battery, proof: StopProof | None) -> str:
    """Why a battery is not proven; "" when it is."""
    device, budget_ms = _device(battery.command), battery.stop_budget_ns // NS_PER_MS
    if proof is None:
        return f"the stop of {device} was never proven"
    if void := _void(site, device, proof):
        return void
    if proof.stop_ms is None:
        return (
            f"{device} did not stop within {seconds_text(proof.observed_ms)} of silence on "
            f"{proof.date}: it {proof.outcome}, {proof.last_power_w:g} W"
        )
    if proof.outcome != "to zero":
        return f"the proof of {device} of {proof.date} is none of a stop: {proof.outcome}"
    if proof.stop_ms > budget_ms:
        return (
            f"{device} took {seconds_text(proof.stop_ms)} to stop on {proof.date}; the budget is "
            f"{seconds_text(budget_ms)}"
        )
    return ""


def stop_budgets_ms(site: Site) -> dict[str, int]:
    """How long what a command drives may take to stop by itself, of the commands that say so."""
    budgets_ns = {each.command: each.stop_budget_ns for each in site.batteries}
    for pv in site.pvs:
        if pv.limit is not None and pv.stop_budget_ns is not None:
            budgets_ns[pv.limit] = pv.stop_budget_ns
    return {command: budget_ns // NS_PER_MS for command, budget_ns in budgets_ns.items()}


def _pv_reason(site: Site, pv: Pv, device: str, proof: StopProof | None) -> str:
    """Why an inverter is not proven; "" when it is known what it does when nobody speaks to it.

    Where its block has a budget it must have gone to zero within that.
    """
    if proof is None:
        return f"what {device} does when it is no longer limited was never proven"
    if void := _void(site, device, proof):
        return void
    if proof.outcome == "went elsewhere":
        return (
            f"{device} neither kept nor lifted its limit in {seconds_text(proof.observed_ms)} of "
            f"silence on {proof.date}: it went elsewhere, {proof.last_power_w:g} W"
        )
    if pv.stop_budget_ns is None:
        return ""
    budget = f"the budget to zero is {seconds_text(pv.stop_budget_ns // NS_PER_MS)}"
    if proof.stop_ms is None or proof.outcome != "to zero":
        return f"{device} did not go to zero on {proof.date}: {proof.outcome}; {budget}"
    if proof.stop_ms * NS_PER_MS > pv.stop_budget_ns:
        return f"{device} took {seconds_text(proof.stop_ms)} to zero on {proof.date}; {budget}"
    return ""


def _void(site: Site, device: str, proof: StopProof) -> str:
    """Why a proof does not hold for the profile there is now; "" when it does."""
    profile = site.device(device).profile
    if (proof.profile, proof.profile_sha256) == (profile.name, profile.sha256):
        return ""
    return (
        f"the proof of {device} of {proof.date} is void: it was made with {proof.profile}, "
        f"sha256 {proof.profile_sha256[:SHA256_SHOWN]}; now it is {profile.name}, "
        f"{profile.sha256[:SHA256_SHOWN]}"
    )


def stop_text(site: Site, command: str) -> str:
    """What is proven of one command, in a line for people; a broken record says so."""
    device = command.partition(".")[0]
    missing = {each.device: each for each in unproven(site)}.get(device)
    if missing:
        return missing.reason
    try:
        proofs = {each.command: each for each in load_proofs(site.proofs)} if site.proofs else {}
    except (SiteFileError, OSError):
        proofs = {}
    proof = proofs.get(command)
    if proof is None:
        return "never silenced to see what it does"
    seen = f"seen by {proof.observed_through}" if proof.independent else "by its own word"
    if proof.stop_ms is None:
        return f"{proof.outcome} for {seconds_text(proof.observed_ms)} on {proof.date}, {seen}"
    budget = stop_budgets_ms(site)
    of = f" of {seconds_text(budget[command])}" if command in budget else ""
    what = "stop proven" if proof.outcome == "to zero" else proof.outcome
    return f"{what} {seconds_text(proof.stop_ms)}{of} on {proof.date}, {seen}"
