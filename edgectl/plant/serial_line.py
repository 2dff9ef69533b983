"""A serial line of the campus: Modbus RTU devices of pymodbus behind a pseudo-terminal.

The line's port in the site file becomes a symbolic link to the pseudo-terminal, so that a
controller opens it as it opens an adapter. Characters take the time that they take at the
line's speed; parity, framing errors and the 3.5 characters of silence do not exist here.
"""

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import SimDevice

from edgectl.errors import PlantError
from edgectl.site_model.model import Line

PSEUDO_TERMINALS = Path("/dev/pts")
READ_BYTES = 1024
SPEEDS = slice(4, 6)  # of what termios.tcgetattr gives
NOBODYS_SPEED = [termios.B50, termios.B50]


class PtyTransport(asyncio.Transport):
    """The master's end of a pseudo-terminal as asyncio knows a transport.

    Its slave's end is held open as well: without that a pseudo-terminal hangs up whenever
    a controller closes its port, and an adapter does not.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, char_s: float) -> None:
        """Make the pair; raises OSError where the system has none left.

        protocol  pymodbus' handler of one connection
        char_s    s that one character takes
        """
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._char_s = char_s
        self._heard = 0
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.slave = Path(os.ttyname(self._slave))
        loop.add_reader(self._master, self._read)
        loop.call_soon(protocol.connection_made, self)

    def _read(self) -> None:
        data = os.read(self._master, READ_BYTES)
        self._heard += len(data)
        self._forget_speed()
        self._protocol.data_received(data)

    def _forget_speed(self) -> None:
        """Leave the next controller something to set when it opens the port.

        A pseudo-terminal takes no parity, and to set nothing else is refused as invalid: a
        second controller of the same speed and even parity could not open it.
        """
        settings = termios.tcgetattr(self._slave)
        if settings[SPEEDS] != NOBODYS_SPEED:
            settings[SPEEDS] = NOBODYS_SPEED
            termios.tcsetattr(self._slave, termios.TCSANOW, settings)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a reply once the request's and its own characters have had their time."""
        characters, self._heard = self._heard + len(data), 0
        self._loop.call_later(characters * self._char_s, self._put, bytes(data))

    def _put(self, data: bytes) -> None:
        if self._master >= 0:
            with contextlib.suppress(BlockingIOError):  # nobody takes it: lost, as on a wire
                os.write(self._master, data)

    def close(self) -> None:
        """Hang up: whoever has the port open is told so."""
        if self._master >= 0:
            self._loop.remove_reader(self._master)
            os.close(self._master)
            os.close(self._slave)
            self._master = self._slave = -1


class _Units(ServerRequestHandler):
    """pymodbus' handler, silent for units that are not on the line, late for slow ones."""

    server: "_RtuServer"

    async def handle_request(self) -> None:
        asked = self.last_pdu
        if asked is None or asked.dev_id not in self.server.delays_s:
            return
        await asyncio.sleep(self.server.delays_s[asked.dev_id])
        self.last_pdu = asked  # the next request may have come while this one waited
        await super().handle_request()  # type: ignore[no-untyped-call]


class _RtuServer(ModbusSerialServer):
    """pymodbus' RTU server on a pseudo-terminal of ours in place of a port of pyserial's."""

    def __init__(self, line: Line, devices: list[SimDevice], delays_s: dict[int, float]) -> None:
        super().__init__(devices, framer=FramerType.RTU, port=line.port, baudrate=line.baud)
        self.delays_s = delays_s
        self._char_s = line.char_ns * 1e-9
        self.call_create = self._open

    async def _open(self) -> tuple[PtyTransport, ServerRequestHandler]:
        handler = self.callback_new_connection()
        return PtyTransport(self.loop, handler, self._char_s), handler

    def callback_new_connection(self) -> ServerRequestHandler:
        """A handler for the one master of the line."""
        return _Units(self, None, None, None)  # type: ignore[no-untyped-call]


class SerialLine:
    """The simulated devices of one `[[line]]`, in the running asyncio loop.

    delays_s  s by which each unit holds its replies back; may be changed at any time
    """

    def __init__(self, line: Line, devices: Iterable[SimDevice]) -> None:
        """Make nothing yet.

        devices  one a unit
        """
        self.line = line
        self._devices = list(devices)
        self.delays_s = {device.id: 0.0 for device in self._devices}
        self._server: _RtuServer | None = None

    async def start(self) -> None:
        """Make the pseudo-terminal and the link to it at the line's port.

        Raises PlantError where something else stands there, or no link can be made;
        nothing is left open.
        """
        port = Path(self.line.port)
        server = _RtuServer(self.line, self._devices, self.delays_s)
        try:
            await server.serve_forever(background=True)
            if _is_left_over(port):
                port.unlink()
            port.symlink_to(_slave_of(server))
        except (OSError, RuntimeError) as error:
            await server.shutdown()  # type: ignore[no-untyped-call]
            raise PlantError(
                where=f"{self.line.id} at {port}",
                problem=f"no link to a pseudo-terminal can be made there: {error}",
                because="A simulated line must not take the place of a real port or a file.",
                remedy="Give the line of a simulated site a port of its own, such as "
                f"/tmp/{self.line.id.lower()}; remove what an earlier plant left there.",
            ) from error
        self._server = server

    async def stop(self) -> None:
        """Hang up and remove the link, if it is still ours; once stopped this does nothing."""
        server, self._server = self._server, None
        if server is None:
            return
        port = Path(self.line.port)
        if port.is_symlink() and port.readlink() == _slave_of(server):
            port.unlink()
        await server.shutdown()  # type: ignore[no-untyped-call]


def _slave_of(server: _RtuServer) -> Path:
    assert isinstance(server.transport, PtyTransport)
    return server.transport.slave


def _is_left_over(port: Path) -> bool:
    """Whether it is a link to a pseudo-terminal that is gone: what a killed plant leaves."""
    return port.is_symlink() and port.readlink().parent == PSEUDO_TERMINALS and not port.exists()
