"""Ports for tests: nobody is given what another has."""

import socket
import subprocess
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from free_ports import HOST, free_ports

TESTS = Path(__file__).resolve().parent.parent
ASK = "from free_ports import free_ports; print(*free_ports(40), flush=True); input()"


def test_no_two_processes_are_given_the_same_port() -> None:
    given = free_ports(40)
    with ExitStack() as stack:
        for _ in range(3):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", ASK], cwd=TESTS, stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                )
            )  # fmt: skip
            assert process.stdout is not None
            given += [int(port) for port in process.stdout.readline().split()]
    assert len(given) == len(set(given)) == 160


def test_a_port_where_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr("free_ports._next", count(port))
    with socket.create_server((HOST, port)):
        assert free_ports(1) != [port]
    monkeypatch.setattr("free_ports._next", count(port))
    assert free_ports(1) == [port]
