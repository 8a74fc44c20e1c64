"""A server on loopback that says what a test gave it, and notes what it was sent."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec import Struct, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class ScriptedServer(Struct):
    """What was said to it."""

    port: int
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def scripted_server(lives: Sequence[Sequence[bytes]]) -> Iterator[ScriptedServer]:
    """Serves one connection after the other.

    Args:
        lives: the answers that each connection gives before the server closes it; empty bytes
            close it without an answer.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(10)
        server = ScriptedServer(listening.getsockname()[1])
        thread = threading.Thread(target=_serve, args=(server, listening, lives))
        thread.start()
        try:
            yield server
        finally:
            thread.join()


def _serve(
    server: ScriptedServer, listening: socket.socket, lives: Sequence[Sequence[bytes]]
) -> None:
    for answers in lives:
        connection, _ = listening.accept()
        connection.settimeout(10)
        server.connections += 1
        with connection:
            for answer in answers:
                server.requests.append(_request(connection))
                if answer:
                    connection.sendall(answer)


def _request(connection: socket.socket) -> bytes:
    """One request, by its Content-Length; what is there of it if the client goes away."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.startswith(b"Content-L")
        ]
        if end and len(body) >= sum(lengths):
            return data
        part = connection.recv(65_536)
        if not part:
            return data
        data += part
