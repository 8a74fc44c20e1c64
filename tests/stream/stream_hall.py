"""Servers and clients in one process, and ends that do not behave."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from struct import pack
from typing import Any, TypeVar

from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import ClientHandshake, ServerHandshake, stream_key
from task_queue.stream.limits import StreamLimits
from task_queue.stream.stream_client import StreamClient
from task_queue.stream.stream_server import StreamServer

T = TypeVar("T")

ECHO, HOLD, SIZED, AWAY, BROKEN = 1, 2, 3, 4, 5
SECRET, NONCE = b"token", b"nonce"
KEY = stream_key(SECRET, NONCE)
_DEADLINE_SECONDS = 30.0


class StreamHall:
    """Makes ends and ends them."""

    def __init__(self) -> None:
        self.held = 0  #: HOLD calls that have come
        self.cancelled = 0  #: and those that ended because their caller went away
        self.release = asyncio.Event()  #: lets them be answered
        self.cuts: list[tuple[str, str]] = []
        self.troubles: list[BaseException] = []
        self.finds = 0  #: times that a client asked where the server is
        self.may_find = asyncio.Event()  #: clear: nobody says where the server is
        self.may_find.set()
        self.endpoint = Endpoint("127.0.0.1", 0, NONCE)
        self._ends: list[Callable[[], Coroutine[Any, Any, None]]] = []

    async def serve(
        self, limits: StreamLimits | None = None, tls: ssl.SSLContext | None = None
    ) -> StreamServer:
        """A server, which clients find from now on."""
        handlers = {
            ECHO: self._echo, HOLD: self._hold, SIZED: self._sized, AWAY: self._away,
            BROKEN: self._broken,
        }  # fmt: skip
        server = StreamServer(
            handlers, KEY, tls, limits,
            on_cut=lambda peer, reason: self.cuts.append((peer, reason)),
            on_trouble=lambda _what, error: self.troubles.append(error),
        )  # fmt: skip
        self.endpoint = Endpoint("127.0.0.1", await server.listen("127.0.0.1"), NONCE)
        self._ends.append(server.close)
        return server

    def client(
        self,
        limits: StreamLimits | None = None,
        secret: bytes = SECRET,
        tls: ssl.SSLContext | None = None,
    ) -> StreamClient:
        client = StreamClient(self.find, secret, tls, limits)
        self._ends.append(client.close)
        return client

    async def find(self) -> Endpoint:
        self.finds += 1
        await self.may_find.wait()
        return self.endpoint

    async def strange_server(
        self, behave: Callable[["Raw"], Coroutine[Any, Any, None]]
    ) -> Endpoint:
        """A server that does what the test says; clients find it from now on."""
        raws: list[Raw] = []

        async def behave_and_close(r: asyncio.StreamReader, w: asyncio.StreamWriter) -> None:
            raws.append(Raw(r, w))
            try:
                await behave(raws[-1])
            except (ConnectionError, asyncio.IncompleteReadError):
                return
            finally:
                w.transport.abort()

        server = await asyncio.start_server(behave_and_close, "127.0.0.1", 0)

        async def end() -> None:
            server.close()
            for raw in raws:
                raw.writer.transport.abort()

        self._ends.append(end)
        port = server.sockets[0].getsockname()[1]
        self.endpoint = Endpoint("127.0.0.1", port, NONCE)
        return self.endpoint

    async def raw(self, receive_buffer_bytes: int | None = None) -> "Raw":
        """A connection to the server that has said nothing."""
        own = socket.socket()
        if receive_buffer_bytes is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        own.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(own, (self.endpoint.host, self.endpoint.port))
        raw = Raw(*await asyncio.open_connection(sock=own, limit=1 << 10))

        async def end() -> None:
            raw.writer.transport.abort()

        self._ends.append(end)
        return raw

    async def close(self) -> None:
        self.release.set()
        for end in reversed(self._ends):
            await end()
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn

    # ---- what the server does --------------------------------------------------------------

    async def _echo(self, payload: memoryview) -> bytes:
        return bytes(payload)

    async def _hold(self, payload: memoryview) -> bytes:
        self.held += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return bytes(payload)

    async def _sized(self, payload: memoryview) -> bytes:
        return bytes(int(bytes(payload)))

    async def _away(self, payload: memoryview) -> bytes:
        raise SchedulerUnavailable("the store is away")

    async def _broken(self, payload: memoryview) -> bytes:
        raise KeyError("lost")


class Raw:
    """A connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def frame(self) -> bytes:
        """The next frame that the other end sent."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            length = int.from_bytes(await self.reader.readexactly(4))
            return await self.reader.readexactly(length)

    def write(self, payload: bytes) -> None:
        self.writer.write(len(payload).to_bytes(4) + payload)

    def write_call(self, call_id: int, kind: int, payload: bytes = b"") -> None:
        self.write(pack(">IB", call_id, kind) + payload)

    async def be_client(self, key: bytes = KEY) -> None:
        """The client's end of the handshake."""
        handshake = ClientHandshake(key)
        proof = handshake.answer(await self.frame())
        assert proof is not None
        self.write(proof)
        assert handshake.answer(await self.frame()) is None

    async def be_server(self, key: bytes = KEY) -> None:
        """The server's end of the handshake."""
        handshake = ServerHandshake(key)
        self.write(handshake.opening())
        self.write(handshake.answer(await self.frame()))

    async def until_cut(self) -> bytes:
        """What still comes until the other end has closed the connection."""
        async with asyncio.timeout(_DEADLINE_SECONDS):
            read = b""
            try:
                while data := await self.reader.read(1 << 16):
                    read += data
            except ConnectionError:
                return read
            return read


def background(call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A call that is not waited for yet."""
    return asyncio.get_running_loop().create_task(call)


async def until(condition: Callable[[], bool]) -> None:
    """Until the condition holds; fails after a few seconds."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)
