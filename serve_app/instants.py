"""Moments as callers write them: RFC 3339, checked to the letter."""

import re

from task_queue.clock import from_rfc3339

# Python's own parser takes much that RFC 3339 does not know: week dates, hours alone, no colons.
_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?", re.IGNORECASE | re.ASCII
)
_CURE = "give RFC 3339 such as 2026-01-25T14:00:00Z or 2026-01-25T15:00:00+01:00"


def instant(text: str) -> float:
    """Seconds since the epoch.

    Raises:
        ValueError: not RFC 3339, or without a time zone; the message says what to give.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text[:100]}' is not a time: {_CURE}")
    if match[2] is None:
        raise ValueError(f"'{text}' has no time zone: end it with Z or an offset such as +02:00")
    try:
        return from_rfc3339(text.upper())
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{text}' is not a time ({error}): {_CURE}") from None
