"""A whole queue without Ray and sockets: store, scheduler, API, a client, a worker's voice."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from msgspec import Struct

from monitoring.attempt_spans import AttemptSpans
from monitoring.firing_spans import FiringSpans
from monitoring.spans import Spans
from serve_app.api import build_api
from serve_app.api_context import ReadRedis
from task_queue.core.effects import Effects
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.invariants import check_invariants
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report, TaskError
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.settings import HttpSettings, LimitSettings, PoolSettings, Settings, TracingSettings
from task_queue.store import open_reader, open_store
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Reader, Store
from task_queue.store.query import Pool, TaskQuery
from task_queue.tasks import TaskFunction, TaskOptions
from task_queue.testing import FakeClock

TASKS = "/api/v1/tasks"


def thumbnail(path: str, size: int = 128) -> dict[str, int]:
    """A small copy of a picture."""
    return {path: size}


def add(a: float, b: float, /) -> float:
    return a + b


def collect(*values: Any, **named: Any) -> None:
    """Takes anything."""


def train(model: str, *, rounds: int) -> None:
    """Needs a GPU."""


_FUNCTIONS: tuple[tuple[Callable[..., Any], TaskOptions], ...] = (
    (thumbnail, TaskOptions(queue="images", priority=6, max_retries=2, timeout_seconds=30.0)),
    (add, TaskOptions(result_ttl_seconds=60.0, max_retries=0)),
    (collect, TaskOptions()),
    (train, TaskOptions(queue="gpu")),
)
TYPES = [
    TaskFunction(function, f"shop.{function.__name__}", options).task_type()
    for function, options in _FUNCTIONS
]
POOLS = [
    Pool("cpu", ("default", "images"), ("shop.thumbnail", "shop.add", "shop.collect")),
    Pool("cuda", ("gpu",), ("shop.train",)),
]


class World(Struct):
    """Everything of one test."""

    app: FastAPI
    http: httpx.AsyncClient
    scheduler: Scheduler
    store: Store  #: of the scheduler
    open_reader: Callable[[], Reader]
    clock: FakeClock
    pulls: dict[str, int] = {}

    def accepted(self) -> int:
        """How many tasks the store has: nothing was accepted if it is 0."""
        return len(self.store.search(TaskQuery(), 100_000))

    async def submit(self, name: str = "shop.collect", **fields: Any) -> str:
        """Submit a task that must be accepted."""
        answer = await self.http.post(TASKS, json={"name": name, **fields})
        assert answer.status_code == 201, answer.text
        task_id: str = answer.json()["task_id"]
        return task_id

    async def worker(
        self, worker_id: str = "w1", slots: int = 4, incarnation: str | None = None, **fields: Any
    ) -> None:
        """Register a worker of the pool cpu."""
        given: dict[str, Any] = {"pool": "cpu", "queues": POOLS[0].queues, **fields}
        process = incarnation or f"{worker_id}-process"
        info = WorkerInfo(worker_id, process, slots=slots, **given)
        await self.scheduler.request(WorkerRegistered(info))

    async def claim(self, count: int = 1, worker_id: str = "w1") -> list[Lease]:
        """Have a worker take tasks that wait."""
        grant = await self.scheduler.pull(self._pull(worker_id, count))
        return grant.leases

    async def report(self, *reports: Report, worker_id: str = "w1") -> None:
        """Have a worker say how attempts ended."""
        await self.scheduler.request(self._pull(worker_id, 0, list(reports)))

    async def complete(self, task_id: str, result: bytes = b"42") -> None:
        """Run the one task that waits, with success."""
        await self._end(task_id, Outcome.SUCCEEDED, result=result, logs="hello\n")

    async def fail(self, task_id: str, message: str = "no such file") -> None:
        """Run the one task that waits, and fail for good."""
        error = TaskError("OSError", message)
        await self._end(task_id, Outcome.FAILED, error=error, retryable=False)

    async def _end(self, task_id: str, outcome: Outcome, **fields: Any) -> None:
        (lease,) = await self.claim()
        assert lease.task_id == task_id
        begun = self.clock.now()
        await self.report(Report(task_id, lease.attempt, outcome, begun, 0.5, **fields))

    def _pull(self, worker_id: str, want: int, reports: list[Report] | None = None) -> WorkerPulled:
        seq = self.pulls[worker_id] = self.pulls.get(worker_id, 0) + 1
        return WorkerPulled(worker_id, f"{worker_id}-process", seq, want, reports or [])


class Between:
    """Stands before a real scheduler or reader and passes everything on: tests change a part."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


def problem(answer: httpx.Response, status: int) -> str:
    """The detail of a refusal, which must be proper problem details with this status."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    detail: str = body["detail"]
    return detail


@asynccontextmanager
async def open_world(
    kind: str,
    folder: Path,
    *,
    http: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    rules: Rules | None = None,
    scheduler: Callable[[Scheduler], Any] = lambda real: real,
    reader: Callable[[Reader], Any] = lambda real: real,
    read_redis: ReadRedis | None = None,
    tracing: TracingSettings | None = None,
    check_seconds: float = 30.0,
) -> AsyncIterator[World]:
    """A world of a store in memory or, if `kind` is so, of SQLite.

    Health has so much time that a busy machine is not a sick part, unless `check_seconds` is less.
    `scheduler` and `reader` may put something between the API and the real ones; `tracing` has both
    trace as their actors do.
    """
    clock = FakeClock()
    memory = MemoryStore()
    url = f"sqlite:///{folder / 'queue.db'}"
    store = memory if kind == "memory" else open_store(url)
    parts = SchedulerParts(
        lambda: store, rules or Rules(), clock, new_task_id, random.Random(0).random, next_firing,
        check=check_invariants,
    )  # fmt: skip
    spans = None if tracing is None else Spans(tracing, "scheduler")
    if tracing is not None and spans is not None:
        firings, attempts = FiringSpans(spans, tracing.tasks_per_second, clock), AttemptSpans(spans)
        parts.trace_firing = firings.begin

        def on_turn(fx: Effects, now: float) -> None:
            firings.take(fx, now)
            attempts.take(fx, now)

        parts.on_turn = on_turn
    real = Scheduler(parts)
    await real.started()
    await real.declare(POOLS, TYPES)

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    settings = Settings(
        pools={"cpu": PoolSettings()},
        http=HttpSettings(**(http or {})),
        limits=LimitSettings(**(limits or {})),
        tracing=tracing or TracingSettings(),
    )

    def open_another() -> Reader:
        opened: Reader = reader(memory if kind == "memory" else open_reader(url))
        return opened

    app = build_api(
        scheduler(real), open_another, settings, clock, "1.2.3",
        sleep=sleep, check_seconds=check_seconds,
        read_redis=read_redis, spans=None if tracing is None else Spans(tracing, "api"),
    )  # fmt: skip
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://queue.test:8000") as client,
    ):
        yield World(app, client, real, store, open_another, clock)
    real.stop()
    if spans is not None:
        spans.close()
