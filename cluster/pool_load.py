"""One pool as the autoscaler looks at it: from what the scheduler says and the supervisor knows."""

from collections.abc import Iterable

from cluster.autoscale import PoolLoad
from cluster.named_queues import named_queues
from cluster.supervised import Supervised
from task_queue.scheduler_api import SchedulerReading
from task_queue.settings import Settings


def pool_load(
    settings: Settings,
    name: str,
    reading: SchedulerReading,
    workers: Iterable[Supervised],
    now: float,
) -> PoolLoad:
    """Workers that drain are left out: they are as good as gone.

    Args:
        workers: of all pools.
        now: monotonic.
    """
    pool = settings.pools[name]
    mine = [w for w in workers if w.pool == name and w.ends_by is None]
    named = set(named_queues(settings))
    served = [
        q
        for q in reading.queues
        if not q.paused
        and (q.queue in pool.queues or ("*" in pool.queues and q.queue not in named))
    ]
    oldest = [q.oldest_submitted_at for q in served if q.oldest_submitted_at is not None]
    idle_seconds = settings.autoscaler.idle_seconds
    idle = [w for w in mine if w.idle_since is not None and now - w.idle_since >= idle_seconds]
    idle.sort(key=lambda w: w.idle_since or 0.0)
    ids = {w.worker_id for w in mine}
    return PoolLoad(
        pool.min_workers,
        pool.max_workers,
        pool.slots,
        len(mine),
        sum(not w.registered for w in mine),
        sum(len(w.holds) for w in reading.workers if w.info.worker_id in ids),
        sum(sum(q.waiting) for q in served),
        max(0.0, reading.at - min(oldest)) if oldest else 0.0,
        tuple(w.worker_id for w in idle),
    )
