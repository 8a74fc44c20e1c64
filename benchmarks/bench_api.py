"""What a request costs the API: CPU of one replica, no sockets, no proxy, no Ray.

    python -m benchmarks.bench_api

The application is called as a server would call it. Submits go to a scheduler that only says
"accepted", so their figures are the API's own; results are read from a SQLite file with tasks that
ran. Medians of seven runs.
"""

import asyncio
import gc
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from fastapi import FastAPI
from msgspec import Raw

from benchmarks.report import report
from serve_app.api import build_api
from task_queue.builtin_tasks import echo, noop
from task_queue.clock import SystemClock
from task_queue.core.effects import Accepted
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Report, TaskSpec
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.settings import PoolSettings, Settings
from task_queue.store import open_reader, open_store
from task_queue.store.query import Pool
from task_queue.wire import BatchRequest, ResultsRequest, SubmitRequest

_TASKS = "/api/v1/tasks"
_BATCH = 1_000
_BATCHES = 20
_SINGLES = 2_000
_RUNS = 7

_NOOP = SubmitRequest("task_queue.noop")
_ECHO = SubmitRequest(
    "task_queue.echo", [], {"value": Raw(b'{"path":"cat.png","size":[64,64]}')},
    priority=7, tags=["bench"],
)  # fmt: skip
_HEADERS = [
    (b"host", b"127.0.0.1:8000"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip, deflate"),
    (b"connection", b"keep-alive"), (b"user-agent", b"task-queue/0.1.0"),
    (b"content-type", b"application/json"),
]  # fmt: skip


class _AcceptingScheduler:
    """Says that everything is accepted."""

    async def submit(self, specs: Sequence[TaskSpec]) -> Accepted:
        return Accepted([spec.id for spec in specs])

    async def read(self, told: object = None) -> None:
        """Nobody asks."""


async def call(app: FastAPI, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """(status, body) of one request."""
    length = [(b"content-length", str(len(body)).encode())] if body else []
    scope: dict[str, Any] = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
        "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 40_000), "scheme": "http",
        "root_path": "", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": _HEADERS + length, "state": {},
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def microseconds(
    app: FastAPI, wanted: int, requests: Sequence[tuple[str, str, bytes]]
) -> float:
    """CPU of one request, in the mean over `requests`; each must be answered with `wanted`."""
    began = time.process_time()
    for method, path, body in requests:
        status, answer = await call(app, method, path, body)
        assert status == wanted, answer
    return (time.process_time() - began) / len(requests) * 1e6


async def run(app: FastAPI, ids: list[str]) -> dict[str, float]:
    """One figure for each kind of request."""
    encode = msgspec.json.encode
    noops, echoes = (encode(BatchRequest([task] * _BATCH)) for task in (_NOOP, _ECHO))
    singles = ("POST", _TASKS, encode(_NOOP))
    batch = f"{_TASKS}/batch"
    results = [("GET", f"{_TASKS}/{task_id}/result", b"") for task_id in ids]
    asked = [("POST", f"{_TASKS}/results", encode(ResultsRequest([i], 10.0))) for i in ids]
    many = ("POST", f"{_TASKS}/results", encode(ResultsRequest(ids[:400], 10.0)))
    return {
        "batch of 1,000 no-ops, per task": await microseconds(
            app, 201, [("POST", batch, noops)] * _BATCHES
        ) / _BATCH,
        "batch of 1,000 with arguments and tags, per task": await microseconds(
            app, 201, [("POST", batch, echoes)] * _BATCHES
        ) / _BATCH,
        "single submit": await microseconds(app, 201, [singles] * _SINGLES),
        "GET result": await microseconds(app, 200, results),
        "POST results, 1 id": await microseconds(app, 200, asked),
        "POST results, 400 ids, per id": await microseconds(app, 200, [many] * 20) / 400,
    }  # fmt: skip


def _trouble(what: str, error: BaseException) -> None:
    raise SystemExit(f"{what}: {error}")


async def ended_tasks(url: str, clock: SystemClock) -> list[str]:
    """Ids of tasks that ran to their end in the store at `url`, which has all types and a pool."""
    parts = SchedulerParts(
        lambda: open_store(url),
        Rules(),
        clock,
        new_task_id,
        random.Random(0).random,
        next_firing,
        on_trouble=_trouble,
    )
    scheduler = Scheduler(parts)
    await scheduler.started()
    types = [noop.task_type(), echo.task_type()]
    await scheduler.declare([Pool("p", ("*",), tuple(kind.name for kind in types))], types)
    await scheduler.request(WorkerRegistered(WorkerInfo("w-1", "i", "p", ("*",), 4)))
    now = clock.now()
    specs = [
        TaskSpec(new_task_id(now), noop.name, "default", 5, b'{"args":[],"kwargs":{}}')
        for _ in range(_BATCH)
    ]
    await scheduler.submit(specs)
    grant = await scheduler.pull(WorkerPulled("w-1", "i", 1, _BATCH, []))
    reports = [
        Report(x.task_id, x.attempt, Outcome.SUCCEEDED, now, 0.001, b"null") for x in grant.leases
    ]
    await scheduler.request(WorkerPulled("w-1", "i", 2, 0, reports))
    scheduler.stop()
    return [spec.id for spec in specs]


async def measure(url: str) -> dict[str, float]:
    """Medians over all runs."""
    clock = SystemClock()
    ids = await ended_tasks(url, clock)
    scheduler: Any = _AcceptingScheduler()
    settings = Settings(pools={"p": PoolSettings()})
    app = build_api(scheduler, lambda: open_reader(url), settings, clock, "bench")
    gc.collect()
    gc.freeze()  # as serve_app/app.py
    async with app.router.lifespan_context(app):
        await run(app, ids)  # warm
        runs = [await run(app, ids) for _ in range(_RUNS)]
    return {
        f"{name}, CPU microseconds": statistics.median(figures[name] for figures in runs)
        for name in runs[0]
    }


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        figures = asyncio.run(measure(f"sqlite:///{Path(folder).resolve() / 'queue.db'}"))
    report("bench_api", figures, seed=0)


if __name__ == "__main__":
    main()
