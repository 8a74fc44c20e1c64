"""W3C trace context, level 1: the `traceparent` header, read and written."""

import re

from msgspec import Struct

_TEXT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<span_id>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16
_SAMPLED = 1


class Traceparent(Struct, frozen=True):
    """Where in which trace something is."""

    trace_id: str  #: 32 hexadecimal digits
    span_id: str  #: 16
    flags: str = "01"  #: 2

    @property
    def sampled(self) -> bool:
        """Whether the caller records this trace."""
        return bool(int(self.flags, 16) & _SAMPLED)

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def read_traceparent(text: str) -> Traceparent | None:
    """What a header says; None if it is not valid, and then the standard says to ignore it.

    A version after 00 is read as far as it is known.
    """
    match = _TEXT.fullmatch(text)
    if match is None or match["version"] == "ff":
        return None
    if match["more"] is not None and match["version"] == "00":
        return None
    if match["trace_id"] == _NO_TRACE or match["span_id"] == _NO_SPAN:
        return None
    return Traceparent(match["trace_id"], match["span_id"], match["flags"])


def is_sampled(text: str) -> bool:
    """As `Traceparent.sampled`, of a text that was checked before."""
    return text[-1] in "13579bdf"


def unsampled(text: str) -> str:
    """The same place in the same trace, to be recorded no further."""
    return f"{text[:-2]}00"
