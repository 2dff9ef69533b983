"""Build of the compiled kernel and plant. Everything else stands in pyproject.toml."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

KERNEL = (
    "clock", "modbus", "rtu", "identity", "exchange", "link", "fieldbus", "process_image",
    "quality", "blocks", "overload", "demand", "monitor", "authority", "interlock", "proof",
    "curtail", "dispatch", "commit", "totalizer", "inventory", "network", "carbon", "integrity",
    "journal", "record", "scan", "kernel", "layout",
)  # fmt: skip
PLANT = ("equipment", "physics", "simulate", "peers", "link_bench", "tripper")

trace = os.environ.get("EDGECTL_TRACE") == "1"  # line coverage of nogil code
check = trace or os.environ.get("EDGECTL_CHECK") == "1"  # bounds checks on
annotate = os.environ.get("EDGECTL_ANNOTATE") == "1"  # HTML for tools/scan_report.py
link_only = os.environ.get("EDGECTL_LINK_ONLY") == "1"  # tools/setup builds in place by itself
build_dir = None if trace else "build/annotate" if annotate else "build/cython"
# (a trace build leaves its .c beside the .pyx, where Cython.Coverage looks for it)

headers = [str(p) for p in Path("edgectl").glob("**/*.pxd")]
sources = {f"edgectl._kernel.{name}": Path(f"ext/{name}.pyx") for name in KERNEL}
sources |= {f"edgectl.plant._{name}": Path(f"ext/plant/{name}.pyx") for name in PLANT}


def generated_c_is_stale(place: str | None, names: Iterable[str]) -> bool:
    """Cython does not track a .pxd that is not beside its .pyx; a stale struct would result."""
    newest = max(os.path.getmtime(header) for header in headers)
    generated = [Path(place or ".", sources[name]).with_suffix(".c") for name in names]
    return any(c.exists() and c.stat().st_mtime < newest for c in generated)


macros = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if trace else []


def translate(names: Iterable[str], place: str | None, **options: bool) -> list[Extension]:
    """Write the C of these modules below place; tools/proofs proves what this writes.

    options  for cythonize, beside those of every build
    """
    names = list(names)
    made: list[Extension] = cythonize(
        [
            Extension(
                name,
                [str(sources[name])],
                depends=headers,
                define_macros=macros,
                extra_compile_args=[
                    "-O1" if trace else "-O2",
                    "-Wall",
                    "-fno-fast-math",
                    "-ffp-contract=off",
                ],
            )
            for name in names
        ],
        force=generated_c_is_stale(place, names),
        build_dir=place,
        annotate=annotate,
        compiler_directives={
            "language_level": 3,
            "boundscheck": check,
            "initializedcheck": check,
            "wraparound": False,
            "cdivision": True,
            "freethreading_compatible": True,
            "embedsignature": True,
            "linetrace": trace,
        },
        **options,
    )
    return made


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class BuildAndRecord(build_ext):
    """Keeps, for each module, the SHA-256 of the C it was compiled from and of the result."""

    def build_extension(self, ext: Extension) -> None:
        record = Path(self.build_temp, f"{ext.name}.made.json")
        if not record.exists():
            self.force = True  # compiled before there was a record: from which C, nobody knows
        compiled = self.get_ext_fullpath(ext.name)
        before = os.stat(compiled).st_mtime_ns if os.path.exists(compiled) else None
        super().build_extension(ext)
        if os.stat(compiled).st_mtime_ns != before:
            record.parent.mkdir(parents=True, exist_ok=True)
            (c,) = ext.sources
            record.write_text(json.dumps({"c_sha256": sha256(c), "so_sha256": sha256(compiled)}))


if __name__ == "__main__":
    setup(
        packages=[*find_packages(include=["edgectl", "edgectl.*"]), "edgectl.firmware_profiles"],
        ext_modules=[] if link_only else translate(sources, build_dir),
        cmdclass={"build_ext": BuildAndRecord},
    )
