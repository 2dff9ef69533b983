"""Packages that the controller does not need; a missing one is named with what installs it."""

from importlib import import_module
from typing import Any

from edgectl.errors import ReportError

PIP_LINE = "pip install 'edgectl[report]'"
PANGO = "apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def need(module: str, purpose: str) -> Any:
    """Import a package of the extra `report`.

    module    as it is imported
    purpose   what would be made with it

    Raises ReportError where it, or a library of the system under it, is missing.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ReportError(
            where=purpose,
            problem=f"the package {error.name} is not installed",
            because="The controller installs small; reports need more than it does.",
            remedy=f"Install it: {PIP_LINE}",
        ) from error
    except OSError as error:
        raise ReportError(
            where=purpose,
            problem=f"{module} cannot load a library of the system: {str(error).splitlines()[0]}",
            because="Pages are set by Pango, which pip does not install.",
            remedy=f"Install it: {PANGO}; or leave the PDF out: --only html,json,csv,xlsx",
        ) from error
