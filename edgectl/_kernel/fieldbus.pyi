"""The Modbus master over a kernel's image."""

from enum import IntEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from edgectl._kernel.kernel import Kernel

class LinkKind(IntEnum):
    LINK_TCP = 0
    LINK_SERIAL = 1

class FirmwareDecode(IntEnum):
    FIRMWARE_NONE = 0
    FIRMWARE_WORDS = 1
    FIRMWARE_BYTES = 2
    FIRMWARE_NIBBLES = 3
    FIRMWARE_TEXT = 4

class LinkState(IntEnum):
    LINK_DOWN = 0
    LINK_CONNECTING = 1
    LINK_SETTLING = 2
    LINK_READY = 3
    LINK_WAITING = 4

class RequestKind(IntEnum):
    REQUEST_PROBE = 0
    REQUEST_READ = 1
    REQUEST_WRITE = 2
    REQUEST_SYNC = 3

class FieldBus:
    """The master over a kernel's image."""

    def __new__(
        cls,
        kernel: Kernel,
        links: NDArray[np.void],
        devices: NDArray[np.void],
        probes: NDArray[np.void],
    ) -> Self: ...
    def run(self, origin_ns: int, fifo_priority: int, cpu: int) -> None: ...
    def open(self, origin_ns: int) -> None: ...
    def poll(self, until_ns: int) -> None: ...
    def stop(self) -> None: ...
    def offer_port(self, link: int, fd: int) -> None: ...
    def ports_wanted(self) -> list[int]: ...
    def mute(self, device: int, level: int) -> None: ...
    def link_states(self) -> list[LinkState]: ...
    @property
    def transactions(self) -> int: ...
