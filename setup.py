"""Build of the compiled kernel and plant. Everything else stands in pyproject.toml."""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup

KERNEL = (
    "clock", "modbus", "rtu", "exchange", "link", "fieldbus", "process_image", "quality", "blocks",
    "interlock", "proof", "dispatch", "commit", "totalizer", "carbon", "journal", "record", "scan",
    "kernel", "layout",
)  # fmt: skip
PLANT = ("equipment", "physics", "simulate", "peers")

trace = os.environ.get("EDGECTL_TRACE") == "1"  # line coverage of nogil code
check = trace or os.environ.get("EDGECTL_CHECK") == "1"  # bounds checks on
annotate = os.environ.get("EDGECTL_ANNOTATE") == "1"  # HTML for tools/scan_report.py
link_only = os.environ.get("EDGECTL_LINK_ONLY") == "1"  # tools/setup builds in place by itself
build_dir = None if trace else "build/annotate" if annotate else "build/cython"
# (a trace build leaves its .c beside the .pyx, where Cython.Coverage looks for it)

headers = [str(p) for p in Path("edgectl").glob("**/*.pxd")]
sources = {f"edgectl._kernel.{name}": Path(f"ext/{name}.pyx") for name in KERNEL}
sources |= {f"edgectl.plant._{name}": Path(f"ext/plant/{name}.pyx") for name in PLANT}


def generated_c_is_stale() -> bool:
    """Cython does not track a .pxd that is not beside its .pyx; a stale struct would result."""
    newest = max(os.path.getmtime(header) for header in headers)
    generated = [Path(build_dir or ".", path).with_suffix(".c") for path in sources.values()]
    return any(c.exists() and c.stat().st_mtime < newest for c in generated)


macros = [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if trace else []
setup(
    packages=[*find_packages(include=["edgectl", "edgectl.*"]), "edgectl.firmware_profiles"],
    ext_modules=[]
    if link_only
    else cythonize(
        [
            Extension(
                name,
                [str(path)],
                depends=headers,
                define_macros=macros,
                extra_compile_args=[
                    "-O1" if trace else "-O2",
                    "-Wall",
                    "-fno-fast-math",
                    "-ffp-contract=off",
                ],
            )
            for name, path in sources.items()
        ],
        force=generated_c_is_stale(),
        build_dir=build_dir,
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
    ),
)
