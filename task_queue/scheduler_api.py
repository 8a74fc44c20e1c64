"""What the scheduler does for others, as the API, the workers and the supervisor see it.

`task_queue.scheduler.Scheduler` does it; a handle to the scheduler actor does it from another
process. Whoever depends on this file can be tested with the first and run with the second.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from task_queue.core.effects import Accepted, Answer, Counted, Grant, Moved, Refused
from task_queue.core.events import Event, WorkerPulled
from task_queue.core.status import Status
from task_queue.core.task import TaskError, TaskSpec
from task_queue.core.worker import WorkerInfo
from task_queue.errors import TaskQueueError
from task_queue.histogram import Histogram
from task_queue.latency_book import QueueLatencies
from task_queue.replica_book import ReplicaCounts, ReplicaReport
from task_queue.store.query import Pool
from task_queue.tasks import TaskType
from task_queue.tracing.span_book import SpanReport
from task_queue.tracing.span_counts import SpanCounts


class SchedulerUnavailable(TaskQueueError):
    """The scheduler, or its store, does not answer now. What was asked was not done, or, if the
    connection was cut after sending, may have been; repeating it is safe."""


class SchedulerSilent(SchedulerUnavailable):
    """Nothing was heard of the scheduler for too long. What was asked may have been done, or will
    be when it goes on; repeating it with the same ids is safe."""


class DeadLetter(NamedTuple):
    """A dead letter as somebody found it. After another attempt it is another one."""

    task_id: str
    attempt: int


class Ended(Struct, gc=False):
    """How a task ended, without what it was given."""

    status: Status
    finished_at: float
    error: TaskError | None
    result: bytes | None  #: JSON


class QueueState(Struct):
    """One queue, now."""

    queue: str
    paused: bool
    waiting: list[int]  #: QUEUED tasks by priority, index 0..9
    delayed: int  #: SCHEDULED and RETRYING
    running: int
    oldest_submitted_at: float | None  #: of the QUEUED ones


class WorkerReading(Struct):
    """One living worker, now."""

    info: WorkerInfo
    last_seen: float  #: seconds since the epoch
    holds: list[str]  #: task ids
    ended: int  #: attempts it reported
    failed: int
    busy_seconds: float


class NodeReading(Struct):
    """One machine, now. Bytes are counted since it started."""

    node: str  #: host name
    cpu_percent: float
    memory_percent: float
    disk_percent: float  #: of the file system of "/"
    network_in_bytes: int
    network_out_bytes: int
    disk_read_bytes: int
    disk_write_bytes: int


class WorkerTold(Struct):
    """What a worker tells of itself and its machine now and then."""

    node: NodeReading
    spans: SpanReport


class StoreReading(Struct):
    """The scheduler's and all replicas' dealings with the store, since the scheduler started."""

    inserts: int = 0  #: commits that accepted tasks
    updates: int = 0  #: other commits
    selects: int = 0  #: questions
    seconds: Histogram = field(default_factory=Histogram)
    connections_in_use: int = 0
    connections_available: int = 0
    commit_waits_seconds: float = 0.0  #: of the oldest commit that is under way


class SchedulerReading(Struct):
    """The scheduler, now: what metrics, health and the autoscaler look at."""

    at: float
    started_at: float
    epoch: int
    queues: list[QueueState]
    workers: list[WorkerReading]
    refused_reports: int
    turns: int
    commit_seconds_total: float
    commit_seconds_last: float
    #: Since the scheduler started, by queue.
    latencies: dict[str, QueueLatencies] = field(default_factory=dict)
    replicas: ReplicaCounts = field(default_factory=ReplicaCounts)  #: all replicas of the API
    store: StoreReading = field(default_factory=StoreReading)
    nodes: list[NodeReading] = field(default_factory=list)
    spans: SpanCounts = field(default_factory=SpanCounts)  #: of all processes but the replicas
    #: Faults in what the scheduler does beside tasks, since it started.
    chore_failures: dict[str, int] = field(default_factory=dict)


class WorkerCalls(Protocol):
    """What a worker asks. Every method may raise SchedulerUnavailable, and may be repeated."""

    async def request(self, event: Event) -> Answer:
        """Tell the machine something and get its answer, after it is durable."""

    async def pull(self, event: WorkerPulled) -> Grant:
        """A worker's pull; open until there is something to say or the poll period is over."""


class SchedulerApi(WorkerCalls, Protocol):
    """Every method may raise SchedulerUnavailable, and may be repeated."""

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        """Accept tasks, all or none. Durable when it returns.

        Args:
            specs: with ids made by the caller.
            repeated: the same specs were sent before and the answer was lost: those accepted then
                are found by their ids.
        """

    async def retry(self, task_id: str, request_id: str) -> Moved | Refused:
        """Run a task again that FAILED, EXPIRED or was CANCELLED.

        Args:
            request_id: made by the caller, a new one for each thing that is wanted: a call that is
                repeated with it is not carried out twice, whoever answers.
        """

    async def replay(self, letters: Sequence[DeadLetter], request_id: str) -> Counted | Refused:
        """Run dead letters again, all that still are as they were found, or none. How many.

        It is one turn, in which nobody else is answered: a few hundred at a time. It is refused
        with "queue_full" if so many cannot wait in memory now, with "too_large" if their arguments
        are too much for one turn. Fewer may go.

        Args:
            request_id: as of `retry`; a repeated call is answered with the same count.
        """

    async def purge_dlq(self, letters: Sequence[DeadLetter]) -> int:
        """Delete dead letters, as far as they still are as they were found. How many."""

    async def purge_queue(self, queue: str) -> int:
        """Cancel all that waits in a queue now, for its turn or for a time. How many."""

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        """Return when one of the tasks is over, or not known, or the time is up."""

    async def end_of(self, task_id: str, timeout_seconds: float) -> Ended | None:
        """How a task ended, once it has.

        The submit of the task may be on its way still, if it was sent first. None: the time is up,
        or the task is not live: the store knows more.
        """

    async def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        """Say which worker pools there are, and which tasks they know."""

    async def read(self, told: ReplicaReport | None = None) -> SchedulerReading:
        """The scheduler, now.

        Args:
            told: what an API process has counted; it is in the reading.
        """
