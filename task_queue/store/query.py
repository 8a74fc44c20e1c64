"""Questions to the store and the shapes of its answers, the same for every store."""

from msgspec import Struct

from task_queue.core.status import Status


class TaskQuery(Struct, frozen=True, kw_only=True):
    """Which tasks: every condition that is set must hold."""

    statuses: tuple[Status, ...] = ()  #: empty: any
    queue: str | None = None
    name: str | None = None
    in_dlq: bool | None = None
    worker_id: str | None = None
    tag: str | None = None
    error: str | None = None  #: part of the error's type or message, any case
    text: str | None = None  #: part of the id, the name, a tag or the error, any case
    submitted_from: float | None = None  #: seconds since the epoch, inclusive
    submitted_to: float | None = None  #: seconds since the epoch, exclusive
    from_seq: int | None = None  #: only tasks accepted at or after this one
    before_seq: int | None = None  #: only tasks accepted before this one: where a page ended


class Bucket(Struct, frozen=True):
    """What ended in one slice of time."""

    start: float  #: seconds since the epoch
    completed: int
    failed: int
    other: int  #: cancelled and expired
    wait_seconds_p50: float | None  #: submission to start, of completed tasks
    run_seconds_p50: float | None  #: start to end
    run_seconds_p95: float | None
    run_seconds_p99: float | None


class FailurePattern(Struct, frozen=True):
    """Failures of one task with one type of error."""

    name: str
    error_type: str
    count: int
    last_at: float
    last_message: str
    last_task_id: str


class Trends(Struct, frozen=True):
    """What happened between two times."""

    buckets: list[Bucket]
    failures: list[FailurePattern]  #: most frequent first


class Tally(Struct, frozen=True):
    """One growing count."""

    queue: str
    name: str
    kind: str
    count: int


class Pool(Struct, frozen=True):
    """A worker pool as the API needs to know it."""

    name: str
    queues: tuple[str, ...]
    task_names: tuple[str, ...]
    excluded: tuple[str, ...] = ()  #: queues that pools name, for a pool of "*"

    def serves(self, queue: str) -> bool:
        """Whether its workers take tasks from the queue."""
        return queue in self.queues or ("*" in self.queues and queue not in self.excluded)
