"""Cuts what was read from a stream of bytes into frames: four bytes of length, and so much payload.

Both the pipes to executor children and the streams to the scheduler are made of such frames. This
file is imported by children, so it must stay small.
"""

from struct import Struct

import msgspec

LENGTH = Struct(">I")
_LENGTH_BYTES = LENGTH.size


class FrameTooLong(msgspec.DecodeError):
    """A frame is longer than is allowed, or these are no frames; the stream is of no more use."""


class FrameCutter:
    """Turns data that was cut anywhere into whole frames."""

    def __init__(self, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes  #: may be changed between two calls of `feed`
        self._rest = bytearray()
        self._needed = 0  #: bytes that `_rest` must have before looking at it is worth while

    def feed(self, data: bytes) -> list[memoryview]:
        """Take in `data` and return the payloads of the frames that are now complete.

        Raises:
            FrameTooLong: by its first four bytes already, before the rest has come.
        """
        if not self._rest:
            frames, used = self._split(data)
            if used < len(data):
                self._rest += memoryview(data)[used:]
            return frames
        self._rest += data
        if len(self._rest) < self._needed:
            return []
        frames, used = self._split(bytes(self._rest))
        if used == len(self._rest):
            self._rest = bytearray()  # so that the room of a large frame is given back
        else:
            del self._rest[:used]
        return frames

    def _split(self, data: bytes) -> tuple[list[memoryview], int]:
        frames: list[memoryview] = []
        view, start, size = memoryview(data), 0, len(data)
        self._needed = 0
        while size - start >= _LENGTH_BYTES:
            body = start + _LENGTH_BYTES
            (length,) = LENGTH.unpack_from(data, start)
            if length > self.max_frame_bytes:
                raise FrameTooLong(
                    f"a frame of {length} bytes came where {self.max_frame_bytes} are allowed"
                )
            end = body + length
            if end > size:
                self._needed = end - start
                break
            frames.append(view[body:end])
            start = end
        return frames, start
