"""The log lines of the monitoring guide that tell of single tasks: accepted, and an attempt over.

Made from committed turns, so a line never tells of what was not saved. A line costs some 20
microseconds, as much as a short task itself, so there are at most so many a second; how many were
left out is a line of its own.
"""

from collections.abc import Sequence
from typing import TypeVar

from monitoring.logs import get_logger
from task_queue.core.effects import Effects
from task_queue.core.task import Report, Task

T = TypeVar("T")


class TaskLines:
    """Writes the lines. Arguments and results are never among them."""

    def __init__(self, lines_per_second: int) -> None:
        self._lines_per_second = lines_per_second
        self._service, self._executor = get_logger("task_service"), get_logger("task_executor")
        self._second = 0
        self._left = lines_per_second
        self._left_out = 0

    def take(self, fx: Effects, now: float) -> None:
        """Tell of one committed turn; `now` in seconds since the epoch."""
        if int(now) != self._second:
            self._begin_second(int(now))
        for task in self._some(fx.changes.inserted):
            self._tell_submitted(task)
        for task, report in self._some(fx.changes.ended):
            self._tell_ended(task, report)

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

    def _tell_submitted(self, task: Task) -> None:
        spec = task.spec
        self._service.info(
            "task_submitted", task_id=spec.id, task_name=spec.name, priority=spec.priority,
            queue=spec.queue, request_id=spec.request_id, **_trace(task),
        )  # fmt: skip

    def _tell_ended(self, task: Task, report: Report) -> None:
        self._executor.info(
            "task_execution_complete", task_id=task.spec.id, worker_id=task.worker_id,
            duration_ms=round(report.duration_seconds * 1e3, 3), status=task.status.value,
            request_id=task.spec.request_id, **_trace(task),
        )  # fmt: skip


def _trace(task: Task) -> dict[str, str]:
    """The trace id of the caller's W3C traceparent (version-trace-span-flags), if it sent one."""
    parts = (task.spec.traceparent or "").split("-")
    return {"trace_id": parts[1]} if len(parts) == 4 else {}
