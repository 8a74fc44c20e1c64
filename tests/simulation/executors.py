"""Executors of a simulated worker: attempts take virtual time and tell the history what they do."""

import asyncio
from collections.abc import Callable
from random import Random

from task_queue.core.status import Outcome
from task_queue.core.task import Lease, ProgressNote, Report
from task_queue.errors import TaskQueueError
from task_queue.history import Kind
from task_queue.tasks import TaskType
from tests.simulation.plan import Plan

_LONGEST_SECONDS = 1.5


class SimulatedExecutors:
    """What `actors.worker.Executors` asks for."""

    def __init__(
        self, plan: Plan, random: Random, tell: Callable[[Kind, Lease, str], None]
    ) -> None:
        self.plan = plan
        self.start_error: TaskQueueError | None = None
        self.on_change: Callable[[], None] = lambda: None
        self._random = random
        self._tell = tell  #: what an attempt writes to the ledger: kind, lease, result
        self._waiting: list[Lease] = []
        self._running: dict[tuple[str, int], tuple[Lease, float, asyncio.TimerHandle]] = {}
        self._start_before: dict[tuple[str, int], float] = {}
        self._reports: list[Report] = []
        self._unseen: list[Report] = []  #: ended while the worker stood still
        self._trusted_until = 0.0
        self._paused = self._dead = self._stopping = False

    async def start(self) -> list[TaskType]:
        return []

    @property
    def backlog(self) -> int:
        return len(self._waiting)

    def start_before(self, task_id: str, attempt: int, moment: float) -> None:
        loop = asyncio.get_running_loop()
        self._start_before[task_id, attempt] = moment
        loop.call_at(moment, self._fill)

    def run(self, leases: list[Lease]) -> None:
        self._waiting += leases
        if self._stopping:
            self.release_unstarted()
        self._fill()

    def decline(self, leases: list[Lease]) -> None:
        for lease in leases:
            self._report(lease, 0.0, Outcome.RELEASED)

    def cancel(self, cancels: list[tuple[str, int]]) -> None:
        for lease in [w for w in self._waiting if (w.task_id, w.attempt) in cancels]:
            self._waiting.remove(lease)
            self._report(lease, 0.0, Outcome.CANCELLED)
        for mark in cancels:
            if mark in self._running:
                self._interrupt(mark, Outcome.CANCELLED)
        self._fill()

    def release_unstarted(self) -> None:
        waiting, self._waiting = self._waiting, []
        for lease in waiting:
            self._report(lease, 0.0, Outcome.RELEASED)

    def take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def take_progress(self) -> list[ProgressNote]:
        return []

    def holding(self) -> list[tuple[str, int]]:
        told = [(r.task_id, r.attempt) for r in (*self._reports, *self._unseen)]
        return [*((w.task_id, w.attempt) for w in self._waiting), *self._running, *told]

    @property
    def held(self) -> int:
        return len(self.holding())

    def wanted_leases(self) -> int:
        return self.plan.slots + self.plan.read_ahead

    def expects_end_within(self, seconds: float) -> bool:
        return bool(self._running)  # mostly wrong, which must do no harm

    def trust_until(self, moment: float) -> None:
        self._trusted_until = max(self._trusted_until, moment)

    async def stop(self, grace_seconds: float) -> None:
        self._stopping = True
        if not self._dead:
            self.release_unstarted()
            for mark in list(self._running):
                self._interrupt(mark, Outcome.RELEASED)

    def die(self) -> None:
        """kill -9 of the worker and its children: nothing is told to anybody."""
        self._dead = True
        for _, _, timer in self._running.values():
            timer.cancel()

    def pause(self) -> None:
        """SIGSTOP of the worker: its children go on, and it starts and hears nothing."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._reports += self._unseen
        self._unseen.clear()
        self._fill()
        self.on_change()

    def _fill(self) -> None:
        if self._dead:  # a stopped process can be killed: no SIGCONT brings it back
            return
        if asyncio.get_running_loop().time() >= self._trusted_until and not self._paused:
            self.release_unstarted()
        self._release_late()
        while self._waiting and len(self._running) < self.plan.slots and not self._paused:
            lease = self._waiting.pop(0)
            loop = asyncio.get_running_loop()
            seconds = self._random.uniform(0.0, _LONGEST_SECONDS)
            timer = loop.call_later(seconds, self._end, lease)
            self._running[lease.task_id, lease.attempt] = (lease, loop.time(), timer)
            self._tell(Kind.STARTED, lease, "")

    def _release_late(self) -> None:
        now = asyncio.get_running_loop().time()
        late = [mark for mark, moment in self._start_before.items() if moment <= now]
        if self._paused:
            return
        for lease in [w for w in self._waiting if (w.task_id, w.attempt) in late]:
            self._waiting.remove(lease)
            self._report(lease, 0.0, Outcome.RELEASED)
        for mark in late:
            del self._start_before[mark]

    def _end(self, lease: Lease) -> None:
        dice = self._random.random()
        _, started, _ = self._running.pop((lease.task_id, lease.attempt))
        if dice < self.plan.executor_dies:
            self._report(lease, started, Outcome.DIED)
        elif dice < self.plan.executor_dies + self.plan.attempt_fails:
            self._tell(Kind.FINISHED, lease, "")
            self._report(lease, started, Outcome.FAILED)
        else:
            result = f'"{lease.task_id}:{lease.attempt - lease.unstarted}"'
            self._tell(Kind.FINISHED, lease, result)
            self._report(lease, started, Outcome.SUCCEEDED, result.encode())
        self._fill()

    def _interrupt(self, mark: tuple[str, int], outcome: Outcome) -> None:
        lease, started, timer = self._running.pop(mark)
        timer.cancel()
        self._report(lease, started, outcome)

    def _report(
        self, lease: Lease, started: float, outcome: Outcome, result: bytes | None = None
    ) -> None:
        report = Report(lease.task_id, lease.attempt, outcome, started, 0.1, result)
        (self._unseen if self._paused else self._reports).append(report)
        self.on_change()
