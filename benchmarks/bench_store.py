"""What a task costs the scheduler with its store: the whole loop, no Ray and no HTTP.

    python -m benchmarks.bench_store [--short]

Every task is inserted, claimed and completed durably (SQLite: WAL, synchronous=FULL; PostgreSQL:
fsync and synchronous_commit, a server of its own on loopback, left out where none is installed),
1,000 in a batch. The memory store is run in the same way; the difference is the price of
durability.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.flags import flags
from benchmarks.local_scheduler import LocalWorker, batches, local_scheduler, sqlite_in, submit
from benchmarks.own_folder import own_folder
from benchmarks.peers.private_postgres import private_postgres
from benchmarks.report import report
from task_queue.store import open_store as open_store_at
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Store

_TASKS = 50_000


async def seconds(open_store: Callable[[], Store]) -> tuple[float, float]:
    """(wall, CPU) of `_TASKS` tasks through a scheduler."""
    async with local_scheduler(open_store) as scheduler:
        worker = LocalWorker(scheduler)
        await worker.register()
        tasks = batches(_TASKS)
        wall, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(submit(scheduler, tasks), worker.work(_TASKS))
        return time.perf_counter() - wall, time.process_time() - cpu


@contextmanager
def installed_postgres() -> Iterator[str | None]:
    """The URL of a server, if it is installed."""
    with ExitStack() as servers:
        try:
            url = servers.enter_context(private_postgres()).url
        except FileNotFoundError as error:
            print(error, file=sys.stderr)
            url = None
        yield url


def main() -> None:
    flags(__doc__)  # it is short
    figures: dict[str, float] = {}
    with own_folder() as folder, ExitStack() as servers:
        stores: dict[str, Callable[[], Store]] = {
            "memory": MemoryStore,
            "SQLite": sqlite_in(folder),
        }
        url = servers.enter_context(installed_postgres())
        if url is not None:
            stores["PostgreSQL"] = lambda: open_store_at(url)
        for name, open_store in stores.items():
            wall, cpu = asyncio.run(seconds(open_store))
            figures[f"{name}: tasks per second"] = _TASKS / wall
            figures[f"{name}: CPU microseconds per task"] = cpu / _TASKS * 1e6
    report("bench_store", figures, seed=0)


if __name__ == "__main__":
    main()
