"""What every test may use."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, settings
from witness import tried

ROOT = Path(__file__).resolve().parent.parent

# A busy machine is no fault of an example: neither deadline nor check of how long one takes to
# make. A failure prints how to have it again. The verdict on a tree is the same at every run; what
# nobody has thought of yet is for the thorough profile to find, which draws anew each time.
CALM = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", CALM, derandomize=True, database=None)
settings.register_profile("thorough", CALM, derandomize=False, max_examples=1000)
settings.load_profile("quick")  # ./tools/test --slow takes --hypothesis-profile=thorough


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test marked wire beside a witness."""
    if item.get_closest_marker("wire") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in tried(lambda: runtestprotocol(item, log=False, nextitem=nextitem)):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.fixture(autouse=True, scope="session")
def data_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What a command leaves where no directory was named goes elsewhere than into the tree.

    Segments stay in memory, but not where a controller of this machine has its own, nor another
    process of the tests: two controllers of one site refuse each other.
    """
    os.environ["EDGECTL_DATA_DIR"] = str(tmp_path_factory.mktemp("edgectl-data"))
    with tempfile.TemporaryDirectory(prefix="edgectl-tests-", dir="/dev/shm") as segments:
        os.environ["EDGECTL_SHM_DIR"] = segments
        yield


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
