"""What travels between a worker and its executor children, and how it is cut into frames.

A frame is four bytes of length, big-endian, and that much msgpack. The worker sends many leases in
one frame; a child sends one frame for each thing that happens, at once. Both sides import this
module, so it must not import anything of either.
"""

from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from task_queue.core.task import Lease, ProgressNote, Report
from task_queue.stream.frame_cutter import LENGTH, FrameCutter
from task_queue.tasks import TaskType
from task_queue.tracing.span_counts import SpanCounts

#: A longer frame means that something else wrote to the pipe: any text reads as a longer one.
MAX_FRAME_BYTES = 1 << 29


class Boot(Struct, tag=True, array_like=True):
    """The first frame to a child: how it is to be set up."""

    executor: str  #: "process" or "async"
    python_path: list[str]
    task_modules: list[str]
    log_cap_bytes: int
    result_cap_bytes: int
    span_endpoint: str | None = None  #: where spans of user code go; None: tracing is not enabled


class RunLeases(Struct, tag=True, array_like=True):
    """Run these in order. Each needs a start token of `generation` (see start_tokens.py)."""

    generation: int
    leases: list[Lease]


class CancelAttempt(Struct, tag=True, array_like=True):
    """Cancel a running coroutine. Only an "async" child is sent this."""

    task_id: str
    attempt: int


class Importing(Struct, tag=True, array_like=True):
    """A task module is about to be imported: the one to name if the child now dies."""

    module: str


class Ready(Struct, tag=True, array_like=True):
    """All modules are imported; leases may come."""

    task_types: list[TaskType]


class Broken(Struct, tag=True, array_like=True):
    """A task module cannot be imported; the child ends."""

    module: str
    error_type: str
    message: str
    traceback: str


class Ended(Struct, tag=True, array_like=True):
    """An attempt ended."""

    report: Report


class Progressed(Struct, tag=True, array_like=True):
    """A running attempt says how far it is."""

    note: ProgressNote


class Wrote(Struct, tag=True, array_like=True):
    """A running coroutine printed something. Not sent beyond the log cap."""

    task_id: str
    attempt: int
    text: str


class Exported(Struct, tag=True, array_like=True):
    """What became of spans of user code since the last such frame."""

    counts: SpanCounts


ToChild = Boot | RunLeases | CancelAttempt
FromChild = Importing | Ready | Broken | Ended | Progressed | Wrote | Exported

F = TypeVar("F")

_ENCODER = msgspec.msgpack.Encoder()


def encode_frame(frame: ToChild | FromChild) -> bytes:
    """`frame` as it goes into the pipe."""
    payload = _ENCODER.encode(frame)
    return LENGTH.pack(len(payload)) + payload


class FrameReader(Generic[F]):
    """Turns what was read from a pipe, cut anywhere, into whole frames."""

    def __init__(self, decoder: msgspec.msgpack.Decoder[F]) -> None:
        self._decode = decoder.decode
        self._cutter = FrameCutter(MAX_FRAME_BYTES)

    def feed(self, data: bytes) -> list[F]:
        """Take in `data` and return the frames that are now complete.

        Raises:
            msgspec.MsgspecError, ValueError: these are not frames; the pipe is of no more use.
        """
        try:
            return [self._decode(payload) for payload in self._cutter.feed(data)]
        except RecursionError:
            raise msgspec.DecodeError("a frame is nested too deeply") from None


def to_child_reader() -> FrameReader[ToChild]:
    """A reader of what the worker sends."""
    decoder: msgspec.msgpack.Decoder[ToChild] = msgspec.msgpack.Decoder(ToChild)
    return FrameReader(decoder)


def from_child_reader() -> FrameReader[FromChild]:
    """A reader of what a child sends."""
    decoder: msgspec.msgpack.Decoder[FromChild] = msgspec.msgpack.Decoder(FromChild)
    return FrameReader(decoder)
