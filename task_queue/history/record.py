"""One thing that a client or an attempt of a task saw, at one moment."""

from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """What was seen."""

    SUBMIT_SENT = "submit_sent"  #: a client is about to ask for the task
    ACCEPTED = "accepted"  #: the queue said that it has the task
    STARTED = "started"  #: an attempt begins; told by the task itself
    FINISHED = "finished"  #: an attempt has come to its end; told by the task itself
    CANCEL_ACKNOWLEDGED = "cancel_acknowledged"  #: `status` is what the queue answered
    OVER = "over"  #: the queue said how the task ended
    RERUN_SENT = "rerun_sent"  #: a client is about to ask that a task that is over runs again
    RERUN_ACKNOWLEDGED = "rerun_acknowledged"  #: the queue said that it will
    PRUNED = "pruned"  #: retention deleted the task
    QUEUE_PAUSED = "queue_paused"  #: the queue said that it is
    QUEUE_RESUMED = "queue_resumed"  #: a client is about to ask for it
    WORKER_DRAINING = "worker_draining"  #: the queue said that the worker is
    SCHEDULE_SAVED = "schedule_saved"  #: the queue said that it is
    SCHEDULE_ENDING = "schedule_ending"  #: a client is about to have it deleted
    SCHEDULE_DELETED = "schedule_deleted"  #: the queue said that it is
    FIRED = "fired"  #: a schedule submitted the task, and it is in the store


class Record(Struct, frozen=True, omit_defaults=True):
    """One line of a history. A history is a list of them, in the order in which they were seen."""

    at: float  #: seconds on one clock that all recorders share
    kind: Kind
    task_id: str = ""
    attempt: int = 0  #: STARTED, FINISHED
    worker: str = ""  #: STARTED, FINISHED, WORKER_DRAINING
    queue: str = ""  #: SUBMIT_SENT, FIRED, QUEUE_PAUSED, QUEUE_RESUMED
    priority: int = 0  #: SUBMIT_SENT
    delayed: bool = False  #: SUBMIT_SENT: with run_at, so it has no place in line yet
    key: str = ""  #: SUBMIT_SENT, ACCEPTED: idempotency key
    expires: float | None = None  #: SUBMIT_SENT: when it may not begin any more, as `at`
    retries: int | None = None  #: SUBMIT_SENT: further attempts once one failed; None: not told
    #: OVER, CANCEL_ACKNOWLEDGED, PRUNED. FIRED: of the task that the schedule submitted before.
    status: str = ""
    #: OVER: as the queue gives it. FINISHED: as the attempt returned it, empty if it failed.
    result: str = ""
    schedule: str = ""  #: SCHEDULE_*, FIRED
    overlap: str = ""  #: SCHEDULE_SAVED: "skip" or "allow"
    #: SCHEDULE_SAVED: from one due time to the next. PRUNED: since its end.
    seconds: float = 0.0
    due: int = 0  #: FIRED: which of the schedule's due times it was, counted from 0
