"""One request again and again over several keep-alive connections, with as little work as possible.

The Python client takes longer for a request than the queue does; this takes some ten microseconds.
"""

import asyncio
import time
from typing import cast
from urllib.parse import urlsplit

import uvloop
from msgspec import Struct

_CREATED = b"HTTP/1.1 201 "
_LENGTH = b"content-length: "
_MOST_SECONDS = 120


class Answered(Struct, frozen=True):
    """What came of it."""

    seconds: float
    latencies: list[float]  #: seconds of each request


def post(url: str, path: str, body: bytes, connections: int, count: int) -> Answered:
    """Send `count` requests in all, each connection the next one as soon as it has an answer.

    Raises:
        RuntimeError: an answer was not 201, or a connection was cut.
        TimeoutError: it takes minutes.
    """
    return uvloop.run(_post(url, path, body, connections, count))


async def _post(url: str, path: str, body: bytes, connections: int, count: int) -> Answered:
    address = urlsplit(url)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    load = _Load(head.encode() + body, count)
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(
            lambda: _Connection(load), address.hostname or "", address.port or 80
        )
    began = time.perf_counter()
    for connection in load.open:
        connection.send()
    async with asyncio.timeout(_MOST_SECONDS):
        await load.over
    return Answered(time.perf_counter() - began, load.latencies)


class _Load:
    """What the connections share."""

    def __init__(self, request: bytes, count: int) -> None:
        self.request = request
        self.left = count
        self.count = count
        self.latencies: list[float] = []
        self.open: list[_Connection] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, reason: str) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(reason))


class _Connection(asyncio.Protocol):
    """Has at most one request under way."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._received = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._load.open.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"a connection was cut: {exc}")

    def send(self) -> None:
        """Send the next request, if there is one."""
        if self._load.left > 0:
            self._load.left -= 1
            self._began = time.perf_counter()
            self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = _end_of_answer(self._received)
        if end is None or len(self._received) < end:
            return
        load = self._load
        if not self._received.startswith(_CREATED):
            load.fail(self._received.decode(errors="replace"))
            return
        load.latencies.append(time.perf_counter() - self._began)
        self._received = self._received[end:]
        if len(load.latencies) == load.count:
            load.over.set_result(None)
        self.send()


def _end_of_answer(received: bytes) -> int | None:
    """Where the first answer ends; None: its headers are not complete."""
    headers, found, _ = received.partition(b"\r\n\r\n")
    if not found:
        return None
    length = headers.lower().partition(_LENGTH)[2].split(b"\r\n", 1)[0]
    return len(headers) + 4 + int(length)
