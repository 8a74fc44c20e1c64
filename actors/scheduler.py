"""The scheduler actor: `task_queue.scheduler.Scheduler` behind bytes, and its pruner.

The constructor only keeps what it is given, because an exception in an actor's constructor ends the
actor for good. Everything that can fail happens in `Scheduler`, which waits for its store.
"""

import asyncio
import gc
import random

from actors.call_codec import (
    decode_catalogue,
    decode_event,
    decode_pull,
    decode_query,
    decode_specs,
    encode,
)
from monitoring.logs import configure_logs, get_logger
from task_queue.clock import Clock, SystemClock
from task_queue.core.invariants import check_invariants
from task_queue.core.machine import QueueMachine
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler, SchedulerParts
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.settings import Settings, settings_from_json
from task_queue.store import open_store

_PRUNE_BATCH = 1_000
_PRUNE_PAUSE_SECONDS = 0.05


class SchedulerActor:
    """What `ray.remote` wraps. One async actor, one event loop, no concurrency groups."""

    def __init__(self, settings_json: bytes) -> None:
        self._settings_json = settings_json
        self._life: SchedulerLife | None = None

    async def ready(self) -> None:
        """Returns when the store is loaded."""
        await self._begun().scheduler.started()

    async def submit(self, specs: bytes, repeated: bool) -> bytes:
        return encode(await self._begun().scheduler.submit(decode_specs(specs), repeated))

    async def request(self, event: bytes) -> bytes:
        return encode(await self._begun().scheduler.request(decode_event(event)))

    async def pull(self, event: bytes) -> bytes:
        return encode(await self._begun().scheduler.pull(decode_pull(event)))

    async def retry(self, task_id: str) -> bytes:
        return encode(await self._begun().scheduler.retry(task_id))

    async def replay(self, query: bytes, limit: int, dry_run: bool) -> int:
        return await self._begun().scheduler.replay(decode_query(query), limit, dry_run)

    async def purge_dlq(self, query: bytes) -> int:
        return await self._begun().scheduler.purge_dlq(decode_query(query))

    async def wait_over(self, task_ids: list[str], timeout_seconds: float) -> None:
        await self._begun().scheduler.wait_over(task_ids, timeout_seconds)

    async def declare(self, catalogue: bytes) -> None:
        said = decode_catalogue(catalogue)
        await self._begun().scheduler.declare(said.pools, said.task_types)

    async def read(self) -> bytes:
        return encode(await self._begun().scheduler.read())

    async def stop(self) -> None:
        """Let the store go; the process may be ended after that."""
        self._begun().stop()

    def _begun(self) -> "SchedulerLife":
        """Starts at the first call: only then does the event loop of the actor run."""
        if self._life is None:
            self._life = SchedulerLife(settings_from_json(self._settings_json))
            self._life.start()
        return self._life


class SchedulerLife:
    """The scheduler with all it needs, from its settings."""

    def __init__(self, settings: Settings) -> None:
        configure_logs(settings.logging.level, settings.logging.format)
        self._log = get_logger("scheduler")
        self._clock: Clock = SystemClock()
        self._retention = settings.retention
        self._pruning: asyncio.Task[None] | None = None
        parts = SchedulerParts(
            lambda: open_store(settings.store.url),
            settings.rules(),
            self._clock,
            new_task_id,
            random.Random().random,
            next_firing,
            on_trouble=self._on_trouble,
        )
        if settings.limits.check_invariants:
            parts.check = self._check
        self.scheduler = Scheduler(parts)

    def start(self) -> None:
        self.scheduler.start()
        self._pruning = asyncio.get_running_loop().create_task(self._prune_for_ever())

    def stop(self) -> None:
        if self._pruning is not None:
            self._pruning.cancel()
        self.scheduler.stop()

    async def _prune_for_ever(self) -> None:
        await self.scheduler.started()
        # What was loaded lives long: full collections need not look at it again and again.
        gc.freeze()
        while True:
            await asyncio.sleep(self._retention.prune_interval_seconds)
            try:
                await self._prune_once()
            except SchedulerUnavailable as error:
                self._log.warning("prune_postponed", reason=str(error))

    async def _prune_once(self) -> int:
        """Delete in batches that do not hold up the queue. Returns how many rows went."""
        total = 0
        before = self._clock.now() - self._retention.finished_seconds
        while count := self.scheduler.prune(before, _PRUNE_BATCH):
            total += count
            await asyncio.sleep(_PRUNE_PAUSE_SECONDS)
        if total:
            self._log.info("pruned", rows=total)
        return total

    def _on_trouble(self, what: str, error: BaseException) -> None:
        self._log.error("scheduler_trouble", what=what, error=repr(error))

    def _check(self, machine: QueueMachine) -> None:
        check_invariants(machine)
