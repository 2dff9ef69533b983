"""A compiled Modbus TCP responder in a process of its own: one device a port.

    python -m edgectl.plant.responder --devices 64 --base-port 0

It prints one JSON line with its ports, then answers functions 3, 4, 6 and 16
until the pipe on its standard input closes or it is ended by a signal.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from edgectl.plant._peers import Behaviour, serve

HOST = "127.0.0.1"
BACKLOG = 16
START_TIMEOUT_S = 20.0


def listen(devices: int, base_port: int) -> list[socket.socket]:
    """Bind one loopback socket a device, at base_port and on; 0 lets the system choose.

    Raises OSError when a port is taken; none stays bound then.
    """
    listeners: list[socket.socket] = []
    try:
        for index in range(devices):
            listener = socket.socket()
            listeners.append(listener)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, base_port + index if base_port else 0))
            listener.listen(BACKLOG)
            listener.setblocking(False)
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


@dataclass(frozen=True, slots=True)
class Fault:
    """What one device does wrong."""

    device: int
    behaviour: Behaviour

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DEVICE=behaviour`, for example 3=silent."""
        device, _, name = text.partition("=")
        try:
            return cls(int(device), Behaviour[name.upper()])
        except (KeyError, ValueError):
            names = ", ".join(one.name.lower() for one in Behaviour)
            raise argparse.ArgumentTypeError(
                f"{text!r} is not DEVICE=BEHAVIOUR; the behaviours are {names}"
            ) from None

    def __str__(self) -> str:
        return f"{self.device}={self.behaviour.name.lower()}"


class ResponderProcess:
    """The responder as a child process; `ports` holds one port a device.

    devices  how many
    faults   what some of them do wrong; the others answer at once
    late_ms  ms by which a late device holds each reply back
    fifo_priority  SCHED_FIFO priority wanted, 0 for none: real devices do not slow
                   down because this machine is busy
    """

    def __init__(
        self,
        devices: int,
        faults: Sequence[Fault] = (),
        late_ms: int = 250,
        fifo_priority: int = 0,
    ) -> None:
        command = [sys.executable, "-m", "edgectl.plant.responder"]
        command += ["--devices", str(devices), "--late-ms", str(late_ms), "--until-stdin-closes"]
        command += ["--fifo-priority", str(fifo_priority)]
        for fault in faults:
            command += ["--fault", str(fault)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise OSError(f"the responder ended with code {self.process.wait()} before it listened")
        self.ports: list[int] = json.loads(line)["ports"]

    def stop(self) -> None:
        """Close its standard input and wait; a stopped process is ended by SIGKILL."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=2.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def main() -> None:
    """Serve until told to end."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, required=True)
    parser.add_argument("--base-port", type=int, default=0, help="0: any free ports")
    parser.add_argument("--late-ms", type=int, default=250)
    parser.add_argument("--fifo-priority", type=int, default=0, help="0: ordinary scheduling")
    parser.add_argument("--fault", type=Fault.parse, action="append", default=[])
    parser.add_argument("--until-stdin-closes", action="store_true")
    options = parser.parse_args()
    behaviours = [Behaviour.ANSWER] * options.devices
    for fault in options.fault:
        behaviours[fault.device] = fault.behaviour
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # the loop holds no Python to raise in
    if options.fifo_priority > 0:
        with suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(options.fifo_priority))
    listeners = listen(options.devices, options.base_port)
    ports = [listener.getsockname()[1] for listener in listeners]
    print(json.dumps({"ports": ports, "pid": os.getpid()}), flush=True)
    life_fd = sys.stdin.fileno() if options.until_stdin_closes else -1
    serve(
        [listener.fileno() for listener in listeners],
        behaviours,
        options.late_ms * 1_000_000,
        life_fd,
    )


if __name__ == "__main__":
    main()
