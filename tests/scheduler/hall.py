"""Schedulers in a room of their own: a store in memory and a clock that a test moves."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from task_queue.core.effects import Accepted, Effects, Grant
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.invariants import check_invariants
from task_queue.core.machine import QueueMachine
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, Status
from task_queue.core.task import Lease, Report, Task
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Store, StoreError
from task_queue.testing import FakeClock, task_spec

T = TypeVar("T")
_DEADLINE_SECONDS = 30.0


class Hall:
    """Schedulers over one store, and what they told their host."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.data = MemoryStore()
        self.data.before_commit = self._before_commit
        self.commits = 0
        self.failures: list[Exception] = []  #: what the next commits raise
        self.watch: Callable[[], None] = lambda: None  #: called before each commit
        self.check: Callable[[QueueMachine], None] = check_invariants
        self.open_store: Callable[[], Store] = self.data.connect
        self.turns: list[Effects] = []
        self.troubles: list[tuple[str, BaseException]] = []
        self.dethroned = 0
        self.made: list[Scheduler] = []
        self._pulls: dict[str, int] = {}

    def make(self, rules: Rules | None = None) -> Scheduler:
        """One more scheduler, not started."""
        parts = SchedulerParts(
            lambda: self.open_store(), rules or Rules(), self.clock, new_task_id, lambda: 0.5,
            next_firing,
            on_turn=lambda fx, _now: self.turns.append(fx),
            on_trouble=lambda what, error: self.troubles.append((what, error)),
            on_dethroned=self._count_dethroned,
            check=lambda machine: self.check(machine),
        )  # fmt: skip
        self.made.append(Scheduler(parts))
        return self.made[-1]

    async def started(self, rules: Rules | None = None) -> Scheduler:
        scheduler = self.make(rules)
        await scheduler.started()
        return scheduler

    def close(self) -> None:
        for scheduler in self.made:
            scheduler.stop()

    def task(self, task_id: str) -> Task:
        """A task as it is committed."""
        task = self.data.get(task_id)
        assert task is not None
        return task

    def status(self, task_id: str) -> Status:
        return self.task(task_id).status

    def _before_commit(self) -> None:
        self.commits += 1
        self.watch()
        if self.failures:
            raise self.failures.pop(0)

    def _count_dethroned(self) -> None:
        self.dethroned += 1

    def pass_time(self, scheduler: Scheduler, seconds: float) -> None:
        """Let time pass as it does while a scheduler lives: it looks at the clock now and then."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            scheduler.tick()

    # ---- what callers do -------------------------------------------------------------------

    async def submit(self, scheduler: Scheduler, **fields: Any) -> str:
        answer = await scheduler.submit([task_spec(**fields)])
        assert isinstance(answer, Accepted)
        return answer.task_ids[0]

    async def register(
        self, scheduler: Scheduler, worker_id: str = "w1", incarnation: str = "a", slots: int = 1
    ) -> None:
        info = WorkerInfo(worker_id, incarnation, "pool", ("*",), slots)
        await scheduler.request(WorkerRegistered(msgspec.structs.replace(info)))

    def pull_event(
        self, worker_id: str = "w1", want: int = 1, reports: tuple[Report, ...] = (),
        incarnation: str = "a",
    ) -> WorkerPulled:  # fmt: skip
        seq = self._pulls[worker_id] = self._pulls.get(worker_id, 0) + 1
        return WorkerPulled(worker_id, incarnation, seq, want, list(reports))

    async def running(self, scheduler: Scheduler, **fields: Any) -> Lease:
        """A task that worker w1 was just leased."""
        await self.register(scheduler)
        await self.submit(scheduler, **fields)
        grant = await scheduler.pull(self.pull_event())
        (lease,) = grant.leases
        return lease

    async def end(self, scheduler: Scheduler, *reports: Report) -> None:
        """Worker w1 reports and wants nothing; returns when the reports are committed."""
        open_pull = background(scheduler.pull(self.pull_event(want=0, reports=reports)))
        await quiet()
        open_pull.cancel()

    async def dead_letters(self, scheduler: Scheduler, count: int, **fields: Any) -> list[str]:
        """Tasks that failed for good."""
        await self.register(scheduler, slots=count)
        specs = [task_spec(**fields) for _ in range(count)]
        await scheduler.submit(specs)
        grant = await scheduler.pull(self.pull_event(want=count))
        await self.end(scheduler, *(failed(lease) for lease in grant.leases))
        return [spec.id for spec in specs]


def succeeded(lease: Lease) -> Report:
    return Report(lease.task_id, lease.attempt, Outcome.SUCCEEDED, 1.0, 1.0, b"1")


def failed(lease: Lease) -> Report:
    return Report(lease.task_id, lease.attempt, Outcome.FAILED, 1.0, 1.0, retryable=False)


def store_failure() -> StoreError:
    return StoreError("the disk is full")


def background(call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A call that is not waited for yet."""
    return asyncio.get_running_loop().create_task(call)


async def quiet() -> None:
    """Until the scheduler has done all that was asked so far."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Until the condition holds; fails after a few seconds."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


def leased(grant: Grant) -> list[str]:
    return [lease.task_id for lease in grant.leases]
