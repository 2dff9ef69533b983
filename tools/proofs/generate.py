"""The generated C: written by setup.py's own function, and held against what was compiled."""

import contextlib
import hashlib
import importlib.util
import json
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
PLACE = ROOT / "build" / "proofs"


def generated(module: str) -> Path:
    """Where translate writes the C of a module of the kernel."""
    return PLACE / "c" / "ext" / f"{module.rpartition('.')[2]}.c"


def setup_script() -> ModuleType:
    """setup.py as a module; its paths start at the project's root."""
    specification = importlib.util.spec_from_file_location("edgectl_setup", ROOT / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    setup = importlib.util.module_from_spec(specification)
    with contextlib.chdir(ROOT):
        specification.loader.exec_module(setup)
    return setup


def translate(modules: Iterable[str], place: Path = PLACE / "c", **options: bool) -> None:
    """Write the C of these modules with the directives that setup.py builds them with.

    place    folder below which it is written
    options  for cythonize, beside those of every build
    """
    setup = setup_script()
    with contextlib.chdir(ROOT):
        setup.translate(sorted(set(modules)), str(place.relative_to(ROOT)), **options)


def translate_one(module: str, source: Path) -> Path:
    """Write the C of another source in a module's place, beside that source; its path.

    Raises what Cython raises for a source that it refuses.
    """
    setup = setup_script()
    setup.sources[module] = source.relative_to(ROOT)
    with contextlib.chdir(ROOT):
        source.with_suffix(".c").unlink(missing_ok=True)
        setup.translate([module], None)
    return source.with_suffix(".c")


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def compiled_from(module: str) -> str | None:
    """SHA-256 of the C that the module in the tree was compiled from; None if nobody recorded it.

    setup.py leaves a record beside the objects; it counts only for the very file it names.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    built = ROOT.joinpath(*module.split(".")).with_suffix(suffix)
    if not built.exists():
        return None
    mine = sha256(built)
    for path in (ROOT / "build").glob(f"temp.*/{module}.made.json"):
        record = json.loads(path.read_text())
        if record["so_sha256"] == mine:
            return str(record["c_sha256"])
    return None
