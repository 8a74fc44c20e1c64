"""Ports for servers that are started a moment later.

Not ports that the kernel chooses: those come from the range that it also gives to every outgoing
connection, and a cluster that starts makes hundreds of them, so one is soon taken again.
"""

import random
import socket

#: Above the ports that Ray gives to its workers (10,002 to 19,999), below those of Serve's replicas
#: (from 30,000) and of outgoing connections (from 32,768 on Linux).
_FIRST, _END = 20_000, 30_000


def free_ports(count: int) -> list[int]:
    """So many different ports at which nothing listens now, on any address of this machine."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(_FIRST, _END)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
