"""The log lines of the monitoring guide that tell of single tasks: accepted, and an attempt over.

Made from committed turns, so a line never tells of what was not saved. A line costs as much as
a short task itself, even though those of a turn are written together, so there are at most so many
a second; how many were left out is a line of its own.
"""

from collections.abc import Sequence
from itertools import starmap
from typing import Any, TypeVar

from monitoring.logs import get_logger, write_lines
from task_queue.core.effects import Effects
from task_queue.core.task import Report, Task

T = TypeVar("T")


class TaskLines:
    """Writes the lines. Arguments and results are never among them."""

    def __init__(self, lines_per_second: int) -> None:
        self._lines_per_second = lines_per_second
        self._service = get_logger("task_service")
        self._second = 0
        self._left = lines_per_second
        self._left_out = 0

    def take(self, fx: Effects, now: float) -> None:
        """Tell of one committed turn; `now` in seconds since the epoch."""
        if int(now) != self._second:
            self._begin_second(int(now))
        submitted = self._some(fx.changes.inserted)
        if submitted:
            write_lines("task_service", "task_submitted", map(_submitted, submitted))
        ended = self._some(fx.changes.ended)
        if ended:
            write_lines("task_executor", "task_execution_complete", starmap(_ended, ended))

    def _begin_second(self, second: int) -> None:
        if self._left_out and self._lines_per_second:  # nobody who wants none wants their number
            self._service.info(
                "task_lines_left_out", count=self._left_out, lines_per_second=self._lines_per_second
            )
        self._second, self._left, self._left_out = second, self._lines_per_second, 0

    def _some(self, items: Sequence[T]) -> Sequence[T]:
        told = items[: self._left]
        self._left -= len(told)
        self._left_out += len(items) - len(told)
        return told


def _submitted(task: Task) -> dict[str, Any]:
    spec = task.spec
    return {
        "task_id": spec.id, "task_name": spec.name, "priority": spec.priority,
        "queue": spec.queue, "request_id": spec.request_id, **_trace(task),
    }  # fmt: skip


def _ended(task: Task, report: Report) -> dict[str, Any]:
    return {
        "task_id": task.spec.id, "worker_id": task.worker_id,
        "duration_ms": round(report.duration_seconds * 1e3, 3), "status": task.status.value,
        "request_id": task.spec.request_id, **_trace(task),
    }  # fmt: skip


def _trace(task: Task) -> dict[str, str]:
    """The trace id of the caller's W3C traceparent (version-trace-span-flags), if it sent one."""
    parts = (task.spec.traceparent or "").split("-")
    return {"trace_id": parts[1]} if len(parts) == 4 else {}
