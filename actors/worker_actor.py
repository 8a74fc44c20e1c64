"""The worker actor: a `Worker` with its executors, as Ray starts and watches it.

`hold` is the watch call: it never ends while the worker lives, so whoever awaits it learns of the
worker's death from Ray within milliseconds.
"""

import asyncio
import os
import socket
from collections.abc import Sequence
from functools import partial

import ray
from msgspec import Struct

from actors.executor_pool import ExecutorConfig, ExecutorPool
from actors.give_way import give_way
from actors.handles import SchedulerHandle
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
from task_queue.settings import settings_from_json
from task_queue.tracing.span_book import SpanReport
from task_queue.tracing.span_counts import SpanCounts


class WorkerOrder(Struct):
    """Which worker to be: what the supervisor gives to a new one."""

    worker_id: str
    incarnation: str
    pool: str
    excluded_queues: tuple[str, ...]


class WorkerActor:
    """What `ray.remote` wraps. The constructor only keeps what it is given."""

    def __init__(self, settings_json: bytes, order: WorkerOrder) -> None:
        self._settings_json = settings_json
        self._order = order
        self._work: asyncio.Task[str] | None = None
        self._worker: Worker | None = None
        self._chores = Chores("worker_service")

    async def start(self) -> None:
        """Import the task modules, then work in the background.

        Raises:
            TaskModuleError: a module of the pool cannot be imported.
        """
        if self._work is not None:
            return
        settings = settings_from_json(self._settings_json)
        configure_logs(settings.logging.level, settings.logging.format)
        try:
            give_way()
        except OSError as error:
            get_logger("worker_service").warning("cannot_give_way", error=str(error))
        order, pool = self._order, settings.pools[self._order.pool]
        clock = SystemClock()
        config = ExecutorConfig(
            slots=pool.slots,
            python_path=list(pool.python_path),
            task_modules=list(pool.task_modules),
            log_cap_bytes=settings.retention.logs_cap_bytes,
            result_cap_bytes=settings.limits.max_result_bytes,
            recycle_after_tasks=pool.recycle_after_tasks,
            span_endpoint=settings.tracing.endpoint if settings.tracing.enabled else None,
            env=dict(pool.env),
        )
        executors = ExecutorPool(config, clock, self._on_change)
        info = WorkerInfo(
            order.worker_id, order.incarnation, order.pool, pool.queues, pool.slots,
            excluded=order.excluded_queues, hostname=socket.gethostname(), pid=os.getpid(),
        )  # fmt: skip
        scheduler = SchedulerHandle(settings.ray.namespace)
        calls: WorkerCalls = scheduler
        spans = Spans(settings.tracing, "worker") if settings.tracing.enabled else None
        if spans is not None:
            calls = TracedCalls(scheduler, spans, info, clock)
        self._worker = Worker(info, calls, executors, clock)
        await executors.start()
        loop = asyncio.get_running_loop()
        self._work = loop.create_task(_work(self._worker, spans))
        counted = [executors.span_counts, *([] if spans is None else [spans.counts])]
        report = SpanReport(order.incarnation, clock.now(), SpanCounts())
        self._chores.start("tell", partial(_tell, scheduler, report, counted))

    async def node_id(self) -> str:
        """Ray's id of the machine on which it runs."""
        return ray.get_runtime_context().get_node_id()

    async def hold(self) -> str:
        """Ends when the worker does; says why."""
        if self._work is None:
            return "never started"
        try:
            return await asyncio.shield(self._work)
        except (WorkerRefused, TaskQueueError) as error:
            get_logger("worker_service").error("worker_ended", error=str(error))
            return str(error)

    async def shut_down(self, grace_seconds: float) -> None:
        """Hand back what is not done after `grace_seconds`, and deregister."""
        if self._worker is not None and self._work is not None and not self._work.done():
            await self._worker.shut_down(grace_seconds)

    def _on_change(self) -> None:
        if self._worker is not None:
            self._worker.on_change()


async def _work(worker: Worker, spans: Spans | None) -> str:
    try:
        return await worker.run()
    finally:
        if spans is not None:
            await asyncio.to_thread(spans.close)


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
