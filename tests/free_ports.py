"""Ports of loopback that a test may give to a process of its own."""

import fcntl
import os
import socket
import tempfile
from itertools import count
from pathlib import Path
from typing import IO

HOST = "127.0.0.1"
FIRST, LAST = 18_000, 32_000  # below what the kernel hands out itself for port 0 and for clients
BLOCK = 500  # more than the tests of one process ask for while their servers come up
_locks: list[IO[str]] = []  # open for as long as this process lives


def _own_block() -> int:
    """First port of a block that no other test process has, by a lock that ends with us.

    Two processes that search one range give the same port to two servers, where the first of
    these is not yet listening as the second process looks.
    """
    for first in range(FIRST, LAST, BLOCK):
        path = Path(tempfile.gettempdir()) / f"edgectl-test-ports-{os.getuid()}-{first}"
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _locks.append(lock)
        return first
    raise OSError(f"{(LAST - FIRST) // BLOCK} test processes have all blocks of ports")


_next = count()
_first: list[int] = []


def free_ports(wanted: int) -> list[int]:
    """Ports where nobody listens, each given out again only after all others of the block.

    A port that was bound to 0 and closed again may go to any connection of a test beside this one
    before the process it was meant for takes it; these go to nobody who does not ask for them.
    """
    if not _first:
        _first.append(_own_block())
    found: list[int] = []
    for _ in range(BLOCK):
        port = _first[0] + next(_next) % BLOCK
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == wanted:
            return found
    raise OSError(f"of the ports {_first[0]} to {_first[0] + BLOCK} fewer than {wanted} are free")
