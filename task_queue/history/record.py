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


class Record(Struct, frozen=True, omit_defaults=True):
    """One line of a history. A history is a list of them, in the order in which they were seen."""

    at: float  #: seconds on one clock that all recorders share
    kind: Kind
    task_id: str = ""
    attempt: int = 0  #: STARTED, FINISHED
    worker: str = ""  #: STARTED, FINISHED
    queue: str = ""  #: SUBMIT_SENT
    priority: int = 0  #: SUBMIT_SENT
    delayed: bool = False  #: SUBMIT_SENT: with run_at, so it has no place in line yet
    key: str = ""  #: SUBMIT_SENT, ACCEPTED: idempotency key
    status: str = ""  #: OVER, CANCEL_ACKNOWLEDGED
    result: str = ""  #: OVER: as the queue gives it; FINISHED: as the attempt returned it
