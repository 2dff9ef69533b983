"""Ports of loopback that a test may give to a process of its own."""

import os
import socket
from itertools import count

HOST = "127.0.0.1"
FIRST, LAST = 18_000, 32_000  # below what the kernel hands out itself for port 0 and for clients
STRIDE = 61  # keeps test processes that were started one after the other apart
_next = count(os.getpid() * STRIDE)


def free_ports(wanted: int) -> list[int]:
    """Ports where nobody listens, none of them given out before by this process.

    A port that was bound to 0 and closed again may go to any connection of a test beside this one
    before the process it was meant for takes it; these go to nobody who does not ask for them.
    """
    found: list[int] = []
    for _ in range(LAST - FIRST):
        port = FIRST + next(_next) % (LAST - FIRST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == wanted:
            return found
    raise OSError(f"of the ports {FIRST} to {LAST} fewer than {wanted} are free")
