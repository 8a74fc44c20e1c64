"""One end of a stream: frames, sending without piling up, heartbeats: what both kinds have.

A frame is a call id (four bytes), a kind (one byte) and a payload. All frames of one turn of the
event loop leave in one write. Both ends send a heartbeat every few seconds, so that a host that
vanished, or a process that was stopped, is noticed without waiting for TCP.
"""

import asyncio
import socket
from abc import abstractmethod
from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import cast

from task_queue.stream.frame_cutter import LENGTH, FrameCutter, FrameTooLong
from task_queue.stream.handshake import MAX_HANDSHAKE_BYTES, HandshakeFailed
from task_queue.stream.limits import StreamLimits

#: Length, call id, kind; the length counts what comes after it.
_HEAD = Struct(">IIB")
_CALL = Struct(">IB")
_HEARTBEAT = 0

Payload = bytes | memoryview


class Peer(asyncio.Protocol):
    """What a server's and a client's end share."""

    def __init__(self, limits: StreamLimits) -> None:
        self.limits = limits
        self.closed = False  #: nothing is read or sent any more
        self.reason = "it was closed by the other end"  #: why it is closed
        self.paused = False  #: the other end takes less than is sent
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._cutter = FrameCutter(MAX_HANDSHAKE_BYTES)
        self._greeted = False
        self._outbox: list[Payload] = []
        self._timer: asyncio.TimerHandle | None = None
        self.heard_at = self._loop.time()  #: when the other end gave its last sign of life
        self._silence = 0  #: heartbeats since the last sign of life
        self._longest = 0  #: bytes of the longest part sent since nothing waited
        self._written = 0  #: bytes given to the transport so far
        self._unsent = 0  #: of them, those that it still had at the last heartbeat
        self._taken = 0  #: and those that it had passed on

    # ---- for the two kinds of end ----------------------------------------------------------

    @abstractmethod
    def greet(self, frame: bytes) -> None:
        """A frame of the handshake; raises HandshakeFailed."""

    @abstractmethod
    def received(self, call_id: int, kind: int, payload: memoryview) -> None:
        """A frame, after the handshake."""

    @abstractmethod
    def gone(self) -> None:
        """The connection is over."""

    def opened(self) -> None:
        """The connection is there; the handshake can begin."""

    def welcome(self) -> None:
        """The handshake is over: calls may come."""
        self._greeted = True
        self._cutter.max_frame_bytes = self.limits.max_frame_bytes
        self._set_timer(self.limits.heartbeat_seconds, self._beat)

    def greeting(self, payload: bytes) -> None:
        """Send a frame of the handshake."""
        self._transport.write(LENGTH.pack(len(payload)) + payload)

    # ---- sending ---------------------------------------------------------------------------

    def send(self, call_id: int, kind: int, payload: Payload) -> None:
        """Send a frame, together with all others of this turn of the loop."""
        if self.closed:
            return
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(_HEAD.pack(_CALL.size + len(payload), call_id, kind))
        if payload:
            self._outbox.append(payload)

    def fits(self, payload: Payload) -> bool:
        """Whether a payload is short enough for a frame."""
        return len(payload) + _CALL.size <= self.limits.max_frame_bytes

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if self.closed:
            return
        waiting = self._transport.get_write_buffer_size()
        # That one long frame takes its time is not the other end's fault.
        if waiting > self.limits.backlog_bytes + self._longest:
            self.cut(f"{waiting} bytes wait for it, and it does not read them")
            return
        longest = max(map(len, outbox), default=0)
        self._longest = max(longest, self._longest) if waiting else longest
        self._written += sum(map(len, outbox))
        self._transport.writelines(outbox)

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False

    # ---- receiving -------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._silence = 0
        self.heard_at = self._loop.time()
        try:
            frames = self._cutter.feed(data)
            for frame in frames:
                if self.closed:
                    return
                if self._greeted:
                    call_id, kind = _CALL.unpack_from(frame)
                    if kind != _HEARTBEAT:
                        self.received(call_id, kind, frame[_CALL.size :])
                else:
                    self.greet(bytes(frame))
        except (FrameTooLong, HandshakeFailed) as error:
            self.cut(str(error))
        except StructError as error:
            self.cut(f"a frame is too short: {error}")

    # ---- life ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self.limits.pause_bytes)
        endpoint = transport.get_extra_info("socket")
        endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._set_timer(self.limits.handshake_seconds, self._too_slow)
        self.opened()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None and not self.closed:
            self.reason = f"the connection was lost: {exc}"
        self.closed = True
        self._outbox.clear()
        if self._timer is not None:
            self._timer.cancel()
        self.gone()

    def cut(self, reason: str) -> None:
        """End the connection at once; what was not sent is lost."""
        if not self.closed:
            self.closed = True
            self.reason = reason
            self._transport.abort()

    def finish(self, reason: str) -> None:
        """End the connection when all that was sent is with the other end."""
        if not self.closed:
            self._flush()
            self.closed = True
            self.reason = reason
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once, even if it is being finished."""
        self.closed = True
        self._transport.abort()

    @property
    def address(self) -> str:
        """The other end, for people."""
        name = self._transport.get_extra_info("peername")
        return f"{name[0]}:{name[1]}" if name else "unknown"

    # ---- heartbeats ------------------------------------------------------------------------

    def _beat(self) -> None:
        unsent = self._transport.get_write_buffer_size()
        taken = self._written - unsent
        # An end that is busy taking a long frame may have no time to say anything.
        moved = self._unsent > 0 and taken > self._taken
        self._unsent, self._taken = unsent, taken
        self._silence = 0 if moved else self._silence + 1
        if self._silence > self.limits.silent_heartbeats:
            seconds = self._silence * self.limits.heartbeat_seconds
            self.cut(f"no sign of life for {seconds:g} s")
            return
        if not unsent:
            self.send(0, _HEARTBEAT, b"")
        self._set_timer(self.limits.heartbeat_seconds, self._beat)

    def _too_slow(self) -> None:
        self.cut(f"no handshake within {self.limits.handshake_seconds:g} s")

    def _set_timer(self, seconds: float, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, then)
