"""What a task is: the part fixed at submission, the part that moves, and what an attempt reports.

The records are msgspec Structs without garbage-collector tracking: a queue of a million of them
must not make every full collection slow, and building one costs a tenth of a frozen dataclass.
"""

from collections.abc import Iterable

from msgspec import Struct

from task_queue.core.status import Outcome, Status


class TaskSpec(Struct, gc=False, array_like=True):
    """What the caller asked for. Never changes after submission."""

    id: str  #: UUIDv7, made by the caller of the scheduler, so that a call may be repeated
    name: str
    queue: str
    priority: int  #: 0..9, 9 first
    arguments: bytes  #: JSON object {"args": [...], "kwargs": {...}}; the scheduler never reads it
    max_retries: int = 0  #: further attempts after the first one failed
    retry_base_seconds: float = 1.0
    retry_cap_seconds: float = 300.0
    timeout_seconds: float | None = None
    run_at: float | None = None  #: seconds since the epoch
    expires_at: float | None = None  #: seconds since the epoch; never started after it
    result_ttl_seconds: float = 86_400.0
    idempotency_key: str | None = None
    tags: tuple[str, ...] = ()
    traceparent: str | None = None  #: W3C trace context of the caller
    request_id: str | None = None


class Progress(Struct, gc=False):
    """How far the running attempt says it is."""

    fraction: float  #: 0..1
    message: str = ""


class TaskError(Struct, gc=False):
    """Why an attempt, or a task, failed."""

    type: str  #: class name of the exception, or WorkerLost, ExecutorDied, Timeout, Quarantined
    message: str
    traceback: str = ""


class Task(Struct, gc=False):
    """A task and where it stands: one row in the store, one object in the machine."""

    spec: TaskSpec
    seq: int  #: order of acceptance, unique; first in, first out within a priority goes by it
    submitted_at: float
    status: Status = Status.QUEUED
    attempt: int = 0  #: number of claims so far; with the id it is the fencing number of a lease
    failures: int = 0  #: attempts that the task itself failed; compared with max_retries
    deaths: int = 0  #: workers or executors that ended under it; compared with the quarantine limit
    due_at: float = 0.0  #: SCHEDULED and RETRYING: when it becomes QUEUED
    expires_at: float | None = None  #: as asked for, until a person retries it after that time
    worker_id: str | None = None  #: RUNNING: who holds it; afterwards: who held it last
    claimed_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cancel_requested: bool = False
    in_dlq: bool = False
    error: TaskError | None = None
    progress: Progress | None = None
    unstarted: int = 0  #: of the claims, those that were given back before the task began to run

    @property
    def attempt_shown(self) -> int:
        """Which attempt this is for people: leases that were given back unstarted were none."""
        return self.attempt - self.unstarted


class Lease(Struct, gc=False, array_like=True):
    """The right of one worker to run one attempt, with all it needs to do so."""

    task_id: str
    attempt: int
    seq: int
    name: str
    queue: str
    priority: int
    arguments: bytes
    timeout_seconds: float | None
    max_retries: int
    failures: int
    submitted_at: float
    traceparent: str | None
    request_id: str | None
    unstarted: int = 0
    #: After the pull that brought it was sent, it may not begin any more; None: at any time.
    expires_in_seconds: float | None = None


class Report(Struct, gc=False, array_like=True):
    """How one attempt ended. Repeating a report is harmless."""

    task_id: str
    attempt: int
    outcome: Outcome
    started_at: float  #: seconds since the epoch, by the worker's clock; 0.0 if it never started
    duration_seconds: float
    result: bytes | None = None  #: JSON, when it succeeded
    error: TaskError | None = None
    retryable: bool = True
    retry_after_seconds: float | None = None  #: asked for instead of the back-off
    logs: str = ""  #: what the attempt wrote to stdout and stderr, capped


class ProgressNote(Struct, gc=False, array_like=True):
    """Progress of one running attempt, as told by it."""

    task_id: str
    attempt: int
    progress: Progress


def leases_of(tasks: Iterable[Task], asked_at: float) -> list[Lease]:
    """The leases on `tasks` as they were just claimed, for a pull that came at `asked_at`."""
    return [
        Lease(
            spec.id, task.attempt, task.seq, spec.name, spec.queue, spec.priority, spec.arguments,
            spec.timeout_seconds, spec.max_retries, task.failures, task.submitted_at,
            spec.traceparent, spec.request_id, task.unstarted,
            None if task.expires_at is None else task.expires_at - asked_at,
        )
        for task in tasks
        for spec in (task.spec,)
    ]  # fmt: skip
