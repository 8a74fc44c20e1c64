"""What people, calendars and retention do to a simulated queue."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from math import ceil
from random import Random
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from task_queue.core.effects import Done
from task_queue.core.events import (
    QueuePaused,
    ScheduleDeleted,
    ScheduleSaved,
    WorkerStatusWanted,
)
from task_queue.core.schedule import Schedule
from task_queue.core.status import WorkerStatus
from task_queue.core.task import Task
from task_queue.history import Kind
from task_queue.pruner import Pruner
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.testing import task_spec
from tests.simulation.faulty_store import FIRED_TASK
from tests.simulation.hosts import SchedulerHost, VirtualClock, WorkerHost
from tests.simulation.network import Network
from tests.simulation.plan import Plan

QUEUES = ("q0", "q1")
_LONGEST_PAUSE_SECONDS = 4.0
_RETRY_SECONDS = 0.25
_PRUNE_EVERY_SECONDS = 3.0
#: Far more than there are: tasks go by their age alone.
_MOST_ENDED = 10_000

T = TypeVar("T")


class Operators:
    """Each of them repeats a call until it is answered."""

    def __init__(
        self, plan: Plan, random: Random, clock: VirtualClock, host: SchedulerHost,
        workers: Sequence[WorkerHost], network: Network, tell: Callable[..., None],
        accepted: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._plan = plan
        self._random = random
        self._clock = clock
        self._host = host
        self._workers = workers
        self._network = network
        self._tell = tell
        self._accepted = accepted  #: called with the id of a task that a schedule submitted
        self._schedules: dict[str, Schedule] = {}  #: as they were saved
        self._last: dict[str, str] = {}  #: by schedule, the task that it submitted last

    def work(self) -> list[Coroutine[Any, Any, None]]:
        """All that ends by itself, when the busy time is over."""
        plan = self._plan
        return [
            self._at_times(plan.queue_pauses, self._pause_queue),
            self._at_times(plan.drains, self._drain_worker),
            *(self._keep_schedule(f"s{number}") for number in range(plan.schedules)),
        ]

    async def prune(self) -> None:
        """For ever, as a scheduler's own pruner does."""
        while True:
            await asyncio.sleep(_PRUNE_EVERY_SECONDS)
            scheduler = self._host.find()
            if scheduler is None:
                continue
            pruner = Pruner(scheduler, self._clock, self._plan.keep_seconds, _MOST_ENDED)
            try:
                await pruner.prune()
            except SchedulerUnavailable:
                continue  # at another time

    def note_fired(self, task: Task) -> None:
        """The store has saved a task that a schedule submitted."""
        schedule_id = task.spec.tags[0]
        schedule = self._schedules[schedule_id]
        assert schedule.interval_seconds is not None
        last = self._host.store.get(self._last.get(schedule_id, ""))
        self._tell(
            Kind.FIRED, task.spec.id, queue=task.spec.queue, schedule=schedule_id,
            status="" if last is None else str(last.status),
            due=int((task.submitted_at - schedule.next_run_at) // schedule.interval_seconds),
        )  # fmt: skip
        self._last[schedule_id] = task.spec.id
        self._accepted(task.spec.id)

    # ---- queues and workers ----------------------------------------------------------------

    async def _at_times(self, rate: float, act: Callable[[], Awaitable[None]]) -> None:
        """One after the other, so that none undoes the other's work."""
        loop = asyncio.get_running_loop()
        while rate:
            wait = self._random.expovariate(rate)
            if loop.time() + wait > self._plan.busy_seconds:
                return
            await asyncio.sleep(wait)
            await act()

    async def _pause_queue(self) -> None:
        queue = self._random.choice(QUEUES)
        await self._insist(lambda: self._network.request(QueuePaused(queue, paused=True)))
        self._tell(Kind.QUEUE_PAUSED, queue=queue)
        await asyncio.sleep(self._random.uniform(0.0, _LONGEST_PAUSE_SECONDS))
        self._tell(Kind.QUEUE_RESUMED, queue=queue)
        await self._insist(lambda: self._network.request(QueuePaused(queue, paused=False)))

    async def _drain_worker(self) -> None:
        worker = self._random.choice(self._workers)
        within = self._random.choice((None, 0.0, self._random.uniform(0.0, 5.0)))

        async def drain(scheduler: Scheduler) -> str:
            """The incarnation that drains; empty if there is none."""
            wanted = WorkerStatusWanted(worker.worker_id, WorkerStatus.DRAINING, within)
            answer = await scheduler.request(wanted)
            machine = scheduler._turns._machine
            state = machine.workers.get(worker.worker_id) if machine is not None else None
            drains = state is not None and state.info.status is WorkerStatus.DRAINING
            return state.info.incarnation if state and drains and isinstance(answer, Done) else ""

        incarnation = await self._insist(lambda: self._network.call(drain))
        if incarnation:
            self._tell(Kind.WORKER_DRAINING, worker=incarnation)

    # ---- schedules -------------------------------------------------------------------------

    async def _keep_schedule(self, schedule_id: str) -> None:
        """Save it, let it fire, and delete it, some time before or after the end of the faults."""
        random, busy = self._random, self._plan.busy_seconds
        await asyncio.sleep(random.uniform(0.0, busy / 2))
        overlap: Literal["skip", "allow"] = random.choice(("skip", "allow"))
        # Whole numbers: due times are exact.
        step, first = random.choice((1.0, 2.0, 4.0)), ceil(self._clock.now()) + 1.0
        template = task_spec(
            FIRED_TASK, id="", queue=random.choice(QUEUES), max_retries=100, retry_cap_seconds=2.0,
            tags=(schedule_id,),
        )  # fmt: skip
        schedule = Schedule(
            schedule_id, template, first, interval_seconds=step, overlap=overlap,
            missed=random.choice(("run_once", "skip")), created_at=first,
        )  # fmt: skip
        self._schedules[schedule_id] = replace(schedule)
        await self._insist(lambda: self._network.request(ScheduleSaved(replace(schedule))))
        self._tell(
            Kind.SCHEDULE_SAVED, schedule=schedule_id, overlap=overlap, seconds=step
        )  # fmt: skip
        until = busy + random.uniform(-busy / 4, 6.0)
        await asyncio.sleep(max(0.0, until - asyncio.get_running_loop().time()))
        self._tell(Kind.SCHEDULE_ENDING, schedule=schedule_id)
        await self._insist(lambda: self._network.request(ScheduleDeleted(schedule_id)))
        self._tell(Kind.SCHEDULE_DELETED, schedule=schedule_id)

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await call()
            except SchedulerUnavailable:
                await asyncio.sleep(_RETRY_SECONDS)
