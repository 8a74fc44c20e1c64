"""How long do the store's answers for dashboards and searches take with many tasks in it?

    python -m benchmarks.bench_analytics [--short]

One million tasks in SQLite (--short: 100,000), accepted evenly over seven days: 97 % COMPLETED,
2 % FAILED, 1 % waiting. Each question of the API to the store, milliseconds, in one process, with
nothing else running; HTTP and JSON are not in it.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.local_scheduler import sqlite_in
from benchmarks.own_folder import own_folder
from benchmarks.report import report, spread
from benchmarks.short_flag import short_flag
from serve_app.trend_book import TrendBook
from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.core.task import Task, TaskError, TaskSpec
from task_queue.ids import new_task_id
from task_queue.store.protocol import Reader, Store
from task_queue.store.query import TaskQuery, Trends
from task_queue.testing import FakeClock

_TASKS = 1_000_000
_BATCH = 5_000
_WEEK = 604_800.0
_NOW = 1_767_225_600.0
_SEED = 7
_ROUNDS = 20
_PAGE = 100
#: What the API asks for each window: seconds of the window and of its slices.
_WINDOWS = {"15m": (900.0, 60.0), "1h": (3_600.0, 120.0), "24h": (86_400.0, 1_800.0),
            "7d": (_WEEK, 14_400.0)}  # fmt: skip


def tasks(count: int) -> Iterator[Task]:
    """Tasks in the order of their acceptance."""
    chance = random.Random(_SEED)
    for seq in range(1, count + 1):
        at = _NOW - _WEEK + _WEEK * seq / (count + 1)
        name = f"shop.task{chance.randrange(20)}"
        spec = TaskSpec(new_task_id(at), name, f"queue{chance.randrange(5)}", 5, b"{}")
        task = Task(spec, seq, at)
        kind, ran = chance.random(), chance.expovariate(2.0)
        if kind < 0.99:
            task.status, task.attempt, task.worker_id = Status.COMPLETED, 1, "default-1"
            task.claimed_at = task.started_at = at + 0.1
            task.finished_at = at + 0.1 + ran
        if 0.97 <= kind < 0.99:
            task.status, task.in_dlq = Status.FAILED, True
            task.error = TaskError(chance.choice(("OSError", "ValueError")), "no such file")
        yield task


def fill(store: Store, count: int) -> None:
    """Save `count` tasks."""
    batch: list[Task] = []
    for task in tasks(count):
        batch.append(task)
        if len(batch) == _BATCH:
            store.commit(Changes(inserted=batch))
            batch = []
    store.commit(Changes(inserted=batch))


def questions() -> dict[str, Callable[[Reader], object]]:
    """What the endpoints ask, by what they are."""
    queries = {
        "newest": TaskQuery(),
        "status FAILED": TaskQuery(statuses=(Status.FAILED,)),
        "in_dlq": TaskQuery(in_dlq=True),
        "queue and name": TaskQuery(queue="queue1", name="shop.task3"),
        "worker_id": TaskQuery(worker_id="default-1"),
        "error": TaskQuery(error="valueerror"),
        "error, none has it": TaskQuery(error="MemoryError"),
        "q, none has it": TaskQuery(text="no-such-thing"),
        "one day": TaskQuery(submitted_from=_NOW - 3 * 86_400, submitted_to=_NOW - 2 * 86_400),
    }
    searches: dict[str, Callable[[Reader], object]] = {
        f"search, {name}": partial(_search, query) for name, query in queries.items()
    }
    return searches | dict(_all_trends())


def _search(query: TaskQuery, reader: Reader) -> object:
    return reader.search(query, _PAGE)


def _all_trends() -> Iterator[tuple[str, Callable[[Reader], object]]]:
    """Of each window: with nothing kept, as the first answer of a replica is, and every other."""
    for name, (window, step) in _WINDOWS.items():
        for when, kept in ((", first answer", False), ("", True)):
            yield f"trends {name}{when}", _Trends(window, step, kept=kept)


class _Trends:
    """The trends as the API asks for them, at the end of a slice, when it is fullest."""

    def __init__(self, window: float, step: float, *, kept: bool) -> None:
        self._new = partial(TrendBook, step, round(window / step), FakeClock(_NOW - 1e-3))
        self._book = self._new() if kept else None

    def __call__(self, reader: Reader) -> object:
        async def read_slice(since: float, until: float) -> Trends:
            return reader.trends(since, until, until - since)

        return asyncio.run((self._book or self._new()).read(read_slice))


def main() -> None:
    short = short_flag(__doc__)
    figures: dict[str, float] = {}
    with own_folder() as folder:
        store = sqlite_in(folder)()
        store.take_over()
        fill(store, _TASKS // 10 if short else _TASKS)
        for name, question in questions().items():
            question(store)  # so that what is kept is there
            seconds = []
            for _ in range(_ROUNDS // 4 if short else _ROUNDS):
                began = time.perf_counter()
                question(store)
                seconds.append(time.perf_counter() - began)
            of_name = spread(seconds, "ms", 1e3)
            figures |= {f"{name}, {part}": of_name[part] for part in ("p50 ms", "p95 ms")}
        store.close()
    report("bench_analytics", figures, seed=_SEED)


if __name__ == "__main__":
    main()
