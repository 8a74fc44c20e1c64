"""The server's end of all streams: a task of the event loop for each call, answers in any order."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping

from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.stream.handshake import ServerHandshake
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import ANSWER, FAILED, UNAVAILABLE
from task_queue.stream.peer import Payload, Peer

#: Answers a call of one kind. What it raises reaches the caller: SchedulerUnavailable as such.
Handler = Callable[[memoryview], Awaitable[bytes]]

_BACKLOG = 1_024  #: connections that the kernel keeps while the event loop is busy


class StreamServer:
    """Serves calls to whoever knows the key."""

    def __init__(
        self,
        handlers: Mapping[int, Handler],
        key: bytes,
        tls: ssl.SSLContext | None = None,
        limits: StreamLimits | None = None,
        on_cut: Callable[[str, str], None] = lambda _peer, _reason: None,
        on_trouble: Callable[[str, BaseException], None] = lambda _what, _error: None,
    ) -> None:
        """Nothing is bound yet.

        Args:
            handlers: by the number of the call, from 1 on.
            on_cut: told the address of a peer that was cut off, and why.
            on_trouble: told what went wrong in a handler that must not.
        """
        self.handlers = handlers
        self.key = key
        self.limits = limits or StreamLimits()
        self.on_cut = on_cut
        self.on_trouble = on_trouble
        self.peers: set[ServerPeer] = set()
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def listen(self, host: str) -> int:
        """Listen at a free port of `host`, and return it.

        Raises:
            OSError: it is no address of this machine.
        """
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ServerPeer(self), host, 0, ssl=self._tls, backlog=_BACKLOG,
            ssl_handshake_timeout=self.limits.handshake_seconds if self._tls else None,
        )  # fmt: skip
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self, grace_seconds: float = 1.0) -> None:
        """Listen no more, give open calls `grace_seconds` to be answered, end all streams."""
        if self._server is not None:
            self._server.close()
            self._server = None
        calls = {call for peer in self.peers for call in peer.calls}
        if calls:
            await asyncio.wait(calls, timeout=grace_seconds)
        for peer in list(self.peers):
            peer.finish("the server is closed")
        leaving = {peer.left for peer in self.peers}
        if leaving:
            await asyncio.wait(leaving, timeout=grace_seconds)
        for peer in list(self.peers):
            peer.abort()


class ServerPeer(Peer):
    """The server's end of one stream."""

    def __init__(self, server: StreamServer) -> None:
        super().__init__(server.limits)
        self.calls: set[asyncio.Task[None]] = set()
        self.left = self._loop.create_future()  #: done when the connection is over
        self._server = server
        self._handshake = ServerHandshake(server.key)

    def opened(self) -> None:
        self._server.peers.add(self)
        self.greeting(self._handshake.opening())

    def greet(self, frame: bytes) -> None:
        self.greeting(self._handshake.answer(frame))
        self.welcome()

    def received(self, call_id: int, kind: int, payload: memoryview) -> None:
        if len(self.calls) >= self.limits.max_open_calls:
            text = f"{len(self.calls)} calls of this connection are not answered yet: wait for them"
            self.send(call_id, UNAVAILABLE, text.encode())
            return
        call = self._loop.create_task(self._answer(call_id, kind, payload))
        self.calls.add(call)
        call.add_done_callback(self.calls.discard)

    def pause_writing(self) -> None:
        """Who does not take its answers may ask nothing more."""
        super().pause_writing()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._transport.resume_reading()

    def cut(self, reason: str) -> None:
        if not self.closed:
            self._server.on_cut(self.address, reason)
        super().cut(reason)

    def gone(self) -> None:
        self._server.peers.discard(self)
        for call in self.calls:
            call.cancel()
        if not self.left.done():
            self.left.set_result(None)

    async def _answer(self, call_id: int, kind: int, payload: memoryview) -> None:
        outcome, answer = await self._handle(kind, payload)
        if not self.fits(answer):
            text = f"the answer has {len(answer)} bytes: {self.limits.max_frame_bytes} are allowed"
            outcome, answer = FAILED, text.encode()
        self.send(call_id, outcome, answer)

    async def _handle(self, kind: int, payload: memoryview) -> tuple[int, Payload]:
        handler = self._server.handlers.get(kind)
        if handler is None:
            return FAILED, f"there is no call of kind {kind}".encode()
        try:
            return ANSWER, await handler(payload)
        except SchedulerUnavailable as error:
            return UNAVAILABLE, str(error).encode()
        except Exception as error:  # noqa: BLE001  one bad call must not end the others
            self._server.on_trouble(f"a call of kind {kind} failed", error)
            return FAILED, repr(error).encode()
