"""What the machine knows of a worker, and the one-page story of leases.

A worker makes one kind of call, the pull. It is a statement of the worker's whole position: what
ended since the last one, and how many leases it wants to hold in all. The newest pull counts and
answers the one before it. The call stays open ("parked") until there is something to say or
`poll_seconds` are over, so it is the heartbeat too.

    worker                                 machine
      | pull(seq=7, want=4, reports=[..])    |   reports applied, 4 - held leases granted
      |<------------- grant(leases)----------|   each lease durable before the answer
      | pull(seq=8, want=4, reports=[])      |   nothing to do: parked
      | pull(seq=9, want=4, reports=[r])     |   8 is answered empty, 9 takes its place
      |<------------- grant(leases)----------|

A lease is (task, attempt, worker incarnation). The attempt number grows with every claim, so a
report from an earlier attempt can never be taken for the current one: it is refused and counted.
How many slots are free is never told or counted: it is `want` less the leases held, here.

All that a worker is to do comes with a grant: leases, tasks to stop, and, when its machine goes or
the queue is taken down, how long it may stay. That is said at once and with every grant from then
on; when it holds nothing any more, it is told to end, as any worker that drains.

A worker that is silent for `lease_seconds` is lost, as is one whose death is reported. Its leases
are void at that moment, its tasks run again, and whatever it still reports is refused.
"""

from msgspec import Struct, field

from task_queue.core.status import WorkerStatus
from task_queue.core.task import Task

# Read once: an enum's members are found slowly, and these are asked of each worker in each turn.
_ACTIVE, _DRAINING = WorkerStatus.ACTIVE, WorkerStatus.DRAINING


class WorkerInfo(Struct, gc=False):
    """What a worker says of itself when it registers. One row in the store."""

    worker_id: str  #: unique among living workers, for example "default-1"
    incarnation: str  #: new with every process
    pool: str
    queues: tuple[str, ...]  #: "*" stands for every queue that is not in `excluded`
    slots: int  #: tasks it runs at one time
    excluded: tuple[str, ...] = ()  #: queues that pools name, for a worker of "*"
    hostname: str = ""
    node_id: str = ""  #: of its machine, in Ray's words
    pid: int = 0
    registered_at: float = 0.0
    status: WorkerStatus = WorkerStatus.ACTIVE
    restarts: int = 0  #: earlier incarnations of this worker_id
    ended_at: float | None = None
    end_cause: str = ""


class WorkerState(Struct):
    """A living worker."""

    info: WorkerInfo
    last_seen: float
    #: Leases by task id. All and only tasks that are RUNNING with this worker's id.
    held: dict[str, Task] = field(default_factory=dict)
    want: int = 0  #: leases it wants to hold, slots and read-ahead together
    pull_seq: int = 0  #: newest pull seen
    parked_until: float | None = None  #: the newest pull is open until then
    #: False after a restart of the scheduler, until the worker has told what it holds.
    confirmed: bool = True
    resumed_seq: int = 0  #: pulls up to this one get no leases: the worker would give them back
    cancels: list[tuple[str, int]] = field(default_factory=list)  #: (task id, attempt) to be told
    leave_by: float | None = None  #: what it runs then is to be interrupted
    leave_told: bool = True  #: whether it was told since it was last ordered
    ended: int = 0  #: attempts it reported
    failed: int = 0  #: of those, not succeeded
    busy_seconds: float = 0.0  #: time its attempts ran, summed

    @property
    def takes_work(self) -> bool:
        """Whether it may be given leases now."""
        return self.parked_until is not None and self.confirmed and self.info.status is _ACTIVE

    @property
    def drained(self) -> bool:
        """Whether it was told to drain and holds nothing any more."""
        return self.info.status is _DRAINING and not self.held
