"""A whole queue in the process of a test: a `Client` whose queue is the real machine in memory.

Retries, priorities, expiry, schedules and all else that happens to a task are decided by the core,
what an attempt comes to by the code that executor processes use. Here is only when tasks run.
"""

import math
from collections.abc import Callable, Sequence

import httpx
import msgspec

import task_queue.builtin_tasks  # noqa: F401  every worker has them
from task_queue.client.async_client import AsyncClient
from task_queue.client.client import Client
from task_queue.client.waiting import Waiting
from task_queue.core.status import Status
from task_queue.core.task import ProgressNote
from task_queue.settings import LimitSettings
from task_queue.tasks import REGISTRY, TaskRegistry
from task_queue.testing.fake_clock import FakeClock
from task_queue.testing.in_process_worker import InProcessWorker
from task_queue.testing.memory_endpoints import MemoryEndpoints
from task_queue.testing.memory_scheduler import MemoryScheduler
from task_queue.wire import Problem, TaskView

_URL = "http://in-memory-queue"


class InMemoryQueue(Client):
    """A client and its queue. Tasks run when the test says so, or with `inline` when submitted.

    Nothing waits: waiting for a task that is not over raises TimeoutError at once and says what to
    call first. Use it from one thread.

    Args:
        inline: run each task as soon as it is ready, before `submit` returns. Back-offs are gone
            through by moving the clock on, until the task is over; a delay waits for `advance`.
        clock: the time of the queue; a fresh FakeClock unless given.
        registry: where tasks are found by name.
        random: draws the jitter of back-offs from 0 to 1; always 1 unless given, so that the wait
            after the n-th failure is ``min(retry_cap_seconds, retry_base_seconds * 2 ** (n - 1))``.
        attempt_seconds: how far each attempt moves the clock.
        max_result_bytes: results larger than this fail the task, as in production.
    """

    def __init__(
        self,
        *,
        inline: bool = False,
        clock: FakeClock | None = None,
        registry: TaskRegistry = REGISTRY,
        random: Callable[[], float] = lambda: 1.0,
        attempt_seconds: float = 0.0,
        max_result_bytes: int | None = None,
    ) -> None:
        self.clock = clock or FakeClock()
        super().__init__(
            _URL, transport=httpx.MockTransport(_not_here), clock=self.clock, sleep=_no_time_passes
        )
        self._inline = inline
        self._scheduler = MemoryScheduler(self.clock, random)
        cap = LimitSettings().max_result_bytes if max_result_bytes is None else max_result_bytes
        self._worker = InProcessWorker(self._scheduler, self.clock, registry, cap, attempt_seconds)
        self._endpoints = MemoryEndpoints(self._exchange, self._scheduler, registry, self._on_ready)
        self._api = self._endpoints
        self._waiting = Waiting(self._endpoints, self.clock)

    @property
    def progress(self) -> list[ProgressNote]:
        """What tasks told with `current_task().progress`, in order."""
        return self._worker.progress

    def run_next(self) -> TaskView | None:
        """Run one attempt of the task that is next in line.

        Returns:
            The task after the attempt; None if none is ready: all are over, or wait for a time.
        """
        task_id = self._worker.run_next()
        return None if task_id is None else self.task(task_id)

    def run_all(self, limit: int = 100_000) -> int:
        """Run attempts until no task is ready; how many that were. The clock is not moved.

        Raises:
            RuntimeError: after `limit` attempts there are still more.
        """
        for count in range(limit):
            if self._worker.run_next() is None:
                return count
        raise RuntimeError(
            f"{limit:,} attempts were run and tasks are still ready: does a task submit itself?"
        )

    def advance(self, seconds: float) -> None:
        """Move the clock on, and let happen on the way what is due: delays and back-offs end, tasks
        expire, schedules submit. Tasks run only with `inline`.

        Raises:
            ValueError: `seconds` is negative, NaN or infinite.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(f"advance({seconds}): give seconds, 0 or more")
        self._move_to(self.clock.now() + seconds)

    def async_client(self) -> AsyncClient:
        """An `AsyncClient` of this queue, for code that wants one."""
        return _AsyncSide(self._endpoints, self.clock)

    def _move_to(self, target: float) -> None:
        while (due := self._scheduler.next_due()) is not None and due <= target:
            self._let_time_pass(due)
        self._let_time_pass(target)

    def _let_time_pass(self, until: float) -> None:
        self.clock.advance(max(0.0, until - self.clock.now()))
        self._scheduler.look_at_clock()
        if self._inline:
            self.run_all()

    def _on_ready(self, task_ids: Sequence[str]) -> None:
        if not self._inline:
            return
        self.run_all()
        while retries := self._retries_due(task_ids):
            self._move_to(min(retries))

    def _retries_due(self, task_ids: Sequence[str]) -> list[float]:
        tasks = self._scheduler.store.find(task_ids).values()
        return [task.due_at for task in tasks if task.status is Status.RETRYING]


class _AsyncSide(AsyncClient):
    """An `AsyncClient` on the same endpoints."""

    def __init__(self, endpoints: MemoryEndpoints, clock: FakeClock) -> None:
        super().__init__(
            _URL, transport=httpx.MockTransport(_not_here), clock=clock, sleep=_no_time_passes_here
        )
        self._api = endpoints
        self._waiting = Waiting(endpoints, clock)


def _not_here(request: httpx.Request) -> httpx.Response:
    """The answer to all that is asked over HTTP after all."""
    detail = (
        f"InMemoryQueue does not act out {request.method} {request.url.path}, which is about a "
        "deployed queue: test that against a running one"
    )
    problem = Problem("Not in memory", 501, detail)
    return httpx.Response(501, content=msgspec.json.encode(problem))


def _no_time_passes(_seconds: float) -> None:
    """Pauses between requests make no sense where nothing runs meanwhile."""


async def _no_time_passes_here(_seconds: float) -> None:
    """As `_no_time_passes`, for coroutines."""
