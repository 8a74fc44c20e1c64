"""Executors that do what a test says, and a way to wait for the event loop."""

import asyncio
from collections.abc import Callable

from task_queue.core.status import Outcome
from task_queue.core.task import Lease, ProgressNote, Report
from task_queue.errors import TaskQueueError
from task_queue.tasks import TaskType


class FakeExecutors:
    """Holds leases until the test finishes them."""

    def __init__(self, slots: int = 2) -> None:
        self.slots = slots
        self.running: dict[str, Lease] = {}
        self.start_moments: dict[str, float] = {}
        self.cancelled: list[tuple[str, int]] = []
        self.graces: list[float] = []  #: with which they were stopped
        self.unstarted: list[str] = []  #: of those in `running`: given back when it is to end
        self.may_stop = asyncio.Event()  #: what runs goes on until then, if there is a grace time
        self.may_stop.set()
        self.start_error: TaskQueueError | None = None
        self.backlog = 0
        self.ends_soon = False
        self.trusted_until = 0.0
        self.on_change: Callable[[], None] = lambda: None
        self._reports: list[Report] = []
        self._progress: list[ProgressNote] = []

    async def start(self) -> list[TaskType]:
        return []

    def start_before(self, task_id: str, attempt: int, moment: float) -> None:
        self.start_moments[task_id] = moment

    def run(self, leases: list[Lease]) -> None:
        self.running.update({lease.task_id: lease for lease in leases})

    def decline(self, leases: list[Lease]) -> None:
        for lease in leases:
            report = Report(lease.task_id, lease.attempt, Outcome.RELEASED, 0.0, 0.0)
            self._reports.append(report)
        self.on_change()

    def cancel(self, cancels: list[tuple[str, int]]) -> None:
        self.cancelled += cancels
        for task_id, _ in cancels:
            self.finish(task_id, Outcome.CANCELLED)

    def release_unstarted(self) -> None:
        for task_id in self.unstarted:
            self.finish(task_id, Outcome.RELEASED)
        self.unstarted.clear()

    def finish(self, task_id: str, outcome: Outcome = Outcome.SUCCEEDED) -> None:
        lease = self.running.pop(task_id)
        result = b"1" if outcome is Outcome.SUCCEEDED else None
        self._reports.append(Report(task_id, lease.attempt, outcome, 1.0, 0.5, result))
        self.on_change()

    def take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports

    def take_progress(self) -> list[ProgressNote]:
        notes, self._progress = self._progress, []
        return notes

    def tell_progress(self, note: ProgressNote) -> None:
        self._progress.append(note)
        self.on_change()

    def holding(self) -> list[tuple[str, int]]:
        held = [(lease.task_id, lease.attempt) for lease in self.running.values()]
        return held + [(report.task_id, report.attempt) for report in self._reports]

    @property
    def held(self) -> int:
        return len(self.holding())

    def wanted_leases(self) -> int:
        return self.slots

    def expects_end_within(self, seconds: float) -> bool:
        return self.ends_soon and bool(self.running)

    def trust_until(self, moment: float) -> None:
        self.trusted_until = moment

    async def stop(self, grace_seconds: float) -> None:
        self.graces.append(grace_seconds)
        if grace_seconds:
            await self.may_stop.wait()
        for task_id in list(self.running):
            self.finish(task_id, Outcome.RELEASED)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Let the event loop run until `condition` holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0)
