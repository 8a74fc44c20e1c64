"""Where simulated schedulers and workers live, die and are started again."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any
from uuid import UUID

from actors.worker import Worker, WorkerRefused
from task_queue.core.events import WorkerLost
from task_queue.core.invariants import check_invariants
from task_queue.core.settings import Rules
from task_queue.core.worker import WorkerInfo
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.scheduler_parts import SchedulerParts
from tests.simulation.executors import SimulatedExecutors
from tests.simulation.faulty_store import FaultyStore
from tests.simulation.network import Network

RULES = Rules(lease_seconds=3.0, poll_seconds=1.0, max_deaths=50)
_RESTART_SECONDS = 0.5


class VirtualClock:
    """The loop's time; the wall clock of the scheduler's machine may be set."""

    def __init__(self) -> None:
        self.ahead = 1_700_000_000.0

    def now(self) -> float:
        return self.ahead + asyncio.get_running_loop().time()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


class SchedulerHost:
    """The schedulers over one store: one that counts, and perhaps one that was replaced."""

    def __init__(
        self, store: FaultyStore, clock: VirtualClock, random: Random, rules: Rules
    ) -> None:
        self.store = store
        self._rules = rules
        self.made: list[Scheduler] = []
        self.make_scheduler: Callable[[SchedulerParts], Scheduler] = Scheduler
        self._clock = clock
        self._random = random

    def start(self) -> None:
        """A further scheduler takes the store over."""
        scheduler = self.make_scheduler(
            SchedulerParts(
                self.store.connect, self._rules, self._clock, self.new_id, self._random.random,
                next_firing, check=check_invariants, ahead_from=1,
                on_dethroned=lambda: self._forget(scheduler),
            )
        )  # fmt: skip
        self.made.append(scheduler)
        scheduler.start()

    def find(self) -> Scheduler | None:
        """Callers that have not heard of the newer one may still find the older one."""
        return self._random.choice(self.made) if self.made else None

    async def crash(self) -> None:
        """All that is not in the store is gone; a while later there is a new one."""
        self.stop()
        await asyncio.sleep(_RESTART_SECONDS)
        if not self.made:
            self.start()

    def stop(self) -> None:
        made, self.made = self.made, []
        for scheduler in made:
            scheduler.stop()

    def new_id(self, now: float) -> str:
        milliseconds = int(now * 1000) & 0xFFFF_FFFF_FFFF
        noise = self._random.getrandbits(80)
        number = milliseconds << 80 | noise & ~(0xF << 76) | 0x7 << 76
        return str(UUID(int=number & ~(0x3 << 62) | 0x2 << 62))

    def _forget(self, scheduler: Scheduler) -> None:
        if scheduler in self.made:
            self.made.remove(scheduler)


class WorkerHost:
    """One worker id: its process is started again whenever it ends."""

    def __init__(
        self, worker_id: str, clock: VirtualClock, network: Network,
        make_executors: Callable[[str], SimulatedExecutors],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:  # fmt: skip
        self.worker_id = worker_id
        self._clock = clock
        self._network = network
        self._make_executors = make_executors
        self._spawn = spawn
        self._executors: SimulatedExecutors | None = None
        self._process: asyncio.Task[str] | None = None
        self._incarnation = 0

    async def live(self) -> None:
        """For ever: a process, then the next one."""
        while True:
            self._incarnation += 1
            name = f"{self.worker_id}#{self._incarnation}"
            executors = self._executors = self._make_executors(name)
            info = WorkerInfo(self.worker_id, name, "pool", ("*",), executors.plan.slots)
            worker = Worker(info, self._network, executors, self._clock)
            executors.on_change = worker.on_change
            self._process = asyncio.ensure_future(worker.run())
            await asyncio.wait([self._process])
            if not self._process.cancelled():
                error = self._process.exception()
                if error is not None and not isinstance(error, WorkerRefused):
                    raise error
            self._network.resume()
            await asyncio.sleep(_RESTART_SECONDS)

    def crash(self, is_told: bool) -> None:
        """kill -9; the supervisor tells the scheduler of it or, if not, the lease runs out."""
        if self._process is None or self._process.done() or self._executors is None:
            return
        self._executors.die()
        self._process.cancel()
        if is_told:
            self._spawn(self._tell_lost(f"{self.worker_id}#{self._incarnation}"))

    async def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT later."""
        executors = self._executors
        if executors is None or self._process is None or self._process.done():
            return
        executors.pause()
        self._network.pause()
        await asyncio.sleep(seconds)
        if executors is self._executors:
            self._network.resume()
        executors.resume()

    async def _tell_lost(self, incarnation: str) -> None:
        event = WorkerLost(self.worker_id, incarnation, "killed")
        while True:
            try:
                await self._network.request(event)
            except SchedulerUnavailable:
                await asyncio.sleep(_RESTART_SECONDS)
            else:
                return
