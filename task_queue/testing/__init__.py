"""For tests, ours and those of users' tasks: a clock that a test moves, a queue in memory.

docs/testing.md shows how they are used.
"""

from task_queue.testing.fake_clock import FakeClock
from task_queue.testing.in_memory_queue import InMemoryQueue
from task_queue.testing.task_spec import task_spec

__all__ = ["FakeClock", "InMemoryQueue", "task_spec"]
