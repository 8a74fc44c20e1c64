"""For tests, ours and those of users' tasks: a clock that a test moves, a queue in memory."""

from typing import Any

from msgspec.structs import replace

from task_queue.core.task import TaskSpec
from task_queue.ids import new_task_id

__all__ = ["FakeClock", "task_spec"]


class FakeClock:
    """A clock that stands still until it is told to move."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self._now += seconds


def task_spec(name: str = "test.task", now: float = 1_700_000_000.0, **fields: Any) -> TaskSpec:
    """A spec with a fresh id; `fields` replace the defaults."""
    spec = TaskSpec(new_task_id(now), name, "default", 5, b'{"args":[],"kwargs":{}}')
    return replace(spec, **fields) if fields else spec
