"""A task's end as it is answered: with its result while that is kept, without it afterwards."""

from task_queue.core.task import Task
from task_queue.wire import ResultView, result_view


def result_of(task: Task, stored: bytes | None, now: float) -> ResultView:
    """How a task ended.

    Args:
        stored: its result as the store has it. What is past its time to live is left out even if
            nobody has deleted it yet, so that the answer does not depend on when that happens.
    """
    kept = task.finished_at is not None and now < task.finished_at + task.spec.result_ttl_seconds
    return result_view(task, stored if kept else None)
