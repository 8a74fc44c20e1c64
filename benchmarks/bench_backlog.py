"""Does a task cost more when many others wait, what does one that waits take of the scheduler's
memory, and how long does a scheduler take to start with them?

    python -m benchmarks.bench_backlog [--short]

A scheduler with a SQLite store, no Ray and no HTTP, in a new process for each length of the queue.
Tasks are submitted at the end of the queue and done at its head, 1,000 in a batch: processor
microseconds of one task, medians of five times 10,000. Memory: what the process grew by while the
queue was filled, in bytes per task. Recovery: seconds until a new scheduler on the same store
answers. --short leaves out the lengths in between, and PostgreSQL: the longest queue alone, on a
server of the benchmark's own.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import psutil
import uvloop

from benchmarks.flags import flags
from benchmarks.local_scheduler import (
    BATCH,
    LocalWorker,
    batches,
    local_scheduler,
    submit,
)
from benchmarks.own_folder import own_folder
from benchmarks.peers.private_postgres import private_postgres
from benchmarks.report import report
from task_queue.scheduler import Scheduler
from task_queue.store import open_store as open_store_at
from task_queue.store.protocol import Store

_BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
_TASKS = 10_000
_RUNS = 5
_RECOVERED = 100_000  #: from so many on, memory and recovery are of interest


def measure(url: str, backlog: int) -> dict[str, float]:
    """The figures for one length of the queue."""
    return uvloop.run(_measure(lambda: open_store_at(url), backlog))


async def _measure(open_store: Callable[[], Store], backlog: int) -> dict[str, float]:
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


def _in_new_process(url: str, backlog: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(measure, url, backlog).result()


def main() -> None:
    short = flags(__doc__).short
    figures: dict[str, float] = {}
    costs: dict[int, float] = {}
    with own_folder() as folder:
        for backlog in (_BACKLOGS[0], _BACKLOGS[-1]) if short else _BACKLOGS:
            found = _in_new_process(f"sqlite:///{folder}/queue-{backlog}.db", backlog)
            costs[backlog] = found["CPU microseconds per task"]
            for name, value in found.items():
                figures[f"{backlog:>9,} waiting: {name}"] = value
            figures[f"{backlog:>9,} waiting: cost, ratio to 1,000"] = costs[backlog] / costs[1_000]
    if not short:
        with private_postgres() as server:
            found = _in_new_process(server.url, _BACKLOGS[-1])
        figures |= {f"PostgreSQL, {_BACKLOGS[-1]:,} waiting: {n}": v for n, v in found.items()}
    report("bench_backlog", figures, seed=0)


if __name__ == "__main__":
    main()
