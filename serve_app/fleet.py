"""Workers as the API shows them: the living from the scheduler, the others from the store."""

from collections.abc import Iterable, Sequence

from task_queue.clock import to_rfc3339
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler_api import SchedulerReading, WorkerReading
from task_queue.wire import WorkerView

#: A lost worker is listed, and is a target that is down, for so long; then it is history.
SHOWN_LOST_SECONDS = 900.0


def lost_lately(workers: Iterable[WorkerInfo], since: float) -> list[WorkerInfo]:
    """Those that died or went silent after `since`, in seconds since the epoch."""
    return [
        info
        for info in workers
        if info.status is WorkerStatus.LOST and info.ended_at is not None and info.ended_at > since
    ]


def without_living(lost: Sequence[WorkerInfo], reading: SchedulerReading) -> list[WorkerInfo]:
    """Lost workers whose id no living worker has taken over since."""
    living = {worker.info.worker_id for worker in reading.workers}
    return [info for info in lost if info.worker_id not in living]


def living_view(worker: WorkerReading, now: float) -> WorkerView:
    """A worker that the scheduler knows."""
    info = worker.info
    return WorkerView(
        worker_id=info.worker_id,
        status=info.status.value,
        pool=info.pool,
        queues=list(info.queues),
        hostname=info.hostname,
        pid=info.pid,
        capacity=info.slots,
        current_load=len(worker.holds),
        tasks_ended=worker.ended,
        tasks_failed=worker.failed,
        busy_seconds=worker.busy_seconds,
        restarts=info.restarts,
        uptime_seconds=max(0.0, now - info.registered_at),
        last_heartbeat_at=to_rfc3339(worker.last_seen),
        running=list(worker.holds),
    )


def ended_view(info: WorkerInfo) -> WorkerView:
    """A worker that is no more; what it did was not kept."""
    ended_at = info.registered_at if info.ended_at is None else info.ended_at
    lost = info.status is WorkerStatus.LOST
    return WorkerView(
        worker_id=info.worker_id,
        status="lost" if lost else "ended",
        pool=info.pool,
        queues=list(info.queues),
        hostname=info.hostname,
        pid=info.pid,
        capacity=info.slots,
        current_load=0,
        tasks_ended=0,
        tasks_failed=0,
        busy_seconds=0.0,
        restarts=info.restarts,
        uptime_seconds=max(0.0, ended_at - info.registered_at),
        last_heartbeat_at=to_rfc3339(ended_at),
        running=[],
        ended_at=to_rfc3339(ended_at),
        end_cause=info.end_cause,
    )
