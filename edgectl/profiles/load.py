"""Profiles from their files: find, read, check, compile."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

import edgectl
from edgectl.errors import Problem, ProfileError
from edgectl.profiles.build import build_profile
from edgectl.profiles.check import check_profile
from edgectl.profiles.model import Profile
from edgectl.profiles.problems import RANK_REFERENCE, Report, did_you_mean, schema_problems
from edgectl.profiles.schema import ProfileFile
from edgectl.profiles.toml_text import BrokenTomlError, read_toml


def profiles_root() -> Traversable:
    """Directory of the shipped profiles, installed or in a source tree."""
    try:
        return resources.files("edgectl.firmware_profiles")
    except ModuleNotFoundError:
        return Path(edgectl.__file__).resolve().parents[1] / "firmware_profiles"


def profile_names() -> list[str]:
    """Names of all shipped profiles, as a site file writes them: class/vendor-model."""
    return sorted(_names(profiles_root(), ""))


def _names(directory: Traversable, prefix: str) -> Iterator[str]:
    for entry in directory.iterdir():
        if entry.is_dir():
            yield from _names(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".toml"):
            yield f"{prefix}{entry.name.removesuffix('.toml')}"


def load_profile(name: str, beside: Path | None = None) -> Profile:
    """Load and check one profile.

    name    of a shipped profile, class/vendor-model, or a path that ends in .toml
    beside  directory that a relative path starts from; the current one by default

    Raises ProfileError with all of the file's problems.
    """
    if name.endswith(".toml"):
        file: Traversable = (beside or Path()) / name
    else:
        file = profiles_root().joinpath(f"{name}.toml")
    if not file.is_file():
        raise ProfileError([_missing(name)])
    return parse_profile(name, file.read_bytes())


def _missing(name: str) -> Problem:
    if name.endswith(".toml"):
        return Problem(
            name,
            "there is no such file",
            "A name that ends in .toml is a path; a site's starts beside the site file.",
            "Correct the path. What ships with edgectl has no .toml: edgectl profile list",
            RANK_REFERENCE,
        )
    return Problem(
        f"profile {name}",
        "there is no such profile",
        "Without a register map nothing of the device can be read or written.",
        f"{did_you_mean(name, profile_names())} All of them: edgectl profile list",
        RANK_REFERENCE,
    )


@cache
def parse_profile(name: str, content: bytes) -> Profile:
    """Check and compile the content of a profile file; `name` is how errors call it.

    Raises ProfileError with all of the file's problems.
    """
    label = name if name.endswith(".toml") else f"{name}.toml"
    try:
        text = read_toml(label, content.decode("utf-8"))
    except BrokenTomlError as error:
        raise ProfileError([error.problem]) from error
    report = Report(text)
    try:
        parsed = ProfileFile.model_validate(text.data)
    except ValidationError as error:
        schema_problems(report, ProfileFile, error)
        raise ProfileError(report.ordered()) from error
    check_profile(report, parsed)
    if report.problems:
        raise ProfileError(report.ordered())
    return build_profile(name, hashlib.sha256(content).hexdigest(), parsed)
