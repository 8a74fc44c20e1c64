"""The words for where a task is, and for how important it is."""

from enum import StrEnum


class Status(StrEnum):
    """Where a task is. The values are what the HTTP API and the store say."""

    SCHEDULED = "SCHEDULED"  #: run_at lies in the future
    QUEUED = "QUEUED"  #: may be claimed by a worker
    RUNNING = "RUNNING"  #: leased to one worker
    RETRYING = "RETRYING"  #: an attempt failed; waits for its back-off
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"  #: no attempts left, or not retryable: in the dead-letter queue
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"  #: expires_at passed before it could start


class WorkerStatus(StrEnum):
    """What the scheduler may do with a worker."""

    ACTIVE = "active"
    PAUSED = "paused"  #: keeps what it holds, is given nothing new
    DRAINING = "draining"  #: as paused, and ends when it holds nothing
    LOST = "lost"  #: died or went silent; its leases are void


class Outcome(StrEnum):
    """How one attempt ended, as the worker that held it saw it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"  #: the task raised
    TIMED_OUT = "timed_out"  #: killed at its timeout
    CANCELLED = "cancelled"  #: killed, or never started, because a cancel was asked for
    DIED = "died"  #: its executor process ended under it
    RELEASED = "released"  #: given back unstarted or interrupted by a drain; costs no attempt


class Happening(StrEnum):
    """What can move a task from one status to another: the columns of the transition table."""

    DUE = "due"
    EXPIRE = "expire"
    CLAIM = "claim"
    SUCCEED = "succeed"
    FAIL_RETRYABLE = "fail, attempts left"
    FAIL_FINAL = "fail, none left"
    RELEASE = "release"
    CANCEL = "cancel"
    REPLAY = "retry by hand"


#: A task in one of these is over: no worker holds it and none will, unless a person retries it.
TERMINAL = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED, Status.EXPIRED})

PRIORITY_MIN = 0
PRIORITY_MAX = 9
PRIORITY_DEFAULT = 5


def priority_band(priority: int) -> str:
    """The metric label for a priority: high is 7..9, normal 4..6, low 0..3."""
    if priority >= 7:
        return "high"
    return "normal" if priority >= 4 else "low"
