"""Serial ports for the bus: pyserial opens and sets them, the kernel owns what is open.

A port that vanishes (an adapter pulled out) is closed by the kernel; this finds
it wanted again and opens it as soon as it is back.
"""

import os
from collections.abc import Sequence
from contextlib import suppress

import serial
import structlog
from serial.rs485 import RS485Settings

from edgectl._kernel.fieldbus import FieldBus
from edgectl.events import emit
from edgectl.site_model import Line

PARITY = {"even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD, "none": serial.PARITY_NONE}

log = structlog.get_logger()


class SerialPorts:
    """The serial lines of a site, kept open for its bus."""

    def __init__(self, bus: FieldBus, lines: Sequence[Line | None]) -> None:
        """Open nothing yet.

        lines  of the bus's links in order, None where a link is none
        """
        self._bus = bus
        self._lines = lines
        self._said: dict[int, str] = {}

    def tend(self) -> None:
        """Open every port that the bus wants and that can be opened; say each change once."""
        for link in self._bus.ports_wanted():
            line = self._lines[link]
            assert line is not None, "the bus wants a port for a link that is no line"
            try:
                self._bus.offer_port(link, open_port(line))
            except (OSError, ValueError) as error:
                if self._said.get(link) != str(error):
                    emit(log, "line.port_failed", line=line.id, port=line.port, error=str(error))
                self._said[link] = str(error)
                continue
            emit(log, "line.port_opened", line=line.id, port=line.port, baud=line.baud)
            self._said.pop(link, None)


def open_port(line: Line) -> int:
    """File descriptor of a line's port: exclusive, non-blocking, set and drained.

    Raises OSError where it cannot be opened or is in use, ValueError where the port
    cannot do what the line asks.
    """
    port = serial.Serial(
        line.port, line.baud, parity=PARITY[line.parity], stopbits=line.stop_bits,
        timeout=0, write_timeout=0, exclusive=True,
    )  # fmt: skip
    try:
        if line.rs485:
            port.rs485_mode = RS485Settings()
        # FTDI adapters gather for 16 ms by default. A port that has no such mode refuses it with
        # ValueError, and its line says what it does instead: latency_ms.
        with suppress(ValueError):
            port.set_low_latency_mode(True)
        port.reset_input_buffer()
        descriptor = os.dup(port.fileno())  # the settings and the lock stay with it
        os.set_blocking(descriptor, False)
        return descriptor
    finally:
        port.close()
