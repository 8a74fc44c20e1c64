"""What a task costs the scheduler with its store: the whole loop, no Ray and no HTTP.

    python -m benchmarks.bench_store

Every task is inserted, claimed and completed durably (SQLite, WAL, synchronous=FULL). The memory
store is run in the same way; the difference is the price of durability.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import report
from task_queue.clock import SystemClock
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Report, TaskSpec
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler, SchedulerParts
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Store
from task_queue.store.sqlite import SqliteStore
from task_queue.testing import task_spec

_TASKS = 50_000
_BATCH = 1_000


async def seconds(open_store: Callable[[], Store]) -> tuple[float, float]:
    """(wall, CPU) of `_TASKS` tasks through a scheduler."""
    scheduler = Scheduler(
        SchedulerParts(
            open_store, Rules(), SystemClock(), new_task_id, random.Random(0).random, next_firing
        )
    )
    await scheduler.started()
    await scheduler.request(WorkerRegistered(WorkerInfo("w-1", "i", "p", ("*",), 4)))
    batches = [[task_spec() for _ in range(_BATCH)] for _ in range(_TASKS // _BATCH)]
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(_submit(scheduler, batches), _work(scheduler))
    spent = time.perf_counter() - wall, time.process_time() - cpu
    scheduler.stop()
    return spent


async def _submit(scheduler: Scheduler, batches: list[list[TaskSpec]]) -> None:
    for specs in batches:
        await scheduler.submit(specs)


async def _work(scheduler: Scheduler) -> None:
    done, seq = 0, 0
    reports: list[Report] = []
    while done < _TASKS:
        seq += 1
        grant = await scheduler.pull(WorkerPulled("w-1", "i", seq, _BATCH, reports))
        reports = [
            Report(x.task_id, x.attempt, Outcome.SUCCEEDED, 0.0, 0.001, b"null")
            for x in grant.leases
        ]
        done += len(reports)
    await scheduler.request(WorkerPulled("w-1", "i", seq + 1, 0, reports))


def main() -> None:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        stores: dict[str, Callable[[], Store]] = {
            "memory": MemoryStore,
            "SQLite": lambda: SqliteStore(Path(folder) / "queue.db"),
        }
        for name, open_store in stores.items():
            wall, cpu = asyncio.run(seconds(open_store))
            figures[f"{name}: tasks per second"] = _TASKS / wall
            figures[f"{name}: CPU microseconds per task"] = cpu / _TASKS * 1e6
    report("bench_store", figures, seed=0)


if __name__ == "__main__":
    main()
