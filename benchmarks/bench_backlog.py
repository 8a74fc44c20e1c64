"""Does a task cost more when many others wait, what does one that waits take of the scheduler's
memory, and how long does a scheduler take to start with them?

    python -m benchmarks.bench_backlog [--short]

A scheduler with a SQLite store, no Ray and no HTTP, in a process of its own for each length of the
queue. Tasks are submitted at the end of the queue and done at its head, 1,000 in a batch: processor
microseconds of one task, 10,000 at a time and one queue after the other, 15 times; medians, of the
ratio too, so that it compares what was measured within a second. Memory: what the process grew by
while the queue was filled, in bytes per task. Recovery: seconds until a new scheduler on the same
store answers. --short leaves out the lengths in between, and PostgreSQL: the longest queue alone,
on a server of the benchmark's own.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from operator import truediv

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
_ROUNDS = 15
_RECOVERED = 100_000  #: from so many on, memory and recovery are of interest
_SPAWN = get_context("spawn")


class WaitingQueue:
    """A process with a scheduler that holds a backlog."""

    def __init__(self, url: str, backlog: int) -> None:
        """Returns when the queue is filled."""
        self._connection, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(url, backlog, theirs), daemon=True)
        self._process.start()
        theirs.close()
        #: What the process grew by, for each task that waits.
        self.bytes_per_task: float = self._connection.recv()

    def cost(self) -> float:
        """Processor microseconds of one task, now."""
        self._connection.send("measure")
        return float(self._connection.recv())

    def end(self) -> float:
        """End it. Returns how many seconds another scheduler on its store took to start."""
        self._connection.send("end")
        seconds = float(self._connection.recv())
        self._process.join()
        return seconds


def _serve(url: str, backlog: int, connection: Connection) -> None:
    uvloop.run(_hold(lambda: open_store_at(url), backlog, connection))


async def _hold(open_store: Callable[[], Store], backlog: int, connection: Connection) -> None:
    async with local_scheduler(open_store) as scheduler:
        worker = LocalWorker(scheduler)
        await worker.register()
        await _cost(scheduler, worker)  # warm
        before = psutil.Process().memory_info().rss
        for _ in range(backlog // BATCH):
            await submit(scheduler, batches(BATCH))
        connection.send((psutil.Process().memory_info().rss - before) / backlog)
        while connection.recv() == "measure":
            connection.send(await _cost(scheduler, worker))
    began = time.perf_counter()
    async with local_scheduler(open_store):
        connection.send(time.perf_counter() - began)


async def _cost(scheduler: Scheduler, worker: LocalWorker) -> float:
    """Microseconds of one task."""
    tasks = batches(_TASKS)
    began = time.process_time()
    await asyncio.gather(submit(scheduler, tasks), worker.work(_TASKS))
    return (time.process_time() - began) / _TASKS * 1e6


def _measure(urls: dict[int, str]) -> dict[str, float]:
    """The figures of queues of these lengths, each at its URL."""
    queues = {backlog: WaitingQueue(url, backlog) for backlog, url in urls.items()}
    costs: dict[int, list[float]] = {backlog: [] for backlog in queues}
    for number in range(_ROUNDS):
        for backlog in sorted(queues, reverse=number % 2 == 1):
            costs[backlog].append(queues[backlog].cost())
    figures: dict[str, float] = {}
    shortest = costs[min(costs)]
    for backlog, queue in queues.items():
        waiting, recovery = f"{backlog:>9,} waiting", queue.end()
        figures[f"{waiting}: CPU microseconds per task"] = statistics.median(costs[backlog])
        if len(queues) > 1:
            quotients = map(truediv, costs[backlog], shortest)
            figures[f"{waiting}: cost, ratio to {min(costs):,}"] = statistics.median(quotients)
        if backlog >= _RECOVERED:
            figures[f"{waiting}: memory, bytes per waiting task"] = queue.bytes_per_task
            figures[f"{waiting}: recovery, seconds"] = recovery
    return figures


def main() -> None:
    short = flags(__doc__).short
    backlogs = (_BACKLOGS[0], _BACKLOGS[-1]) if short else _BACKLOGS
    with own_folder() as folder:
        figures = _measure({each: f"sqlite:///{folder}/queue-{each}.db" for each in backlogs})
    if not short:
        with private_postgres() as server:
            found = _measure({_BACKLOGS[-1]: server.url})
        figures |= {f"PostgreSQL, {name.strip()}": value for name, value in found.items()}
    report("bench_backlog", figures, seed=0)


if __name__ == "__main__":
    main()
