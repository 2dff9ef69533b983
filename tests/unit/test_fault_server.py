"""The scripted device leaves nothing behind: what it accepts it closes."""

import socket
import threading

import pytest

from edgectl.plant.fault_server import HOST, Fault, FaultServer, Step

pytestmark = pytest.mark.untraced  # the rig of other tests
PATIENCE_S = 10.0


def test_a_connection_that_is_only_being_accepted_as_it_stops_is_closed() -> None:
    """A socket left open is warned of in whichever test is running when it is collected."""
    server, held = FaultServer().start(), threading.Event()
    server._loop.call_soon_threadsafe(held.wait)
    with socket.create_connection((HOST, server.port), PATIENCE_S) as client:
        server._loop.call_soon_threadsafe(server._stop.set)
        held.set()
        server.stop()
        assert client.recv(1) == b""


def test_a_reply_that_is_still_to_come_does_not_keep_it_from_stopping() -> None:
    with (
        FaultServer(reads=[Step(Fault.LATE, 3600.0)]) as server,
        socket.create_connection((HOST, server.port), PATIENCE_S) as client,
    ):
        client.sendall(bytes.fromhex("0001 0000 0006 01 03 0000 0001"))
        while not server.requests:
            threading.Event().wait(0.001)
        server.stop()
        assert client.recv(1) == b""
