"""A task's end as it is answered: with its result while that is kept, without it afterwards.

What is past its time to live is left out even if nobody has deleted it yet, so that the answer does
not depend on when that happens.
"""

from task_queue.core.task import Task, TaskSpec
from task_queue.scheduler_api import Ended
from task_queue.wire import ResultView, result_view


def result_of(task: Task, stored: bytes | None, now: float) -> ResultView:
    """How a task ended, or that it has not.

    Args:
        stored: its result as the store has it.
    """
    kept = task.finished_at is not None and _is_kept(task.spec, task.finished_at, now)
    return result_view(task.spec.id, task.status, task.error, stored if kept else None)


def end_view(spec: TaskSpec, end: Ended, now: float) -> ResultView:
    """How a task ended, as the scheduler tells it."""
    kept = _is_kept(spec, end.finished_at, now)
    return result_view(spec.id, end.status, end.error, end.result if kept else None)


def _is_kept(spec: TaskSpec, finished_at: float, now: float) -> bool:
    return now < finished_at + spec.result_ttl_seconds
