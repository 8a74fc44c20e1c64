"""What became of submitted tasks: the wait for them, and the facts that the runners show.

Only the public client is used here; what is done with the facts is up to the runners.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from task_queue import Client, TaskQueueError
from task_queue.clock import from_rfc3339
from task_queue.wire import SubmitRequest, TaskView


@dataclass(frozen=True, kw_only=True)
class FinishedTask:
    """A task that is over: its result, or why it has none."""

    task_id: str
    name: str
    status: str  #: COMPLETED, FAILED, CANCELLED or EXPIRED
    attempts: int
    worker_id: str | None  #: who ran the last attempt
    seconds: float | None  #: how long the last attempt took, if it is known
    in_dlq: bool
    error: str | None = None  #: "Type: message", if there is no result
    result: Any = None  #: what the task returned

    @property
    def succeeded(self) -> bool:
        return self.error is None

    @property
    def short_name(self) -> str:
        """The name of the function, without that of its module."""
        return self.name.rpartition(".")[2]


def submit_and_wait(
    client: Client, requests: Iterable[SubmitRequest], tag: str
) -> list[FinishedTask]:
    """Submit all of them and wait behind a progress bar; the answers are in the same order.

    Args:
        tag: one that all the requests have, and no other task.

    Raises:
        TaskQueueError: the queue did not accept them, or went away.
    """
    handles = client.submit_many(requests)
    outcomes = client.gather(handles, return_exceptions=True)
    views = {view.task_id: view for view in client.search(tag=tag)}
    return [
        finished_task(views[handle.task_id], outcome)
        for handle, outcome in zip(handles, outcomes, strict=True)
    ]


def finished_task(view: TaskView, outcome: Any) -> FinishedTask:
    """The facts about a task from how the API shows it, and its result or the error instead."""
    error = None
    if isinstance(outcome, TaskQueueError):
        error = f"{view.error.type}: {view.error.message}" if view.error else str(outcome)
    seconds = None
    if view.started_at and view.finished_at:
        seconds = max(0.0, from_rfc3339(view.finished_at) - from_rfc3339(view.started_at))
    return FinishedTask(
        task_id=view.task_id,
        name=view.name,
        status=view.status,
        attempts=view.attempt,
        worker_id=view.worker_id,
        seconds=seconds,
        in_dlq=view.in_dlq,
        error=error,
        result=None if error else outcome,
    )
