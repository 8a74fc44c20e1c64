"""Does a task cost more when many others wait, what does one that waits take of the scheduler's
memory, and how long does a scheduler take to start with them?

    python -m benchmarks.bench_backlog [--short]

A scheduler with a SQLite store, no Ray and no HTTP, in a new process for each length of the queue.
Tasks are submitted at the end of the queue and done at its head, 1,000 in a batch: processor
microseconds of one task, medians of five times 10,000. Memory: what the process grew by while the
queue was filled, in bytes per task. Recovery: seconds until a new scheduler on the same store
answers. --short leaves out the lengths in between.
"""

import asyncio
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import psutil
import uvloop

from benchmarks.flags import flags
from benchmarks.local_scheduler import (
    BATCH,
    LocalWorker,
    batches,
    local_scheduler,
    sqlite_in,
    submit,
)
from benchmarks.own_folder import own_folder
from benchmarks.report import report
from task_queue.scheduler import Scheduler

_BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
_TASKS = 10_000
_RUNS = 5
_RECOVERED = 100_000  #: from so many on, memory and recovery are of interest


def measure(folder: Path, backlog: int) -> dict[str, float]:
    """The figures for one length of the queue."""
    return uvloop.run(_measure(folder, backlog))


async def _measure(folder: Path, backlog: int) -> dict[str, float]:
    open_store = sqlite_in(folder, f"queue-{backlog}")
    figures: dict[str, float] = {}
    async with local_scheduler(open_store) as scheduler:
        worker = LocalWorker(scheduler)
        await worker.register()
        await _cost(scheduler, worker)  # warm
        before = psutil.Process().memory_info().rss
        for _ in range(backlog // BATCH):
            await submit(scheduler, batches(BATCH))
        grown = psutil.Process().memory_info().rss - before
        costs = [await _cost(scheduler, worker) for _ in range(_RUNS)]
    figures["CPU microseconds per task"] = statistics.median(costs)
    if backlog >= _RECOVERED:
        figures["memory, bytes per waiting task"] = grown / backlog
        began = time.perf_counter()
        async with local_scheduler(open_store):
            figures["recovery, seconds"] = time.perf_counter() - began
    return figures


async def _cost(scheduler: Scheduler, worker: LocalWorker) -> float:
    """Microseconds of one task."""
    tasks = batches(_TASKS)
    began = time.process_time()
    await asyncio.gather(submit(scheduler, tasks), worker.work(_TASKS))
    return (time.process_time() - began) / _TASKS * 1e6


def main() -> None:
    short = flags(__doc__).short
    figures: dict[str, float] = {}
    costs: dict[int, float] = {}
    with own_folder() as folder:
        for backlog in (_BACKLOGS[0], _BACKLOGS[-1]) if short else _BACKLOGS:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                found = process.submit(measure, folder, backlog).result()
            costs[backlog] = found["CPU microseconds per task"]
            for name, value in found.items():
                figures[f"{backlog:>9,} waiting: {name}"] = value
            figures[f"{backlog:>9,} waiting: cost, ratio to 1,000"] = costs[backlog] / costs[1_000]
    report("bench_backlog", figures, seed=0)


if __name__ == "__main__":
    main()
