"""A worker that runs tasks in the process of a test, one at a time, when it is told to.

It is a worker like any other to the machine: it registers, pulls leases and reports. What an
attempt comes to is decided by the code that executor processes use; only the call is made here.
"""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from task_queue.context import CURRENT_TASK, TaskContext
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.task import Lease, Progress, ProgressNote, Report
from task_queue.core.worker import WorkerInfo
from task_queue.executor.attempt import Call, Verdict, prepare, raised, returned
from task_queue.executor.child import report_of
from task_queue.executor.failure import storable
from task_queue.tasks import TaskRegistry
from task_queue.testing.fake_clock import FakeClock
from task_queue.testing.memory_scheduler import MemoryScheduler
from task_queue.testing.output_copy import output_copy

_NAME = "in-memory-1"

T = TypeVar("T")


class InProcessWorker:
    """Serves every queue. A task may submit tasks and have them run while it runs itself."""

    def __init__(
        self,
        scheduler: MemoryScheduler,
        clock: FakeClock,
        registry: TaskRegistry,
        result_cap_bytes: int,
        attempt_seconds: float,
    ) -> None:
        self._scheduler = scheduler
        self._clock = clock
        self._registry = registry
        self._result_cap_bytes = result_cap_bytes
        self._attempt_seconds = attempt_seconds
        self._pulls = 0
        self._running = 0
        #: What tasks told with `current_task().progress`, in order.
        self.progress: list[ProgressNote] = []
        scheduler.request(WorkerRegistered(WorkerInfo(_NAME, _NAME, "in-memory", ("*",), 1)))

    def run_next(self) -> str | None:
        """Run one attempt of the task that is next; its id, or None if none is ready."""
        leases = self._pull(self._running + 1)
        if not leases:
            self._pull(0)  # else the open pull would take the next task that is submitted
            return None
        (lease,) = leases
        self._running += 1
        try:
            report = self._run(lease)
        finally:
            self._running -= 1
        self._pull(0, [report])
        return lease.task_id

    def _pull(
        self,
        want: int,
        reports: list[Report] | None = None,
        notes: list[ProgressNote] | None = None,
    ) -> list[Lease]:
        self._pulls += 1
        pull = WorkerPulled(_NAME, _NAME, self._pulls, want, reports or [], notes or [])
        grants = self._scheduler.turn(pull).grants
        return [lease for grant in grants if grant.seq == self._pulls for lease in grant.leases]

    def _run(self, lease: Lease) -> Report:
        started_at, begun = self._clock.now(), self._clock.monotonic()
        timeout = lease.timeout_seconds
        deadline = None if timeout is None else begun + timeout
        token = CURRENT_TASK.set(TaskContext(lease, deadline, self._tell))
        try:
            with output_copy() as output:
                verdict = self._verdict(lease)
        finally:
            CURRENT_TASK.reset(token)
        self._clock.advance(self._attempt_seconds)
        duration = self._clock.monotonic() - begun
        return report_of(lease, verdict, started_at, duration, storable(output.getvalue()))

    def _verdict(self, lease: Lease) -> Verdict:
        call = prepare(lease, self._registry)
        if isinstance(call, Verdict):
            return call
        if call.task.task_options.executor == "async":
            return _run_coroutine(self._awaited(call))
        try:
            value = call.function(*call.args, **call.kwargs)
        except KeyboardInterrupt:  # the person at the test, not the task
            raise
        except BaseException as error:  # noqa: BLE001  SystemExit too is only this task's end
            return raised(_without_our_frame(error), call)
        return returned(value, self._result_cap_bytes)

    async def _awaited(self, call: Call) -> Verdict:
        try:
            value = await call.function(*call.args, **call.kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  as above
            return raised(_without_our_frame(error), call)
        return returned(value, self._result_cap_bytes)

    def _tell(self, lease: Lease, fraction: float, message: str) -> None:
        note = ProgressNote(lease.task_id, lease.attempt, Progress(fraction, message))
        self.progress.append(note)
        self._pull(0, notes=[note])


def _without_our_frame(error: BaseException) -> BaseException:
    """The error as an executor process sees it: its traceback begins in the task."""
    trace = error.__traceback__
    return error.with_traceback(trace.tb_next if trace is not None else None)


def _run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run it on an event loop of its own, also in a test that is a coroutine itself."""
    if not _is_on_a_loop():
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as one:
        return one.submit(copy_context().run, asyncio.run, coroutine).result()


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
