"""What every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no fault of an example: no deadline. A failure prints how to have it again.
settings.register_profile("quick", deadline=None, print_blob=True)
settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("quick")  # ./tools/test --slow takes --hypothesis-profile=thorough


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root: the folder of pyproject.toml."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real traces beside the project, or where EDGECTL_SHARED points.

    Skips the test, loudly, where there is none: `pytest -ra` lists it.
    """
    place = Path(os.environ.get("EDGECTL_SHARED", ROOT.parent / "shared")).resolve()
    if not (place / "data").is_dir():
        pytest.skip(
            f"REAL DATA NOT TESTED: {place} has no folder data; EDGECTL_SHARED may name another"
        )
    return place


@pytest.fixture(scope="session")
def shared_data(shared: Path) -> Path:
    """The folder `data` of the shared traces: ci, weather, cpu and so on."""
    return shared / "data"
