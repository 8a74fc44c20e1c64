"""How many workers a pool should have: a pure function of a snapshot.

Waiting time comes first, because it is what a caller feels; the length of the backlog second,
because it tells of waiting to come. Every decision carries its reason in words.
"""

import math

from msgspec import Struct


class PoolLoad(Struct, frozen=True):
    """One pool at one moment."""

    min_workers: int
    max_workers: int
    slots: int  #: per worker
    workers: int  #: alive or coming: active, paused and pending ones
    pending: int  #: of these, not yet registered
    busy_slots: int  #: leases that its workers hold
    waiting: int  #: QUEUED tasks in the queues that it serves, paused ones left out
    oldest_wait_seconds: float
    idle: tuple[str, ...] = ()  #: workers without a lease for `idle_seconds`, longest first


class ScalePolicy(Struct, frozen=True):
    """The operator's wishes: see AutoscalerSettings."""

    target_wait_seconds: float
    backlog_per_worker: int  #: per slot
    idle_seconds: float


class Decision(Struct, frozen=True):
    """What to do with a pool now."""

    start: int = 0
    drain: tuple[str, ...] = ()
    reason: str = "as it should be"


def decide(load: PoolLoad, policy: ScalePolicy) -> Decision:
    """How many workers to start, or which to drain."""
    if load.workers < load.min_workers:
        missing = load.min_workers - load.workers
        return Decision(missing, reason=f"{load.workers} of at least {load.min_workers} workers")
    wanted, reason = _wanted(load, policy)
    wanted = min(wanted, load.max_workers)
    if wanted > load.workers:
        return Decision(wanted - load.workers, reason=reason)
    spare = load.workers - load.min_workers
    if load.waiting == 0 and spare > 0 and load.idle:
        drained = load.idle[:1]  # one at a time: the next reading tells whether it was missed
        return Decision(drain=drained, reason=f"{drained[0]} idle for {policy.idle_seconds:.0f} s")
    return Decision()


def _wanted(load: PoolLoad, policy: ScalePolicy) -> tuple[int, str]:
    """Workers that the load asks for, before the pool's bounds."""
    if load.waiting == 0:
        return load.workers, ""
    if load.workers == 0:
        return 1, f"{load.waiting} tasks wait and there is no worker"
    if load.pending:  # what was asked for last time has not helped yet
        return load.workers, ""
    if load.oldest_wait_seconds > policy.target_wait_seconds and not _has_room(load):
        # At most twice as many at a time: a longer wait may be over before more could help.
        factor = min(2.0, load.oldest_wait_seconds / policy.target_wait_seconds)
        wanted = max(load.workers + 1, math.ceil(load.workers * factor))
        return wanted, (
            f"the oldest task waits {load.oldest_wait_seconds:.1f} s, "
            f"target {policy.target_wait_seconds:.1f} s"
        )
    carried = policy.backlog_per_worker * load.slots
    if load.waiting > carried * load.workers:
        wanted = min(load.workers * 2, math.ceil(load.waiting / carried))
        return wanted, f"{load.waiting} tasks wait, {carried} for each worker are in order"
    return load.workers, ""


def _has_room(load: PoolLoad) -> bool:
    """Whether free slots will take the waiting tasks without new workers."""
    free = load.workers * load.slots - load.busy_slots
    return free >= load.waiting
