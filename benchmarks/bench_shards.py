"""Do two schedulers, each with a store and a queue of its own, disturb each other?

    python -m benchmarks.bench_shards [--short]

Two processes on one machine, no Ray and no HTTP. Throughput: no-op tasks per second of one
scheduler alone, and of both at the same time, 1,000 in a batch. Latency: milliseconds from a submit
to the lease that a waiting worker gets, one task at a time, while the other scheduler
  - has nothing to do,
  - holds 100,000 tasks that wait in a paused queue,
  - works through a backlog of 100,000 as fast as it can.
With two cores the last one costs what sharing the disk and the memory costs.
"""

import asyncio
import multiprocessing
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import uvloop

from benchmarks.flags import flags
from benchmarks.local_scheduler import (
    BATCH,
    LocalWorker,
    batches,
    local_scheduler,
    sqlite_in,
    submit,
    succeeded,
)
from benchmarks.own_folder import own_folder
from benchmarks.report import report, spread
from task_queue.clock import SystemClock
from task_queue.core.events import QueuePaused
from task_queue.core.task import Report
from task_queue.scheduler import Scheduler
from task_queue.testing import task_spec

Situation = Literal["has nothing to do", "holds a paused backlog", "works through a backlog"]

_BACKLOG = 100_000
_TASKS = 50_000
_LATENCIES = 1_000
_PAUSE_SECONDS = 0.002


class Neighbour:
    """The other scheduler, seen from here: `rate` is known once it was told to stop."""

    def __init__(self) -> None:
        self.rate = 0.0


@contextmanager
def neighbour(folder: Path, situation: Situation) -> Iterator[Neighbour]:
    """A second scheduler in a process of its own, in a situation."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_be_neighbour, args=(folder, situation, there))
    process.start()
    there.close()  # so that its death is heard here
    seen = Neighbour()
    try:
        here.recv()  # it is in its situation now
        yield seen
        here.send("stop")
        seen.rate = here.recv()
    finally:
        here.close()
        process.join(10)
        process.kill()


def _be_neighbour(folder: Path, situation: Situation, pipe: Connection) -> None:
    uvloop.run(_neighbour(folder, situation, pipe))


async def _neighbour(folder: Path, situation: Situation, pipe: Connection) -> None:
    async with _shard(folder, "neighbour") as (scheduler, worker):
        if situation != "has nothing to do":
            await submit(scheduler, batches(_BACKLOG))
        if situation == "holds a paused backlog":
            await scheduler.request(QueuePaused("default", paused=True))
        working = situation == "works through a backlog"
        pipe.send("ready")
        began, done = time.perf_counter(), 0
        while not pipe.poll():
            if working:
                tasks = batches(10 * BATCH)
                await asyncio.gather(submit(scheduler, tasks), worker.work(10 * BATCH))
                done += 10 * BATCH
            else:
                await asyncio.sleep(0.05)
        pipe.send(done / (time.perf_counter() - began))


@asynccontextmanager
async def _shard(folder: Path, name: str) -> AsyncIterator[tuple[Scheduler, LocalWorker]]:
    async with local_scheduler(sqlite_in(folder, name)) as scheduler:
        worker = LocalWorker(scheduler)
        await worker.register()
        yield scheduler, worker


async def throughput(folder: Path, name: str) -> float:
    """No-op tasks per second of the scheduler in this process."""
    async with _shard(folder, name) as (scheduler, worker):
        tasks = batches(_TASKS)
        began = time.perf_counter()
        await asyncio.gather(submit(scheduler, tasks), worker.work(_TASKS))
        return _TASKS / (time.perf_counter() - began)


async def latencies(folder: Path, count: int) -> list[float]:
    """Seconds from submit to lease, in this process."""
    seconds, now = [], SystemClock().now
    async with _shard(folder, "latency") as (scheduler, worker):
        reports: list[Report] = []
        for _ in range(count):
            await asyncio.sleep(_PAUSE_SECONDS)
            pull = asyncio.ensure_future(worker.pull(1, reports))
            await asyncio.sleep(0)
            began = time.perf_counter()
            await scheduler.submit([task_spec(now=now())])
            reports = succeeded(await pull)
            seconds.append(time.perf_counter() - began)
    return seconds


def throughput_figures(folder: Path) -> dict[str, float]:
    alone = uvloop.run(throughput(folder, "alone"))
    with neighbour(folder, "works through a backlog") as other:
        beside = uvloop.run(throughput(folder, "beside"))
    return {
        "tasks per second, alone": alone,
        "tasks per second, beside the other": beside,
        "tasks per second, the other": other.rate,
        "tasks per second, both, ratio to one alone": (beside + other.rate) / alone,
    }


def latency_figures(folder: Path, count: int, situation: Situation) -> dict[str, float]:
    with neighbour(folder, situation):
        seconds = uvloop.run(latencies(folder, count))
    found = spread(seconds, "ms", 1e3)
    return {f"submit to lease, the other {situation}, {name}": v for name, v in found.items()}


def main() -> None:
    count = _LATENCIES // 4 if flags(__doc__).short else _LATENCIES
    with own_folder() as folder:
        figures = throughput_figures(folder)
    situations: tuple[Situation, ...] = (
        "has nothing to do", "holds a paused backlog", "works through a backlog",
    )  # fmt: skip
    for situation in situations:
        with own_folder() as folder:
            figures |= latency_figures(folder, count, situation)
    report("bench_shards", figures, seed=0)


if __name__ == "__main__":
    main()
