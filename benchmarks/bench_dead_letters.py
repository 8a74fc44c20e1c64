"""How long does the scheduler's loop stand still while people look through its dead letters?

    python -m benchmarks.bench_dead_letters [--short]

One million dead letters (--short: 100,000) in SQLite. The scheduler and the API share one process
and one event loop, so what holds up either counts; the reader of the API has its thread, as always.
Meanwhile somebody submits a task again and again, and a clock that should tick every millisecond is
watched. Milliseconds: the longest time between two ticks beyond that one, and the longest submit.
"""

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.flags import flags
from benchmarks.own_folder import own_folder
from benchmarks.report import report, spread
from serve_app.api import build_api
from task_queue.clock import SystemClock
from task_queue.core.effects import Changes
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.core.task import Task, TaskError, TaskSpec
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.settings import PoolSettings, Settings
from task_queue.store import open_reader, open_store
from task_queue.testing import task_spec

_LETTERS = 1_000_000
_BATCH = 5_000
_REPLAYED = 50_000  #: as many as there is room for
_SEED = 7
_TICK_SECONDS = 0.001
_CLOCK = SystemClock()
_NONE = {"q": "no-such-thing"}
_REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing else": ("", {}),
    "dry run, q that none has": ("replay", {"filter": _NONE, "dry_run": True}),
    "replay, q that none has": ("replay", {"filter": _NONE}),
    "replay, error of half of them": (
        "replay", {"filter": {"error": "valueerror"}, "limit": _REPLAYED},
    ),
    "purge, q that none has": ("purge", {"filter": _NONE}),
    "purge of 1 in 20": ("purge", {"filter": {"name": "shop.task3"}}),
}  # fmt: skip


def letters(count: int) -> Iterator[Task]:
    """Dead letters in the order of their acceptance."""
    chance, now = random.Random(_SEED), _CLOCK.now() - 86_400.0
    for seq in range(1, count + 1):
        spec = TaskSpec(new_task_id(now), f"shop.task{chance.randrange(20)}", "default", 5, b"{}")
        task = Task(spec, seq, now, status=Status.FAILED, attempt=1, in_dlq=True)
        task.started_at, task.finished_at = now, now + 0.1
        task.error = TaskError(chance.choice(("OSError", "ValueError")), "no such file")
        yield task


def fill(url: str, count: int) -> None:
    store = open_store(url)
    store.take_over()
    batch: list[Task] = []
    for task in letters(count):
        batch.append(task)
        if len(batch) == _BATCH:
            store.commit(Changes(inserted=batch))
            batch = []
    store.commit(Changes(inserted=batch))
    store.close()


class _Watch:
    """What others notice."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.stalls: list[float] = []
        self.submits: list[float] = []

    async def tick(self) -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK_SECONDS)
            self.stalls.append(time.perf_counter() - began - _TICK_SECONDS)

    async def submit(self) -> None:
        while True:
            began = time.perf_counter()
            await self._scheduler.submit([task_spec(id=new_task_id(_CLOCK.now()))])
            self.submits.append(time.perf_counter() - began)
            await asyncio.sleep(0.005)


@asynccontextmanager
async def _queue(url: str) -> Any:
    parts = SchedulerParts(
        lambda: open_store(url), Rules(), _CLOCK, new_task_id, random.random, next_firing
    )
    scheduler = Scheduler(parts)
    await scheduler.started()
    settings = Settings(pools={"default": PoolSettings()})
    app = build_api(scheduler, lambda: open_reader(url), settings, _CLOCK, "0")
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://queue", timeout=600) as client,
    ):
        yield scheduler, client
    scheduler.stop()


async def measure(url: str) -> dict[str, float]:
    """All requests, one after the other."""
    figures: dict[str, float] = {}
    async with _queue(url) as (scheduler, client):
        for name, (path, body) in _REQUESTS.items():
            watch = _Watch(scheduler)
            watching = [asyncio.create_task(each()) for each in (watch.tick, watch.submit)]
            began = time.perf_counter()
            if path:
                answer = await client.post(f"/api/v1/dlq/{path}", json=body)
                assert answer.status_code == 200, answer.text
                figures[f"{name}: count"] = answer.json()["count"]
            else:
                await asyncio.sleep(3.0)
            figures[f"{name}: took, ms"] = (time.perf_counter() - began) * 1e3
            for each in watching:
                each.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            stalls = spread(watch.stalls, "ms", 1e3)
            figures[f"{name}: stalls, p99 ms"] = stalls["p99 ms"]
            figures[f"{name}: longest stall, ms"] = stalls["max ms"]
            figures[f"{name}: longest submit, ms"] = max(watch.submits) * 1e3
    return figures


def main() -> None:
    count = _LETTERS // 10 if flags(__doc__).short else _LETTERS
    with own_folder() as folder:
        url = f"sqlite:///{Path(folder) / 'queue.db'}"
        fill(url, count)
        figures = asyncio.run(measure(url))
    report("bench_dead_letters", figures, seed=_SEED)


if __name__ == "__main__":
    main()
