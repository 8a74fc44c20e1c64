"""The worker actor: a `Worker` with its executors, as Ray starts and watches it.

It takes no orders but the scheduler's. The calls that run and watch it do not end while it lives,
so whoever awaits one learns of the worker's death from Ray within milliseconds.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread

import ray
import uvloop
from msgspec import Struct

from actors.executor_pool import ExecutorConfig, ExecutorPool
from actors.give_way import give_way
from actors.handles import SchedulerHandle
from actors.outlive_sigterm import outlive_sigterm
from actors.traced_calls import TracedCalls
from actors.worker import Worker, WorkerRefused
from monitoring.chores import Chores
from monitoring.logs import configure_logs, get_logger
from monitoring.node_book import TELL_SECONDS
from monitoring.node_figures import read_node
from monitoring.spans import Spans
from task_queue.clock import SystemClock
from task_queue.core.worker import WorkerInfo
from task_queue.errors import TaskQueueError
from task_queue.scheduler_api import SchedulerUnavailable, WorkerCalls, WorkerTold
from task_queue.settings import Settings, settings_from_json
from task_queue.tracing.span_book import SpanReport
from task_queue.tracing.span_counts import SpanCounts


class WorkerOrder(Struct):
    """Which worker to be: what the supervisor gives to a new one."""

    worker_id: str
    incarnation: str
    pool: str
    excluded_queues: tuple[str, ...]


class WorkerActor:
    """What `ray.remote` wraps. No method is a coroutine: Ray would keep its own thread awake.

    The call that runs the worker has Ray's thread to itself until the worker ends. In an actor that
    waits for calls Ray wakes that thread a hundred times a second to look for signals, which costs
    0.3 % of a core for each worker while nothing happens (`docs/performance.md`).
    """

    def __init__(self, settings_json: bytes, order: WorkerOrder) -> None:
        self._settings_json = settings_json
        self._order = order
        self._end_cause = "never started"

    def run(self) -> str:
        """Import the task modules and work. Returns when the worker has ended, and why.

        Raises:
            TaskModuleError: a module of the pool cannot be imported.
        """
        outlive_sigterm()
        settings = settings_from_json(self._settings_json)
        try:
            self._end_cause = _in_a_thread(lambda: uvloop.run(_live(settings, self._order)))
        except BaseException as error:
            self._end_cause = repr(error)  # for whoever only watches
            raise
        return self._end_cause

    def watch(self) -> str:
        """Why it ended. Whoever asks before waits, because `run` lets no other call through."""
        return self._end_cause


def _in_a_thread(work: Callable[[], str]) -> str:
    """What it returns or raises. Its thread has a priority of its own, see `give_way`."""
    outcome: Future[str] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001  it is raised in the thread that waits
            outcome.set_exception(error)

    # Not one that the interpreter waits for at its end: whoever ends the process means it.
    Thread(target=run, name="worker", daemon=True).start()
    return outcome.result()


async def _live(settings: Settings, order: WorkerOrder) -> str:
    configure_logs(settings.logging.level, settings.logging.format)
    log = get_logger("worker_service")
    try:
        give_way()
    except OSError as error:
        log.warning("cannot_give_way", error=str(error))
    scheduler, clock = SchedulerHandle(settings.ray.namespace), SystemClock()
    info = _describe(settings, order)
    calls: WorkerCalls = scheduler
    spans = Spans(settings.tracing, "worker") if settings.tracing.enabled else None
    if spans is not None:
        calls = TracedCalls(scheduler, spans, info, clock)
    executors = ExecutorPool(
        _executor_config(settings, order.pool), clock, lambda: worker.on_change()
    )
    worker = Worker(info, calls, executors, clock)
    await executors.start()
    counted = [executors.span_counts, *([] if spans is None else [spans.counts])]
    report = SpanReport(order.incarnation, clock.now(), SpanCounts())
    chores = Chores("worker_service")
    chores.start("tell", partial(_tell, scheduler, report, counted))
    try:
        return await worker.run()
    except (WorkerRefused, TaskQueueError) as error:
        log.error("worker_ended", error=str(error))
        return str(error)
    finally:
        chores.stop()
        if spans is not None:
            await asyncio.to_thread(spans.close)


def _describe(settings: Settings, order: WorkerOrder) -> WorkerInfo:
    pool = settings.pools[order.pool]
    return WorkerInfo(
        order.worker_id, order.incarnation, order.pool, pool.queues, pool.slots,
        excluded=order.excluded_queues, hostname=socket.gethostname(),
        node_id=ray.get_runtime_context().get_node_id(), pid=os.getpid(),
    )  # fmt: skip


def _executor_config(settings: Settings, pool_name: str) -> ExecutorConfig:
    pool = settings.pools[pool_name]
    return ExecutorConfig(
        slots=pool.slots,
        python_path=list(pool.python_path),
        task_modules=list(pool.task_modules),
        log_cap_bytes=settings.retention.logs_cap_bytes,
        result_cap_bytes=settings.limits.max_result_bytes,
        recycle_after_tasks=pool.recycle_after_tasks,
        span_endpoint=settings.tracing.endpoint if settings.tracing.enabled else None,
        env=dict(pool.env),
    )


async def _tell(
    scheduler: SchedulerHandle, report: SpanReport, counted: Sequence[SpanCounts]
) -> float:
    """Say how this worker and its machine do; workers beside it say the same of the machine."""
    report.counts = SpanCounts()
    for counts in counted:
        report.counts.add(counts)
    try:
        await scheduler.tell(WorkerTold(read_node(), report))
    except SchedulerUnavailable as error:
        get_logger("worker_service").debug("node_not_told", reason=str(error))
    return TELL_SECONDS
