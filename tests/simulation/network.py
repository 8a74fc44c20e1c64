"""The way from one caller to the scheduler: messages are late, lost, repeated and out of order."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar

import msgspec

from task_queue.core.effects import Accepted, Answer, Grant, Refused
from task_queue.core.events import Event, WorkerPulled, WorkerRegistered
from task_queue.core.task import TaskSpec
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from tests.simulation.plan import Plan

T = TypeVar("T")
_TIMEOUT_SECONDS = 1.0
_LATEST_COPY_SECONDS = 5.0


class Network:
    """A SchedulerApi as one caller has it; only what clients of the simulation and workers call."""

    def __init__(
        self, plan: Plan, random: Random, find: Callable[[], Scheduler | None],
        spawn: Callable[[Awaitable[None]], object],
    ) -> None:  # fmt: skip
        self.plan = plan
        self._random = random
        self._find = find
        self._spawn = spawn
        self._open = asyncio.Event()
        self._open.set()

    def pause(self) -> None:
        """The caller stands still: nothing leaves and nothing arrives."""
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        return await self.call(lambda scheduler: scheduler.submit(specs, repeated))

    async def request(self, event: Event) -> Answer:
        return await self.call(lambda scheduler: scheduler.request(_own(event)))

    async def pull(self, event: WorkerPulled) -> Grant:
        return await self.call(lambda scheduler: scheduler.pull(event))

    async def call(self, call: Callable[[Scheduler], Awaitable[T]]) -> T:
        """Let one scheduler do something, and wait for its answer."""
        if self._random.random() < self.plan.duplicate:
            self._spawn(self._again(call))
        await self._way()
        scheduler = self._find()
        if scheduler is None:
            raise SchedulerUnavailable("there is no scheduler")
        answer = await call(scheduler)
        await self._way()
        return answer

    async def _again(self, call: Callable[[Scheduler], Awaitable[T]]) -> None:
        """A copy of a request; its answer goes nowhere."""
        await asyncio.sleep(self._random.uniform(0.0, _LATEST_COPY_SECONDS))
        scheduler = self._find()
        if scheduler is not None:
            try:
                await call(scheduler)
            except SchedulerUnavailable:
                return  # nobody waits for it

    async def _way(self) -> None:
        if self._random.random() < self.plan.loss:
            await asyncio.sleep(_TIMEOUT_SECONDS)
            raise SchedulerUnavailable("a message was lost")
        await asyncio.sleep(self._random.expovariate(1.0 / self.plan.delay_seconds))
        await self._open.wait()


def _own(event: Event) -> Event:
    """Each side has a copy of its own of what both would change."""
    if isinstance(event, WorkerRegistered):
        return WorkerRegistered(msgspec.structs.replace(event.info))
    return event
