"""How a task ended, as the client sees it: a value, or the error to raise.

The only place where an answer about a result becomes a Python value or exception.
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from task_queue import errors
from task_queue.codec import from_json
from task_queue.wire import ErrorView

_ERRORS: dict[str, type[errors.TaskDidNotSucceed]] = {
    "FAILED": errors.TaskFailed,
    "CANCELLED": errors.TaskCancelled,
    "EXPIRED": errors.TaskExpired,
}

_REASONS = {
    "FAILED": "it failed",
    "CANCELLED": "it was cancelled",
    "EXPIRED": "it could not start before its expires_at",
}


class Outcome(Struct):
    """`wire.ResultView` as it is read here.

    The result stays JSON until somebody wants it, and a result that was deleted (left out) can be
    told from one that is null.
    """

    task_id: str
    status: str
    result: Raw = Raw()
    error: ErrorView | None = None

    @property
    def over(self) -> bool:
        """Whether the task has ended."""
        return self.status == "COMPLETED" or self.status in _ERRORS

    def value(self) -> Any:
        """What the task returned.

        Raises:
            TaskFailed, TaskCancelled, TaskExpired: it has no result. The worker's traceback, if
                there is one, is a note on the error, so Python shows it under the message.
            ResultGone: the result was deleted at the end of its time to live.
            QueueUnreachable: it is no JSON, so that is not a task queue there.
        """
        if self.status != "COMPLETED":
            raise self._exception()
        data = bytes(self.result)
        if not data:
            raise errors.ResultGone(
                410, f"the result of task {self.task_id} was deleted at the end of its time to live"
            )
        try:
            return from_json(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise errors.QueueUnreachable(
                f"the result of task {self.task_id} came as JSON that cannot be read ({error}): "
                "check that TASK_QUEUE_URL is a task queue"
            ) from error

    def value_or_error(self) -> Any:
        """As `value`, but an error is returned."""
        try:
            return self.value()
        except errors.TaskQueueError as error:
            return error

    def _exception(self) -> errors.TaskDidNotSucceed:
        told = self.error
        reason = f"{told.type}: {told.message}" if told else _REASONS.get(self.status, self.status)
        traceback = told.traceback if told else ""
        kind = _ERRORS.get(self.status, errors.TaskDidNotSucceed)
        exception = kind(self.task_id, reason, traceback)
        if traceback:
            exception.add_note(f"\nOn the worker:\n{traceback.rstrip()}")
        return exception


class OutcomesAnswer(Struct):
    """`wire.ResultsAnswer` as it is read here."""

    results: list[Outcome]
    pending: list[str]
