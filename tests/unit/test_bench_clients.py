"""The clients of a bench: each alone in its process, and none that fails goes unnoticed."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_ports

from edgectl.cli.bench_child import Asked
from edgectl.cli.bench_clients import CLIENTS, ClientProcess, MissingClientError
from edgectl.cli.bench_tables import blocks_of
from edgectl.errors import EdgectlError
from edgectl.plant._peers import Behaviour
from edgectl.plant.fault_server import Fault as WireFault
from edgectl.plant.fault_server import FaultServer, Step
from edgectl.plant.responder import Fault, ResponderProcess

pytestmark = pytest.mark.wire

PERIOD_NS = 20_000_000
CLOSED_LOOP = 0


@pytest.fixture(scope="module")
def responder() -> Iterator[ResponderProcess]:
    faults = [Fault(device, kind) for device, kind in enumerate(Behaviour)]
    with ResponderProcess(len(faults), faults) as process:
        yield process


def one_device(responder: ResponderProcess, behaviour: Behaviour = Behaviour.ANSWER) -> Asked:
    """Ten registers of the device with a behaviour, over and over."""
    return Asked((responder.ports[behaviour],), (10,), CLOSED_LOOP)


@pytest.mark.parametrize("name", sorted(CLIENTS.keys() - {"libmodbus"}))
def test_every_lap_of_a_client_is_counted_by_itself(responder: ResponderProcess, name: str) -> None:
    with ClientProcess(name, one_device(responder)) as client:
        first, second = client.lap(0.05), client.lap(0.05)
    for lap in (first, second):
        assert lap.transactions > 0
        assert 0 < lap.cpu_ns <= lap.wall_ns + 1_000_000


@pytest.mark.parametrize("name", ["edgectl_several", "floor_several"])
def test_a_client_that_can_has_as_many_requests_on_their_way_as_asked(name: str) -> None:
    with FaultServer(reads=[Step(WireFault.LATE, 0.005)] * 100) as server:
        asked = Asked((server.port,), (10,), CLOSED_LOOP, outstanding=5)
        with ClientProcess(name, asked) as client:
            assert client.lap(0.3).transactions > 0
        assert max(len(each.beside) for each in server.requests) == 5 - 1


@pytest.mark.parametrize(("registers", "rounds"), [(10, 1), (250, 3)])
def test_floor_and_pymodbus_ask_as_often_as_the_kernel_would(registers: int, rounds: int) -> None:
    sizes = tuple(blocks_of(registers))
    assert len(sizes) == rounds
    costs = {}
    with ResponderProcess(3) as responder:
        asked = Asked(tuple(responder.ports), sizes, PERIOD_NS)
        for name in ("floor", "pymodbus"):
            with ClientProcess(name, asked) as client:
                costs[name] = client.lap(0.2)
    assert {cost.transactions for cost in costs.values()} == {3 * rounds * 10}
    assert 0 < costs["floor"].cpu_us < costs["pymodbus"].cpu_us


@pytest.mark.parametrize(("name", "found"), [("pymodbus", "pymodbus"), ("floor", "")])
def test_a_process_holds_its_client_and_nothing_that_another_needs(name: str, found: str) -> None:
    module, _ = CLIENTS[name]
    code = f"import sys, edgectl.cli.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = {each for each in done.stdout.split() if each.startswith("edgectl.")}
    allowed = {"edgectl.cli", "edgectl.cli.bench_child", f"edgectl.cli.{module}"}
    if name == "floor":
        allowed |= {"edgectl.plant", "edgectl.plant._peers"}
    assert ours == allowed
    assert "numpy" not in done.stdout.split()


def test_a_client_that_is_not_installed_is_missing_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, responder: ResponderProcess
) -> None:
    package = tmp_path / "pymodbus"
    package.mkdir()
    (package / "__init__.py").write_text('raise ModuleNotFoundError("No module named it")\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MissingClientError, match="No module named it"):
        ClientProcess("pymodbus", one_device(responder))


@pytest.mark.parametrize(
    ("name", "behaviour", "said"),
    [
        ("floor", Behaviour.SILENT, "did not answer the floor client"),
        ("floor", Behaviour.RESET, "did not answer the floor client"),
        ("pymodbus", Behaviour.RESET, "did not answer pymodbus"),
        ("edgectl", Behaviour.SILENT, "not one reply came in 0.2 s"),
    ],
)
def test_a_device_that_does_wrong_is_one_message_of_its_client(
    responder: ResponderProcess, name: str, behaviour: Behaviour, said: str
) -> None:
    with (
        pytest.raises(EdgectlError, match=said) as caught,
        ClientProcess(name, one_device(responder, behaviour)) as client,
    ):
        client.lap(0.2)
    assert "Traceback" not in str(caught.value)
    assert caught.value.where == f"bench client {name}"


def test_a_server_that_is_not_there_is_one_message() -> None:
    asked = Asked(tuple(free_ports(1)), (10,), CLOSED_LOOP)
    with pytest.raises(EdgectlError, match="refused"):
        ClientProcess("floor", asked)
    with pytest.raises(EdgectlError, match="pymodbus could not connect to every device"):
        ClientProcess("pymodbus", asked)


def test_a_client_that_is_killed_says_by_which_signal(responder: ResponderProcess) -> None:
    with ClientProcess("floor", one_device(responder)) as client:
        client.process.kill()
        client.process.wait()
        with pytest.raises(EdgectlError, match="killed by signal 9"):
            client.lap(0.01)


def test_a_client_that_dies_of_a_bug_leaves_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, responder: ResponderProcess
) -> None:
    (tmp_path / "struct.py").write_text("raise RuntimeError('not the struct you know')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EdgectlError, match="ended with status 1: RuntimeError: not the struct"):
        ClientProcess("floor", one_device(responder))


def test_a_client_ends_with_whoever_started_it(responder: ResponderProcess) -> None:
    code = (
        "from edgectl.cli.bench_child import Asked\n"
        "from edgectl.cli.bench_clients import ClientProcess\n"
        f"client = ClientProcess('floor', Asked(({responder.ports[0]},), (10,), 0))\n"
        "print(client.process.pid, flush=True)\n"
        "client.process.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = os.pidfd_open(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    ended, _, _ = select.select([child], [], [], 5.0)
    os.close(child)
    assert ended, "the client outlives a bench that was killed"
