"""Keeps the worker pools as large as they should be, and replaces a worker that ends.

Runs beside the scheduler, as an actor of its own: creating actors and waiting for Ray must never
hold up a turn. What it knows it can learn anew: after a restart it finds living workers by name.
Nothing that goes wrong in one look may end it, because nobody looks after the supervisor itself.
"""

import asyncio
import math
from collections.abc import Coroutine
from contextlib import suppress
from itertools import count
from typing import Any

from actors.handles import WorkerEnded
from actors.worker_actor import WorkerOrder
from cluster.autoscale import Decision, ScalePolicy, decide
from cluster.generation import generation_in, new_incarnation
from cluster.named_queues import named_queues
from cluster.node_watch import Nodes
from cluster.pool_health import BACKOFF_CAP_SECONDS, PoolHealth
from cluster.pool_load import pool_load
from cluster.supervised import Supervised, WorkerMaker
from cluster.worker_ends import WorkerEnds
from monitoring.logs import get_logger
from task_queue.clock import Clock
from task_queue.core.events import WorkerLost, WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.scheduler_api import SchedulerApi, SchedulerReading, SchedulerUnavailable
from task_queue.settings import PoolSettings, Settings

_SETTLED_SECONDS = 10.0  #: a worker that lived so long did not fail at its start
#: Between the interruption of tasks and the end of their machine, for telling; half of what is left
#: at most.
_MARGIN_SECONDS = 2.0
_SOONER_SECONDS = 0.5  #: by so much at least; two readings of clocks differ too
_DRAIN_SECONDS = PoolSettings().drain_seconds  #: of workers whose pool is in the settings no more


class Supervisor:
    """All pools of a cluster."""

    def __init__(
        self,
        settings: Settings,
        scheduler: SchedulerApi,
        clock: Clock,
        maker: WorkerMaker,
        nodes: Nodes,
        generation: str = "",
    ) -> None:
        """
        Args:
            generation: of the workers that are started here; others are drained and replaced.
        """
        self._settings = settings
        self._scheduler = scheduler
        self._clock = clock
        self._maker = maker
        self._generation = generation
        self._workers: dict[str, Supervised] = {}
        self._health: dict[str, PoolHealth] = {}
        self._reasons: dict[str, str] = {}
        self._worker_ended = asyncio.Event()
        self._ends = WorkerEnds(scheduler, nodes)
        self._log = get_logger("supervisor")
        scale = settings.autoscaler
        self._policy = ScalePolicy(
            scale.target_wait_seconds, scale.backlog_per_worker, scale.idle_seconds
        )

    async def run_for_ever(self) -> None:
        """Decide every `autoscaler.interval_seconds`, and at once when a worker has ended."""
        while True:
            try:
                await self.run_once()
            except SchedulerUnavailable as error:
                self._log.warning("supervisor_waits", reason=str(error))
            except Exception:  # noqa: BLE001  whatever it was, the next look may go well
                self._log.exception("supervisor_trouble")
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.autoscaler.interval_seconds):
                    await self._worker_ended.wait()
            self._worker_ended.clear()

    async def run_once(self) -> dict[str, Decision]:
        """One look at the scheduler and what follows from it, by pool."""
        reading = await self._scheduler.read()
        await self._adopt(reading)
        self._drop_lost(reading)
        taken = {state.info.worker_id for state in reading.workers}
        decisions = {}
        for name in self._settings.pools:
            now = self._clock.monotonic()
            load = pool_load(self._settings, name, reading, self._workers.values(), now)
            decisions[name] = decide(load, self._policy)
            await self._apply(name, decisions[name], taken)
        self._end_overdue()
        return decisions

    def leave_node(self, node_id: str, gone_at: float) -> None:
        """Have the workers of a machine end in time: they give back at once what has not started.

        It may be called again and again while the machine drains.

        Args:
            node_id: in Ray's words.
            gone_at: when it is taken away, by the monotonic clock; inf: not before nothing runs
                on it any more.
        """
        now = self._clock.monotonic()
        for worker in list(self._workers.values()):
            if worker.node_id != node_id:
                continue
            if math.isinf(gone_at):
                ends_by = now + self._drain_seconds(worker)
            else:
                ends_by = gone_at - min(_MARGIN_SECONDS, max(0.0, gone_at - now) / 2)
            known = math.inf if worker.ends_by is None else worker.ends_by
            if not worker.node_goes or ends_by < known - _SOONER_SECONDS:
                worker.node_goes, worker.ends_by = True, min(ends_by, known)
                self._ends.leave(worker, max(0.0, worker.ends_by - now))

    # ---- looking ---------------------------------------------------------------------------

    async def _adopt(self, reading: SchedulerReading) -> None:
        """Take note of registered workers; those unknown here were started before a restart."""
        now = self._clock.monotonic()
        for state in reading.workers:
            info = state.info
            if info.worker_id not in self._workers:
                await self._find(info)
            worker = self._workers.get(info.worker_id)
            if worker is None or worker.incarnation != info.incarnation:
                continue
            worker.registered, worker.node_id = True, info.node_id
            worker.idle_since = None if state.holds else (worker.idle_since or now)
            if info.status is WorkerStatus.DRAINING and worker.ends_by is None:
                worker.ends_by = now + self._drain_seconds(worker)
            if generation_in(info.incarnation) != self._generation:
                await self._drain(worker)

    async def _find(self, info: WorkerInfo) -> None:
        handle = await self._maker.find(info.worker_id)
        if handle is None:
            await self._scheduler.request(
                WorkerLost(info.worker_id, info.incarnation, "its actor does not exist")
            )
        else:
            worker = Supervised(info.worker_id, info.incarnation, info.pool, handle,
                                self._clock.monotonic(), registered=True)  # fmt: skip
            self._supervise(worker, handle.watch())

    def _drop_lost(self, reading: SchedulerReading) -> None:
        """End workers whose lease ran out: they may hang for ever, and others are needed now.

        One that drains goes by itself, or `_end_overdue` sees to it.
        """
        living = {(state.info.worker_id, state.info.incarnation) for state in reading.workers}
        for worker in list(self._workers.values()):
            known = (worker.worker_id, worker.incarnation) in living
            if worker.registered and worker.ends_by is None and not known:
                self._log.error("worker_silent", worker_id=worker.worker_id)
                del self._workers[worker.worker_id]
                self._ends.kill(worker)

    # ---- acting ----------------------------------------------------------------------------

    async def _apply(self, name: str, decision: Decision, taken: set[str]) -> None:
        if decision.reason != self._reasons.get(name):
            self._reasons[name] = decision.reason
            self._log.info("pool_decision", pool=name, start=decision.start,
                           drain=list(decision.drain), reason=decision.reason)  # fmt: skip
        for worker_id in decision.drain:
            worker = self._workers.get(worker_id)
            if worker is not None:  # it may have ended while others were told
                await self._drain(worker)
        for _ in range(min(decision.start, self._room_for_pending())):
            if self._clock.monotonic() >= self._health_of(name).wait_until:
                await self._start(name, taken)

    async def _drain(self, worker: Supervised) -> None:
        if worker.ends_by is None:
            wanted = WorkerStatusWanted(worker.worker_id, WorkerStatus.DRAINING)
            await self._scheduler.request(wanted)
            worker.ends_by = self._clock.monotonic() + self._drain_seconds(worker)

    def _drain_seconds(self, worker: Supervised) -> float:
        pool = self._settings.pools.get(worker.pool)
        return pool.drain_seconds if pool is not None else _DRAIN_SECONDS

    def _room_for_pending(self) -> int:
        pending = sum(not worker.registered for worker in self._workers.values())
        return max(0, self._settings.autoscaler.max_pending_workers - pending)

    async def _start(self, pool: str, taken: set[str]) -> None:
        others = tuple(named_queues(self._settings))
        incarnation = new_incarnation(new_task_id(self._clock.now()), self._generation)
        try:
            worker_id = await self._free_id(pool, taken)
            handle = self._maker.create(WorkerOrder(worker_id, incarnation, pool, others))
        except Exception:  # noqa: BLE001  the other pools must go on
            self._log.exception("worker_not_started", pool=pool)
            self._health_of(pool).failed(self._clock.monotonic())
            return
        now = self._clock.monotonic()
        self._supervise(Supervised(worker_id, incarnation, pool, handle, now), handle.run())

    async def _free_id(self, pool: str, taken: set[str]) -> str:
        """An id that neither the scheduler nor Ray connects with a worker."""
        ids = (f"{pool}-{number}" for number in count(1))
        for worker_id in ids:
            if worker_id in taken or worker_id in self._workers:
                continue
            stray = await self._maker.find(worker_id)
            if stray is None:
                return worker_id
            # Just killed, or started by a supervisor that died: nobody watches it, so it must go.
            self._log.warning("worker_unknown", worker_id=worker_id)
            stray.kill()
        raise AssertionError("count() ended")

    def _supervise(self, worker: Supervised, life: Coroutine[Any, Any, str]) -> None:
        self._workers[worker.worker_id] = worker
        worker.watch = asyncio.get_running_loop().create_task(self._watch(worker, life))

    # ---- ends ------------------------------------------------------------------------------

    async def _watch(self, worker: Supervised, life: Coroutine[Any, Any, str]) -> None:
        """From the start of a worker to its end. Its id is free again only after its process."""
        try:
            cause = await self._end_of(life, worker)
            self._ends.kill(worker)  # a worker that ended by itself leaves its process behind
            self._note_end(worker, cause)
            await self._ends.report(worker, cause)
        except Exception:  # noqa: BLE001  nobody awaits this task
            self._log.exception("watch_failed", worker_id=worker.worker_id)
        finally:
            if self._workers.get(worker.worker_id) is worker:
                del self._workers[worker.worker_id]
            self._worker_ended.set()

    async def _end_of(self, life: Coroutine[Any, Any, str], worker: Supervised) -> str:
        """Returns when it is over, and why."""
        try:
            return await life
        except WorkerEnded as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  then it cannot be kept
            self._log.exception("watch_failed", worker_id=worker.worker_id)
            return f"it could not be watched: {error!r}"

    def _note_end(self, worker: Supervised, cause: str) -> None:
        planned = cause in ("drained", "dismissed")
        lived = self._clock.monotonic() - worker.started_at
        if planned or lived > _SETTLED_SECONDS:
            self._health_of(worker.pool).worked()
        else:
            self._health_of(worker.pool).failed(self._clock.monotonic())
        log: Any = self._log.info if planned else self._log.error
        log("worker_ended", worker_id=worker.worker_id, cause=cause, lived_seconds=round(lived, 1))

    def _health_of(self, pool: str) -> PoolHealth:
        return self._health.setdefault(pool, PoolHealth())

    def _end_overdue(self) -> None:
        """End workers whose drain takes longer than their pool allows.

        Those on a machine that goes were told when they have to be gone.
        """
        now = self._clock.monotonic()
        for worker in list(self._workers.values()):
            if worker.ends_by is not None and now > worker.ends_by and not worker.node_goes:
                worker.ends_by = now + BACKOFF_CAP_SECONDS  # not again at the next look
                self._log.warning("drain_overdue", worker_id=worker.worker_id)
                self._ends.end_soon(worker, 0.0)
