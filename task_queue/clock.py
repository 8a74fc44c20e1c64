"""The only place that reads a clock. Everything else is given one."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What time it is. `task_queue.testing.FakeClock` is one that a test moves."""

    def now(self) -> float:
        """Wall time, seconds since the epoch: for records."""

    def monotonic(self) -> float:
        """Seconds that never run backwards: for durations."""


class SystemClock:
    """The machine's own clocks. Not methods around them: a call less, several times a task."""

    now = staticmethod(time.time)  # noqa: TID251  this is the Clock
    monotonic = staticmethod(time.monotonic)


def to_rfc3339(seconds: float) -> str:
    """UTC with milliseconds and Z, as everywhere in the API: ``2026-01-25T14:00:00.000Z``."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def from_rfc3339(text: str) -> float:
    """Seconds since the epoch.

    Raises:
        ValueError: not RFC 3339, or without a time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone: end it with Z or an offset such as +02:00")
    return moment.timestamp()
