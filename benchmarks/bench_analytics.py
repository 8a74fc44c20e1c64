"""How long do the store's answers for dashboards and searches take with many tasks in it?

    python -m benchmarks.bench_analytics [--short]

One million tasks (--short: 100,000) in SQLite, and in a PostgreSQL of the benchmark's own if it is
installed, accepted evenly over seven days: 97 % COMPLETED, 2 % FAILED, 1 % waiting. Each question
of the API, milliseconds: to the store as a new replica asks it, in one process, without HTTP and
JSON; then over HTTP, to a new replica behind uvicorn in a process of its own. A search that must
look at very many tasks is continued from page to page: its pages are measured, and how long it
takes to reach the end; over HTTP its first page.
"""

import asyncio
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from benchmarks import analytics_over_http
from benchmarks.bench_store import installed_postgres
from benchmarks.flags import flags
from benchmarks.own_folder import own_folder
from benchmarks.report import report, spread
from serve_app.bounded_search import bounded_search
from task_queue.clock import SystemClock
from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.core.task import Task, TaskError, TaskSpec
from task_queue.ids import new_task_id
from task_queue.store import open_reader, open_store
from task_queue.store.ended_sum import sum_of_ended
from task_queue.store.protocol import Reader, Store
from task_queue.store.query import TaskQuery
from task_queue.store.trends import read_trends
from task_queue.testing import FakeClock
from task_queue.trend_roller import TrendRoller

_TASKS = 1_000_000
_BATCH = 5_000
_WEEK = 604_800.0
_NOW = 1_767_225_600.0
_SEED = 7
_ROUNDS = 20
_PAGE = 100
_DAY = TaskQuery(submitted_from=_NOW - 3 * 86_400, submitted_to=_NOW - 2 * 86_400)
#: What the API asks for each window: seconds of the window and of its slices.
_WINDOWS = {"15m": (900.0, 60.0), "1h": (3_600.0, 120.0), "6h": (21_600.0, 600.0),
            "24h": (86_400.0, 1_800.0), "7d": (_WEEK, 14_400.0)}  # fmt: skip
_CLOCK = SystemClock()

T = TypeVar("T")


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


class _Scheduler:
    """Adds up what ended, without pauses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def between_turns(self, question: Callable[[Store], T]) -> T:
        return question(self._store)

    async def sleep(self, _seconds: float) -> None: ...


def add_up(store: Store) -> dict[str, float]:
    """Add up all that ended, in its slices and as if it were one. CPU of this process alone."""
    scheduler = _Scheduler(store)
    roller = TrendRoller(scheduler, FakeClock(_NOW), scheduler.sleep)
    began = time.process_time()
    count = asyncio.run(roller.roll())
    took = time.process_time() - began
    began = time.process_time()
    many = count // 10
    sum_of_ended(store.ended((0.0, -1), _NOW, many))
    together = time.process_time() - began
    return {
        "adding up, few in a slice, CPU microseconds a task": took / count * 1e6,
        "adding up, many in a slice, CPU microseconds a task": together / many * 1e6,
    }


def searches() -> dict[str, TaskQuery]:
    """What is searched for."""
    failed, none = (Status.FAILED,), "no-such-thing"
    return {
        "newest": TaskQuery(),
        "status FAILED": TaskQuery(statuses=failed),
        "in_dlq": TaskQuery(in_dlq=True),
        "queue and name": TaskQuery(queue="queue1", name="shop.task3"),
        "worker_id": TaskQuery(worker_id="default-1"),
        "error": TaskQuery(error="valueerror"),
        "one day": _DAY,
        "deep page, all": TaskQuery(before_seq=5_000),
        "deep page, queue and name": TaskQuery(
            before_seq=20_000, queue="queue1", name="shop.task3"
        ),
        "q of a name, FAILED": TaskQuery(text="task3", statuses=failed),
        "error, none has it": TaskQuery(error="MemoryError"),
        "q, none has it": TaskQuery(text=none),
        "q, none has it, FAILED": TaskQuery(text=none, statuses=failed),
        "q, none has it, QUEUED": TaskQuery(text=none, statuses=(Status.QUEUED,)),
        "q, none has it, one day": replace(_DAY, text=none),
        "queue, none has it": TaskQuery(queue=none),
        "tag, none has it": TaskQuery(tag=none),
        "worker_id, none has it": TaskQuery(worker_id=none),
    }


def pages(reader: Reader, query: TaskQuery) -> list[float]:
    """Seconds of each page of a search, until one has tasks or there are no more."""
    seconds = []
    while True:
        began = time.perf_counter()
        found = bounded_search(reader, query, _PAGE, _CLOCK)
        seconds.append(time.perf_counter() - began)
        if found.tasks or found.next_seq is None:
            return seconds
        query = replace(query, before_seq=found.next_seq)


def measure(reader: Reader, rounds: int) -> dict[str, float]:
    """All questions."""
    figures: dict[str, float] = {}
    for name, query in searches().items():
        runs = [pages(reader, query)]
        runs += [pages(reader, query) for _ in range(rounds if len(runs[0]) == 1 else rounds // 5)]
        figures |= _spread(f"search, {name}", [page for run in runs for page in run])
        if len(runs[0]) > 1:
            figures[f"search, {name}, to the end, ms"] = min(map(sum, runs)) * 1e3
    for name, (window, step) in _WINDOWS.items():
        asked = partial(read_trends, reader, _NOW - window, _NOW, step)
        figures |= _spread(f"trends {name}", [_seconds(asked) for _ in range(rounds)])
    return figures


def _seconds(question: Callable[[], object]) -> float:
    began = time.perf_counter()
    question()
    return time.perf_counter() - began


def _spread(name: str, seconds: list[float]) -> dict[str, float]:
    of_name = spread(seconds, "ms", 1e3)
    return {f"{name}, {part}": of_name[part] for part in ("p50 ms", "p95 ms")}


def main() -> None:
    short = flags(__doc__).short
    count, rounds = (_TASKS // 10, _ROUNDS // 4) if short else (_TASKS, _ROUNDS)
    figures: dict[str, float] = {}
    with own_folder() as folder, ExitStack() as servers:
        stores = {"SQLite": f"sqlite:///{folder}/queue.db"}
        url = servers.enter_context(installed_postgres())
        if url is not None:
            stores["PostgreSQL"] = url
        for kind, store_url in stores.items():
            store = open_store(store_url)
            store.take_over()
            fill(store, count)
            measured = add_up(store)
            store.close()
            reader = open_reader(store_url)
            measured |= measure(reader, rounds)
            reader.close()
            measured |= analytics_over_http.measure(store_url, _NOW, searches(), folder, rounds)
            figures |= {f"{kind}: {name}": value for name, value in measured.items()}
    report("bench_analytics", figures, seed=_SEED)


if __name__ == "__main__":
    main()
