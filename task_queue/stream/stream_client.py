"""The client's end: one connection, made when it is needed and made anew when it was lost."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import ClientHandshake, stream_key
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import ANSWER, UNAVAILABLE, CallFailed, StreamLost
from task_queue.stream.peer import Payload, Peer

_CALL_IDS = 1 << 32


class StreamClient:
    """Calls over one stream. Belongs to the event loop in which it was made."""

    def __init__(
        self,
        find: Callable[[], Awaitable[Endpoint]],
        secret: bytes,
        tls: ssl.SSLContext | None = None,
        limits: StreamLimits | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            find: says where the server is now, for each connection that is made.
        """
        self._find = find
        self._secret = secret
        self._tls = tls
        self._limits = limits or StreamLimits()
        self._peer: ClientPeer | None = None
        self._connecting: asyncio.Task[ClientPeer] | None = None

    async def call(self, kind: int, payload: Payload) -> memoryview:
        """Ask, and return the payload of the answer.

        Raises:
            StreamLost: there is no connection, or it was lost before the answer came.
            SchedulerUnavailable: the server said so.
            CallFailed: the server could not do it, or the payload is too long.
        """
        peer = self._peer
        if peer is None or peer.closed:
            peer = await self._connected()
        if not peer.fits(payload):
            allowed = self._limits.max_frame_bytes
            raise CallFailed(f"the call has {len(payload)} bytes: {allowed} are allowed")
        if peer.paused:
            await peer.writable()
        return await peer.call(kind, payload)

    @property
    def heard_at(self) -> float:
        """When the server gave its last sign of life, by the loop's clock; 0.0 if never."""
        return 0.0 if self._peer is None else self._peer.heard_at

    @property
    def paused(self) -> bool:
        """Whether calls wait because the server does not take what was sent."""
        return self._peer is not None and self._peer.paused

    async def close(self, grace_seconds: float = 1.0) -> None:
        """End the connection when what was sent is there; open calls raise StreamLost."""
        if self._connecting is not None:
            self._connecting.cancel()
        peer = self._peer
        if peer is not None and not peer.closed:
            peer.finish("it was closed")
            done, _ = await asyncio.wait({peer.left}, timeout=grace_seconds)
            if not done:
                peer.abort()

    async def _connected(self) -> "ClientPeer":
        """A new connection, shared by all who want one now."""
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.get_running_loop().create_task(self._connect())
            self._connecting.add_done_callback(_look_at)
        # Whoever gives up waiting does not take the connection away from the others.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> "ClientPeer":
        loop = asyncio.get_running_loop()
        peer: ClientPeer | None = None
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                endpoint = await self._find()
                key = stream_key(self._secret, endpoint.nonce)
                _, peer = await loop.create_connection(
                    lambda: ClientPeer(key, self._limits), endpoint.host, endpoint.port,
                    ssl=self._tls,
                )  # fmt: skip
                await asyncio.shield(peer.ready)
        except TimeoutError as error:
            if peer is not None:
                peer.cut("it was too slow")
            seconds = self._limits.connect_seconds
            raise StreamLost(f"no connection within {seconds:g} s", sent=False) from error
        except OSError as error:
            raise StreamLost(f"cannot connect: {error}", sent=False) from error
        self._peer = peer
        return peer


def _look_at(task: "asyncio.Task[ClientPeer]") -> None:
    """An error is for those who wait; if they have all gone away, it is nobody's."""
    if not task.cancelled():
        task.exception()


class ClientPeer(Peer):
    """The client's end of one stream."""

    def __init__(self, key: bytes, limits: StreamLimits) -> None:
        super().__init__(limits)
        self.ready = self._loop.create_future()  #: done when the handshake is
        self.left = self._loop.create_future()  #: done when the connection is over
        self._handshake = ClientHandshake(key)
        self._calls: dict[int, asyncio.Future[memoryview]] = {}
        self._last_id = 0
        self._room: asyncio.Future[None] | None = None  #: done when sending may go on

    def call(self, kind: int, payload: Payload) -> "asyncio.Future[memoryview]":
        """Send a call; the future gets its answer."""
        future: asyncio.Future[memoryview] = self._loop.create_future()
        if self.closed:
            future.set_exception(StreamLost(self.reason, sent=False))
            return future
        self._last_id = call_id = (self._last_id + 1) % _CALL_IDS
        self._calls[call_id] = future
        self.send(call_id, kind, payload)
        return future

    async def writable(self) -> None:
        """Wait until the server takes what was sent."""
        while self.paused and not self.closed:
            if self._room is None or self._room.done():
                self._room = self._loop.create_future()
            await asyncio.shield(self._room)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._make_room()

    def greet(self, frame: bytes) -> None:
        answer = self._handshake.answer(frame)
        if answer is not None:
            self.greeting(answer)
            return
        self.welcome()
        if not self.ready.done():
            self.ready.set_result(None)

    def received(self, call_id: int, kind: int, payload: memoryview) -> None:
        future = self._calls.pop(call_id, None)
        if future is None or future.done():
            return  # its caller has gone away
        if kind == ANSWER:
            future.set_result(payload)
        elif kind == UNAVAILABLE:
            future.set_exception(SchedulerUnavailable(str(payload, "utf-8", "replace")))
        else:
            future.set_exception(CallFailed(str(payload, "utf-8", "replace")))

    def gone(self) -> None:
        calls, self._calls = self._calls, {}
        for future in calls.values():
            if not future.done():
                future.set_exception(StreamLost(self.reason, sent=True))
        if not self.ready.done():
            self.ready.set_exception(StreamLost(f"refused: {self.reason}", sent=False))
            self.ready.exception()  # whoever waited may have given up
        self._make_room()
        if not self.left.done():
            self.left.set_result(None)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
