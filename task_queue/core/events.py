"""What happened: everything the machine is ever told.

Events carry batches, because the cost of a batch is shared by its tasks. They are tagged, so a
blob of msgpack is decoded to the right one, and they are what travels between processes.
"""

from msgspec import Struct

from task_queue.core.schedule import Schedule
from task_queue.core.status import WorkerStatus
from task_queue.core.task import ProgressNote, Report, Task, TaskSpec
from task_queue.core.worker import WorkerInfo


class TasksSubmitted(Struct, tag=True):
    """Callers want these tasks done. All are accepted or none."""

    specs: list[TaskSpec]
    #: Idempotency key, or id of a repeated call, to the id of the task that already has it.
    known: dict[str, str] = {}


class TasksReplayed(Struct, tag=True):
    """A person wants these ended tasks, as the store has them, to run again."""

    tasks: list[Task]
    request_id: str = ""  #: made by the caller; its answer is kept for when the call is repeated


class CancelRequested(Struct, tag=True):
    task_id: str
    stored: Task | None = None  #: as the store has it, if memory does not


class TasksPaged(Struct, tag=True):
    """The oldest of the tasks of a line that are paged out, in order."""

    queue: str
    priority: int
    tasks: list[Task]


class QueuePaused(Struct, tag=True):
    """A queue gives out no tasks from now on, or does again."""

    queue: str
    paused: bool


class QueuePurged(Struct, tag=True):
    """What is in a queue and in memory and does not run is to be cancelled: some thousands at a
    time. Nothing is left when the answer counts none."""

    queue: str
    before_seq: int | None = None  #: what was accepted from then on stays


class WorkerRegistered(Struct, tag=True):
    info: WorkerInfo


class WorkerResumed(Struct, tag=True):
    """After a restart of the scheduler a worker says which attempts it really holds."""

    worker_id: str
    incarnation: str
    holding: list[tuple[str, int]]
    #: Newest pull that the worker had opened. Leases that still come with it or an older one are
    #: given back unstarted. None: it cannot be told from a late copy, and is believed.
    seq: int | None = None
    #: Of the "resync" that this answers. A list that was meant for an earlier scheduler is not
    #: believed: it does not know what that one granted afterwards. None: it is.
    asked_by: float | None = None


class WorkerPulled(Struct, tag=True):
    """A worker's position; see core/worker.py. Answered by a grant."""

    worker_id: str
    incarnation: str
    seq: int  #: grows with every pull; a pull that is repeated keeps its number
    want: int
    reports: list[Report] = []
    progress: list[ProgressNote] = []


class WorkerDeregistered(Struct, tag=True):
    worker_id: str
    incarnation: str


class WorkerLost(Struct, tag=True):
    """A worker's process or host is gone."""

    worker_id: str
    incarnation: str
    cause: str
    blameless: bool = False  #: its machine was taken away: no task can be to blame


class WorkerStatusWanted(Struct, tag=True):
    """A person, or the autoscaler, pauses, resumes or drains a worker."""

    worker_id: str
    status: WorkerStatus
    #: Of a drain: what still runs after so long is interrupted. None: it is not. Of several drains
    #: the one that ends first counts.
    within_seconds: float | None = None


class ScheduleSaved(Struct, tag=True):
    schedule: Schedule


class ScheduleDeleted(Struct, tag=True):
    schedule_id: str


class Unheard(Struct, tag=True):
    """For so long nobody could be heard: the process was stopped, or the clock was set forward.

    That workers seem silent since then is no fault of theirs.
    """

    seconds: float


class Ticked(Struct, tag=True):
    """Time passed."""


Event = (
    TasksSubmitted
    | TasksReplayed
    | CancelRequested
    | TasksPaged
    | QueuePaused
    | QueuePurged
    | WorkerRegistered
    | WorkerResumed
    | WorkerPulled
    | WorkerDeregistered
    | WorkerLost
    | WorkerStatusWanted
    | ScheduleSaved
    | ScheduleDeleted
    | Unheard
    | Ticked
)
