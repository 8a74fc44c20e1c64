"""Every legal move of a task, as data.

The table is the whole truth: the machine moves a task only through `next_status`, the diagram in
docs/state-machine.md is drawn from it, and a test walks every pair that is not in it.
"""

from task_queue.core.status import Happening as H
from task_queue.core.status import Status as S

TRANSITIONS: dict[tuple[S, H], S] = {
    (S.SCHEDULED, H.DUE): S.QUEUED,
    (S.SCHEDULED, H.CANCEL): S.CANCELLED,
    (S.SCHEDULED, H.EXPIRE): S.EXPIRED,
    (S.QUEUED, H.CLAIM): S.RUNNING,
    (S.QUEUED, H.CANCEL): S.CANCELLED,
    (S.QUEUED, H.EXPIRE): S.EXPIRED,
    (S.RUNNING, H.SUCCEED): S.COMPLETED,
    (S.RUNNING, H.FAIL_RETRYABLE): S.RETRYING,
    (S.RUNNING, H.FAIL_FINAL): S.FAILED,
    (S.RUNNING, H.RELEASE): S.QUEUED,
    (S.RUNNING, H.CANCEL): S.CANCELLED,
    (S.RETRYING, H.DUE): S.QUEUED,
    (S.RETRYING, H.CANCEL): S.CANCELLED,
    (S.RETRYING, H.EXPIRE): S.EXPIRED,
    (S.FAILED, H.REPLAY): S.QUEUED,
    (S.CANCELLED, H.REPLAY): S.QUEUED,
    (S.EXPIRED, H.REPLAY): S.QUEUED,
}


class IllegalTransition(Exception):
    """A move that the table does not have. Inside the machine it is a bug and stops the turn."""

    def __init__(self, task_id: str, status: S, happening: H) -> None:
        super().__init__(task_id, status, happening)
        self.task_id, self.status, self.happening = task_id, status, happening

    def __str__(self) -> str:
        return f"task {self.task_id} is {self.status}: cannot {self.happening.value}"


def next_status(task_id: str, status: S, happening: H) -> S:
    """The status after `happening`.

    Raises:
        IllegalTransition: the table has no such row.
    """
    try:
        return TRANSITIONS[status, happening]
    except KeyError:
        raise IllegalTransition(task_id, status, happening) from None
