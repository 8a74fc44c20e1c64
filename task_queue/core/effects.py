"""What must be done about it: facts to save, answers to give, leases to hand out.

The order is part of the contract: `changes` are durable before any answer or grant leaves.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from task_queue.core.schedule import Schedule
from task_queue.core.status import Status
from task_queue.core.task import Lease, Report, Task, TaskError
from task_queue.core.worker import WorkerInfo

TimelineKind = Literal[
    "attempt_failed",
    "attempt_timed_out",
    "attempt_died",
    "attempt_released",
    "cancel_requested",
    "cancelled",
    "expired",
    "quarantined",
    "replayed",
]

TallyKind = Literal[
    "submitted", "completed", "failed", "retried", "timed_out", "cancelled", "expired", "died"
]


#: Under this name those queues are counted together that are too many to be counted one by one.
OTHER_QUEUES = "other"


class TimelineEvent(Struct, gc=False):
    """Something in a task's life that its row does not tell any more once it moves on."""

    seq: int  #: the task's
    at: float
    kind: TimelineKind
    attempt: int
    worker_id: str | None = None
    started_at: float | None = None
    duration_seconds: float | None = None
    error_type: str = ""
    message: str = ""


class Changes(Struct):
    """Facts of one turn, to be saved in one transaction."""

    inserted: list[Task] = field(default_factory=list)
    touched: dict[int, Task] = field(default_factory=dict)  #: by seq; none of `inserted`
    #: By seq, of `inserted` and `touched`: those that were leased, and to which nothing else
    #: happened in this turn. A store can note that in far fewer bytes than a whole row.
    leased: dict[int, Task] = field(default_factory=dict)
    #: Of `inserted`: those that memory does not keep. The store gives them back by `page`.
    paged_out: list[Task] = field(default_factory=list)
    #: (queue, priority, first seq, last seq): what was paged out of these is in memory, or over.
    paged_in: list[tuple[str, int, int, int]] = field(default_factory=list)
    ended: list[tuple[Task, Report]] = field(default_factory=list)  #: attempts, accepted reports
    timeline: list[TimelineEvent] = field(default_factory=list)
    queues: dict[str, bool] = field(default_factory=dict)  #: queue to paused
    workers: dict[str, WorkerInfo] = field(default_factory=dict)
    schedules: dict[str, Schedule | None] = field(default_factory=dict)  #: None: deleted
    #: Calls that must not be carried out twice, by the id that their caller made: the count that
    #: each was answered with.
    requests: dict[str, int] = field(default_factory=dict)
    #: Growing counts by (queue, task name, what), to be added to those in the store.
    tallies: dict[tuple[str, str, TallyKind], int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(
            self.inserted
            or self.touched
            or self.paged_in
            or self.timeline
            or self.queues
            or self.workers
            or self.schedules
            or self.requests
        )

    def tally(self, tasks: Iterable[Task], kind: TallyKind) -> None:
        """Count what happened to tasks, by queue and name."""
        tallies = self.tallies
        key: tuple[str, str, TallyKind] | None = None
        queue = name = ""
        count = 0
        for task in tasks:
            spec = task.spec
            if key is None or spec.name != name or spec.queue != queue:
                if key is not None:
                    tallies[key] = tallies.get(key, 0) + count
                queue, name, count = spec.queue, spec.name, 0
                key = queue, name, kind
            count += 1  # most of a crowd are alike: they are looked up together
        if key is not None:
            tallies[key] = tallies.get(key, 0) + count

    def note(
        self, task: Task, kind: TimelineKind, now: float,
        report: Report | None = None, error: TaskError | None = None,
    ) -> None:  # fmt: skip
        """Keep what the task's row will soon not tell any more."""
        error = error or (report.error if report else None)
        self.timeline.append(
            TimelineEvent(
                task.seq, now, kind, task.attempt_shown, task.worker_id,
                report.started_at or None if report else None,
                report.duration_seconds if report else None,
                error.type if error else "",
                error.message if error else "",
            )
        )  # fmt: skip


class Accepted(Struct, tag=True):
    """The tasks of a submission, in its order."""

    task_ids: list[str]
    #: Positions whose task was there already, by idempotency key or because the call was repeated.
    duplicates: list[int] = []


class Moved(Struct, tag=True):
    """A task after a person's request."""

    task_id: str
    status: Status
    cancel_requested: bool


class Counted(Struct, tag=True):
    """How many tasks a request moved."""

    count: int


class Registered(Struct, tag=True):
    """A worker is welcome."""

    lease_seconds: float
    poll_seconds: float


class Done(Struct, tag=True):
    """The request was carried out and there is no more to say."""


class Refused(Struct, tag=True):
    """The request was not carried out; nothing changed."""

    reason: Literal[
        "not_live", "conflict", "unknown_worker", "duplicate_worker", "queue_full", "too_large"
    ]
    detail: str


Answer = Accepted | Moved | Counted | Registered | Done | Refused


class Grant(Struct, gc=False):
    """The answer to a worker's pull."""

    worker_id: str
    incarnation: str
    seq: int  #: of the pull it answers
    leases: list[Lease] = []
    cancels: list[tuple[str, int]] = []  #: (task id, attempt) to be stopped
    #: "resync": say what you hold. "end": you hold nothing and were drained: deregister.
    #: "gone": you are not known (any more): stop everything, report nothing.
    order: Literal["", "resync", "end", "gone"] = ""
    #: Of a "resync": when who asks was loaded, for the answer.
    asked_by: float | None = None
    #: End within so long: start nothing more, and hand back what runs then. None: stay. Told at
    #: once, and again with every later grant: the one that was first may be lost, or come late.
    leave_within: float | None = None


class Effects(Struct):
    """What follows from one call of `handle`."""

    changes: Changes = field(default_factory=Changes)
    answers: list[Answer] = field(default_factory=list)  #: one for each event, in order
    grants: list[Grant] = field(default_factory=list)
    over: list[Task] = field(default_factory=list)  #: tasks that reached a terminal status
    replayed: int = 0  #: tasks that had reached one and live again
