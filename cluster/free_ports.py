"""Ports for servers that are started a moment later.

Not ports that the kernel chooses: those come from the range that it also gives to every outgoing
connection, and a cluster that starts makes hundreds of them, so one is soon taken again.
"""

import random
import socket
from collections.abc import Collection

#: Above the ports that Ray gives to its workers (10,002 to 19,999), below those of Serve's replicas
#: (from 30,000) and of outgoing connections (from 32,768 on Linux).
_FIRST, _END = 20_000, 30_000


#: Those that this process was given already; what they are for may not be there yet.
_given: set[int] = set()


def free_ports(count: int, besides: Collection[int] = ()) -> list[int]:
    """So many different ports at which nothing listens now, on any address of this machine.

    None is given twice to one process.

    Args:
        besides: none of these, which something is about to listen at.
    """
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(_FIRST, _END)
        if port not in _given and port not in besides and _is_free(port):
            _given.add(port)
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True
