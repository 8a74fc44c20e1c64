"""Keeps the worker pools as large as they should be, and notices when a worker ends.

Runs beside the scheduler, as an actor of its own: creating actors and waiting for Ray must never
hold up a turn. What it knows it can learn anew: after a restart it finds living workers by name.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.handles import SchedulerHandle, WorkerEnded, WorkerHandle
from actors.options import worker_actor, worker_actor_name
from actors.worker_actor import WorkerActor, WorkerOrder
from cluster.autoscale import Decision, PoolLoad, ScalePolicy, decide
from monitoring.logs import get_logger
from task_queue.clock import Clock
from task_queue.core.events import WorkerLost, WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.ids import new_task_id
from task_queue.scheduler_api import SchedulerReading, SchedulerUnavailable
from task_queue.settings import Settings, settings_to_json

_BACKOFF_CAP_SECONDS = 30.0
_SETTLED_SECONDS = 10.0  #: a worker that lived so long did not fail at its start


class Supervised(Struct):
    """A worker that was started, or found, here."""

    worker_id: str
    incarnation: str
    pool: str
    handle: WorkerHandle
    started_at: float  #: monotonic
    registered: bool = False
    draining_since: float | None = None
    idle_since: float | None = None
    watch: asyncio.Task[None] | None = None


class PoolHealth(Struct):
    """How the pool's last starts went."""

    failures: int = 0
    wait_until: float = 0.0  #: monotonic; no start before


class Supervisor:
    """All pools of a cluster."""

    def __init__(
        self,
        settings: Settings,
        scheduler: SchedulerHandle,
        clock: Clock,
        create: Callable[[WorkerOrder], WorkerHandle] | None = None,
    ) -> None:
        self._settings = settings
        self._scheduler = scheduler
        self._clock = clock
        self._create = create or self._create_actor
        self._workers: dict[str, Supervised] = {}
        self._health = {name: PoolHealth() for name in settings.pools}
        self._reasons: dict[str, str] = {}
        self._log = get_logger("supervisor")
        scale = settings.autoscaler
        self._policy = ScalePolicy(
            scale.target_wait_seconds, scale.backlog_per_worker, scale.idle_seconds
        )

    async def run_for_ever(self) -> None:
        """Decide every `autoscaler.interval_seconds`."""
        while True:
            try:
                await self.run_once()
            except SchedulerUnavailable as error:
                self._log.warning("supervisor_waits", reason=str(error))
            await asyncio.sleep(self._settings.autoscaler.interval_seconds)

    async def run_once(self) -> dict[str, Decision]:
        """One look at the scheduler and what follows from it, by pool."""
        reading = await self._scheduler.read()
        await self._adopt(reading)
        decisions = {}
        for name in self._settings.pools:
            decision = decide(self._load(name, reading), self._policy)
            decisions[name] = decision
            await self._apply(name, decision)
        await self._end_overdue()
        return decisions

    async def stop(self, grace_seconds: float) -> int:
        """End every worker. Returns how many there were."""
        workers = list(self._workers.values())
        self._workers.clear()
        await asyncio.gather(*(self._end(worker, grace_seconds) for worker in workers))
        return len(workers)

    # ---- looking ---------------------------------------------------------------------------

    async def _adopt(self, reading: SchedulerReading) -> None:
        """Take note of registered workers; those unknown here were started before a restart."""
        now = self._clock.monotonic()
        for state in reading.workers:
            info = state.info
            worker = self._workers.get(info.worker_id)
            if worker is None:
                await self._find(info.worker_id, info.incarnation, info.pool)
            elif worker.incarnation == info.incarnation:
                worker.registered = True
                worker.idle_since = None if state.holds else (worker.idle_since or now)
                if info.status is WorkerStatus.DRAINING and worker.draining_since is None:
                    worker.draining_since = now

    async def _find(self, worker_id: str, incarnation: str, pool: str) -> None:
        handle = await WorkerHandle.find(worker_actor_name(worker_id), self._settings.ray.namespace)
        if handle is None:
            await self._scheduler.request(
                WorkerLost(worker_id, incarnation, "its actor does not exist")
            )
        elif pool in self._settings.pools:
            self._supervise(Supervised(worker_id, incarnation, pool, handle,
                                       self._clock.monotonic(), registered=True))  # fmt: skip

    def _load(self, name: str, reading: SchedulerReading) -> PoolLoad:
        pool, now = self._settings.pools[name], self._clock.monotonic()
        mine = [w for w in self._workers.values() if w.pool == name and w.draining_since is None]
        named = set(named_queues(self._settings))
        served = [
            q
            for q in reading.queues
            if not q.paused
            and (q.queue in pool.queues or ("*" in pool.queues and q.queue not in named))
        ]
        oldest = [q.oldest_submitted_at for q in served if q.oldest_submitted_at is not None]
        idle = [w for w in mine if w.idle_since is not None
                and now - w.idle_since >= self._policy.idle_seconds]  # fmt: skip
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

    # ---- acting ----------------------------------------------------------------------------

    async def _apply(self, name: str, decision: Decision) -> None:
        if decision.reason != self._reasons.get(name):
            self._reasons[name] = decision.reason
            self._log.info("pool_decision", pool=name, start=decision.start,
                           drain=list(decision.drain), reason=decision.reason)  # fmt: skip
        for worker_id in decision.drain:
            await self._scheduler.request(WorkerStatusWanted(worker_id, WorkerStatus.DRAINING))
            self._workers[worker_id].draining_since = self._clock.monotonic()
        if self._clock.monotonic() >= self._health[name].wait_until:
            for _ in range(min(decision.start, self._room_for_pending())):
                self._start(name)

    def _room_for_pending(self) -> int:
        pending = sum(not worker.registered for worker in self._workers.values())
        return max(0, self._settings.autoscaler.max_pending_workers - pending)

    def _start(self, pool: str) -> None:
        number = 1
        while f"{pool}-{number}" in self._workers:
            number += 1
        worker_id = f"{pool}-{number}"
        others = tuple(named_queues(self._settings))
        order = WorkerOrder(worker_id, new_task_id(self._clock.now()), pool, others)
        handle = self._create(order)
        self._supervise(
            Supervised(worker_id, order.incarnation, pool, handle, self._clock.monotonic())
        )

    def _create_actor(self, order: WorkerOrder) -> WorkerHandle:
        settings = self._settings
        made = worker_actor(
            WorkerActor, order.worker_id, settings.pools[order.pool], settings.ray.namespace
        )
        return WorkerHandle.create(made, settings_to_json(settings), order)

    def _supervise(self, worker: Supervised) -> None:
        self._workers[worker.worker_id] = worker
        worker.watch = asyncio.get_running_loop().create_task(self._watch(worker))

    async def _watch(self, worker: Supervised) -> None:
        """From the start of a worker to its end."""
        try:
            if not worker.registered:
                await worker.handle.start()
            cause = await worker.handle.watch()
        except WorkerEnded as error:
            cause = str(error)
        if self._workers.get(worker.worker_id) is worker:
            del self._workers[worker.worker_id]
        await self._report_end(worker, cause)
        worker.handle.kill()  # a worker that ended by itself leaves its process behind

    async def _report_end(self, worker: Supervised, cause: str) -> None:
        planned = cause in ("drained", "dismissed")
        health = self._health[worker.pool]
        lived = self._clock.monotonic() - worker.started_at
        if planned or lived > _SETTLED_SECONDS:
            health.failures = 0
        else:
            health.failures += 1
            wait = min(_BACKOFF_CAP_SECONDS, 0.5 * 2.0 ** min(health.failures, 10))
            health.wait_until = self._clock.monotonic() + wait
        log: Any = self._log.info if planned else self._log.error
        log("worker_ended", worker_id=worker.worker_id, cause=cause, lived_seconds=round(lived, 1))
        while True:
            try:
                await self._scheduler.request(
                    WorkerLost(worker.worker_id, worker.incarnation, cause)
                )
                return
            except SchedulerUnavailable:
                await asyncio.sleep(0.2)

    async def _end_overdue(self) -> None:
        """End workers whose drain takes longer than their pool allows."""
        now = self._clock.monotonic()
        for worker in list(self._workers.values()):
            limit = self._settings.pools[worker.pool].drain_seconds
            if worker.draining_since is not None and now - worker.draining_since > limit:
                worker.draining_since = now + _BACKOFF_CAP_SECONDS  # not again at the next look
                self._log.warning("drain_overdue", worker_id=worker.worker_id, limit_seconds=limit)
                asyncio.get_running_loop().create_task(self._end(worker, 0.0))

    async def _end(self, worker: Supervised, grace_seconds: float) -> None:
        try:
            async with asyncio.timeout(grace_seconds + 10.0):
                await worker.handle.shut_down(grace_seconds)
        except (WorkerEnded, TimeoutError) as error:
            self._log.warning("worker_killed", worker_id=worker.worker_id, reason=repr(error))
            worker.handle.kill()


def named_queues(settings: Settings) -> list[str]:
    """Queues that some pool names: those that "*" does not mean."""
    queues = {queue for pool in settings.pools.values() for queue in pool.queues}
    return sorted(queues - {"*"})
