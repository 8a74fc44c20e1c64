"""A port of the loopback interface that nobody listens on."""

import socket


def free_port() -> int:
    """One that the kernel chose. It may be taken again before it is used, but not soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
