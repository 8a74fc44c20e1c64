"""A scheduler and its workers in this process: no Ray, no HTTP, no tasks that really run."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from task_queue.clock import SystemClock
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report, TaskSpec
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.store.protocol import Store
from task_queue.store.sqlite import SqliteStore
from task_queue.testing import task_spec

BATCH = 1_000
#: So long that no worker which only waits is heard from, or lost, during a measurement.
_PATIENT = Rules(lease_seconds=7_200.0, poll_seconds=3_600.0)


@asynccontextmanager
async def local_scheduler(open_store: Callable[[], Store]) -> AsyncIterator[Scheduler]:
    """A scheduler that has loaded its store, stopped afterwards."""
    scheduler = Scheduler(
        SchedulerParts(
            open_store, _PATIENT, SystemClock(), new_task_id, random.Random(0).random, next_firing
        )
    )
    await scheduler.started()
    try:
        yield scheduler
    finally:
        scheduler.stop()


def sqlite_in(folder: Path, name: str = "queue") -> Callable[[], Store]:
    """How to open a SQLite store in a folder."""
    return lambda: SqliteStore(folder / f"{name}.db")


class LocalWorker:
    """A worker whose tasks succeed in no time. It pulls as a real one does."""

    def __init__(self, scheduler: Scheduler, number: int = 1, slots: int = 4) -> None:
        self.id = f"w-{number}"
        self.slots = slots
        self.pulls = 0
        self._scheduler = scheduler

    async def register(self) -> None:
        """Make it known."""
        info = WorkerInfo(self.id, "i", "p", ("*",), self.slots)
        await self._scheduler.request(WorkerRegistered(info))

    async def pull(self, want: int, reports: list[Report]) -> list[Lease]:
        """Report, and get new leases: waits until there are any.

        Raises:
            RuntimeError: the scheduler knows another worker of this name, from an earlier run.
        """
        grant = await self._scheduler.pull(self._event(want, reports))
        if grant.order:
            raise RuntimeError(f"{self.id} is told '{grant.order}': give each run its own store")
        return grant.leases

    async def report(self, reports: list[Report]) -> None:
        """Report, and wait for nothing."""
        await self._scheduler.request(self._event(0, reports))

    async def work(self, tasks: int, want: int = BATCH) -> None:
        """Do so many tasks that wait or are yet to come, `want` at a time."""
        reports: list[Report] = []
        while tasks > 0:
            reports = succeeded(await self.pull(min(want, tasks), reports))
            tasks -= len(reports)
        await self.report(reports)

    def _event(self, want: int, reports: list[Report]) -> WorkerPulled:
        self.pulls += 1
        return WorkerPulled(self.id, "i", self.pulls, want, reports)


def succeeded(leases: list[Lease]) -> list[Report]:
    """What a worker says of tasks that went well."""
    return [Report(x.task_id, x.attempt, Outcome.SUCCEEDED, 0.0, 0.001, b"null") for x in leases]


def batches(tasks: int) -> list[list[TaskSpec]]:
    """So many no-op tasks, a thousand to a batch; the last one may be smaller.

    Their ids are of this moment, as in life: a store is slower with ids in no order.
    """
    now = SystemClock().now
    return [
        [task_spec(now=now()) for _ in range(min(BATCH, tasks - n))] for n in range(0, tasks, BATCH)
    ]


async def submit(scheduler: Scheduler, tasks: list[list[TaskSpec]]) -> None:
    """Submit batch after batch."""
    for specs in tasks:
        await scheduler.submit(specs)
