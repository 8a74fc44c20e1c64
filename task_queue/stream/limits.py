"""How much and how long one stream may take."""

from msgspec import Struct

#: Above what the other limits let come together in one call: a batch of 16 MiB over HTTP, the
#: results of a worker's slots.
_MAX_FRAME_BYTES = 1 << 29


class StreamLimits(Struct, frozen=True, kw_only=True):
    """The same numbers hold for both ends; tests make them small."""

    max_frame_bytes: int = _MAX_FRAME_BYTES
    #: Sending pauses above this much that the other end has not taken.
    pause_bytes: int = 4 * 1024 * 1024
    #: Who lets so much pile up, besides one long frame, is cut off.
    backlog_bytes: int = 64 * 1024 * 1024
    #: Calls of one connection that are not answered yet; more are refused.
    max_open_calls: int = 10_000
    connect_seconds: float = 3.0  #: from asking where the server is to the end of the handshake
    handshake_seconds: float = 5.0  #: that a server gives to a stranger
    heartbeat_seconds: float = 2.0
    #: Heartbeats in a row without a sign of life from the other end; then it counts as dead.
    silent_heartbeats: int = 4
