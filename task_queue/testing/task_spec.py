"""Specs for tests of the core and the stores, which never see a task's code."""

from typing import Any

from msgspec.structs import replace

from task_queue.core.task import TaskSpec
from task_queue.ids import new_task_id


def task_spec(name: str = "test.task", now: float = 1_700_000_000.0, **fields: Any) -> TaskSpec:
    """A spec with a fresh id; `fields` replace the defaults."""
    spec = TaskSpec(new_task_id(now), name, "default", 5, b'{"args":[],"kwargs":{}}')
    return replace(spec, **fields) if fields else spec
