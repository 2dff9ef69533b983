"""A broker of our own, on loopback, for the demo and the tests.

mosquitto where it is installed; else amqtt, which is a Python package and speaks
3.1.1 only. Either is a child process with its files in a temporary directory.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from edgectl.errors import BrokerError

HOST = "127.0.0.1"
START_S = 15.0
STOP_S = 5.0
POLL_S = 0.02


@dataclass(slots=True)
class Broker:
    """A running broker."""

    kind: str  # mosquitto or amqtt
    protocol: str  # the highest it speaks
    port: int
    process: subprocess.Popen[bytes]
    directory: tempfile.TemporaryDirectory[str]

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    def alive(self) -> bool:
        """It still runs."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End it and remove its files."""
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.directory.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str | None:
    """The program, also where sbin is not in the path."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def start_broker(port: int = 0, kind: str | None = None) -> Broker:
    """Start a broker and wait until it listens.

    port   of loopback; 0 takes a free one
    kind   mosquitto or amqtt; None takes mosquitto where installed

    Raises BrokerError where neither is installed or it does not come up.
    """
    port = port or free_port()
    if _listens(port):
        raise _failed(port, "another program listens there already", "Choose another port.")
    program = find_mosquitto() if kind in (None, "mosquitto") else None
    if kind == "mosquitto" and program is None:
        raise _failed(port, "mosquitto is not installed", "Install mosquitto, or use amqtt.")
    directory = tempfile.TemporaryDirectory(prefix="edgectl-broker-")
    log = Path(directory.name) / "broker.log"
    if program is not None:
        conf = Path(directory.name) / "mosquitto.conf"
        conf.write_text(
            f"listener {port} {HOST}\nallow_anonymous true\npersistence false\n"
            "log_dest stderr\nlog_type error\nlog_type warning\nset_tcp_nodelay true\n"
        )
        argv, name, protocol = [program, "-c", str(conf)], "mosquitto", "5"
    else:
        argv = [sys.executable, "-m", "edgectl.mqtt.embedded", str(port)]
        name, protocol = "amqtt", "3.1.1"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    broker = Broker(name, protocol, port, process, directory)
    deadline = time.monotonic() + START_S
    while not _listens(port):
        if not broker.alive() or time.monotonic() > deadline:
            said = log.read_text(errors="replace").strip()[-500:] or "nothing"
            broker.stop()
            raise _failed(port, f"{name} did not come up; it said: {said}", "Choose another port.")
        time.sleep(POLL_S)
    return broker


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((HOST, port)) == 0


def _failed(port: int, problem: str, remedy: str) -> BrokerError:
    return BrokerError(
        where=f"MQTT broker on {HOST}:{port}",
        problem=problem,
        because="Without a broker nobody outside sees the state; the ledger goes on.",
        remedy=remedy,
    )
