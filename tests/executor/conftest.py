"""Drives a real pool with real children. Waits for conditions, with a deadline, never for time:
the pool's clock stands still until a test moves it, so no task is slow because the machine is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.executor_pool import ExecutorConfig, ExecutorPool
from task_queue.core.task import Lease, ProgressNote, Report
from task_queue.testing import FakeClock

SAMPLES = Path(__file__).parent / "samples"
_DEADLINE_SECONDS = 60.0


class Driver:
    """A worker's part: hands out leases, collects reports and progress."""

    def __init__(self, **config: Any) -> None:
        settings: dict[str, Any] = {
            "slots": 1, "python_path": [str(SAMPLES)], "task_modules": ["sample_tasks"],
        }  # fmt: skip
        self._changed = asyncio.Event()
        self.clock = FakeClock()
        self.pool = ExecutorPool(
            ExecutorConfig(**{**settings, **config}), self.clock, self._changed.set
        )
        self.reports: dict[str, Report] = {}
        self.order: list[str] = []  #: task ids as their reports came
        self.notes: dict[str, list[ProgressNote]] = {}
        self._seq = 0

    def lease(self, name: str, *args: Any, **fields: Any) -> Lease:
        """A lease; arguments are positional only."""
        self._seq += 1
        given: dict[str, Any] = {
            "task_id": f"task-{self._seq}", "attempt": 1, "seq": self._seq, "name": name,
            "queue": "default", "priority": 5, "timeout_seconds": None, "max_retries": 3,
            "failures": 0, "submitted_at": 0.0, "traceparent": None, "request_id": None,
            "arguments": json.dumps({"args": args, "kwargs": {}}).encode(),
        }  # fmt: skip
        return Lease(**{**given, **fields})

    def give(self, name: str, *args: Any, **fields: Any) -> str:
        """Hand one lease to the pool; returns the task's id."""
        lease = self.lease(name, *args, **fields)
        self.pool.run([lease])
        return lease.task_id

    def teach(self, name: str, seconds: float = 0.0001) -> None:
        """As if a task of this name had ended after so long: short enough to travel in a chunk."""
        self.pool._estimates.observe(name, seconds)

    async def tick(self) -> None:
        """Let the pool look at its clock once more. It does while it has something to run."""
        before = self.pool._tick_timer
        await self.until(lambda: self.pool._tick_timer is not before, "a look at the clock")

    async def let_pass(self, seconds: float) -> None:
        """Move the clock, and have the pool see it."""
        self.clock.advance(seconds)
        await self.tick()

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds."""
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                while True:
                    self.collect()
                    if holds():
                        return
                    self._changed.clear()
                    try:  # not all that a test waits for is announced
                        await asyncio.wait_for(self._changed.wait(), 0.02)
                    except TimeoutError:
                        continue
        except TimeoutError:
            pytest.fail(f"{what} did not happen; reports: {self.reports}")

    def collect(self) -> None:
        for report in self.pool.take_reports():
            assert report.task_id not in self.reports, f"two reports: {report}"
            self.reports[report.task_id] = report
            self.order.append(report.task_id)
        for note in self.pool.take_progress():
            self.notes.setdefault(note.task_id, []).append(note)

    async def report(self, task_id: str) -> Report:
        """The report on a task, once there is one."""
        await self.until(lambda: task_id in self.reports, f"a report on {task_id}")
        return self.reports[task_id]

    async def run(self, name: str, *args: Any, **fields: Any) -> Report:
        """Run one task to its end."""
        return await self.report(self.give(name, *args, **fields))

    async def result(self, name: str, *args: Any, **fields: Any) -> Any:
        """The result of one task that succeeds."""
        report = await self.run(name, *args, **fields)
        assert report.outcome == "succeeded", report
        assert report.result is not None
        return json.loads(report.result)

    async def told(self, task_id: str) -> str:
        """The newest progress message of a running task, once there is one."""
        await self.until(lambda: task_id in self.notes, f"progress of {task_id}")
        return self.notes[task_id][-1].progress.message

    def cancel(self, task_id: str) -> None:
        self.pool.cancel([(task_id, 1)])


Story = Callable[[Driver], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., None]:
    """Run a story with a started pool: ``play(story, slots=2)``."""

    def run(story: Story, **config: Any) -> None:
        async def scene() -> None:
            async with started(**config) as driver:
                await story(driver)

        asyncio.run(scene())

    return run


@pytest.fixture
def make_driver() -> type[Driver]:
    """The driver of a pool that a test starts itself, inside an event loop."""
    return Driver


@asynccontextmanager
async def started(**config: Any) -> AsyncIterator[Driver]:
    driver = Driver(**config)
    await driver.pool.start()
    try:
        yield driver
    finally:
        await driver.pool.stop(0.0)
