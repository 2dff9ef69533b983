"""Servers of other makers as children of a test, and what they hold."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import interop_server
import pytest
from pymodbus.client import ModbusTcpClient
from wire_rig import SETPOINT_ADDRESS

NODE_MODULES = Path(__file__).parents[1] / "build" / "peers" / "node_modules"  # of tools/peers
NODE_ENVIRONMENT = {**os.environ, "NODE_PATH": f"{NODE_MODULES}:{os.environ.get('NODE_PATH', '')}"}


def need(peer: str) -> None:
    """Skip, and say what is missing, where a peer is not installed."""
    if peer == "libmodbus":
        try:
            ctypes.CDLL(interop_server.LIBMODBUS)
        except OSError as error:
            pytest.skip(f"INTEROPERABILITY NOT TESTED: {error} (Debian package libmodbus5)")
    elif peer == "modbus-serial":
        if shutil.which("node") is None:
            pytest.skip("INTEROPERABILITY NOT TESTED: there is no node")
        found = subprocess.run(
            ["node", "-e", "require('modbus-serial')"],
            capture_output=True, check=False, env=NODE_ENVIRONMENT,
        )  # fmt: skip
        if found.returncode != 0:
            pytest.skip("INTEROPERABILITY NOT TESTED: no modbus-serial for node; run tools/peers")
    elif importlib.util.find_spec(peer) is None:
        pytest.skip(f"INTEROPERABILITY NOT TESTED: there is no Python package {peer}")


@contextmanager
def server(peer: str) -> Iterator[int]:
    """A peer's server in a child process; gives its port."""
    need(peer)
    command = [sys.executable, interop_server.__file__, peer]
    if peer == "modbus-serial":
        command = ["node", "-e", interop_server.NODE_SERVER, str(interop_server.free_port())]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=NODE_ENVIRONMENT
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            line = child.stdout.readline()
            assert line, f"{peer} ended before it listened"
            yield int(line)
        finally:
            child.stdin.close()
            try:
                child.wait(timeout=3.0)
            except subprocess.TimeoutExpired:
                child.kill()


def held_now(port: int, function: int, count: int) -> list[int]:
    """What the server holds after a write, as pymodbus' client reads it."""
    with ModbusTcpClient("127.0.0.1", port=port, timeout=3.0, retries=0) as client:
        if function in (5, 15):
            bits = client.read_coils(SETPOINT_ADDRESS, count=count, device_id=1).bits
            return [int(bit) for bit in bits[:count]]
        words = client.read_holding_registers(SETPOINT_ADDRESS, count=count, device_id=1).registers
        return list(words)
