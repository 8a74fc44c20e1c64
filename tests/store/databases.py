"""The kinds of store that the conformance suite runs on, and facts to put into them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from task_queue.core.effects import Changes, TimelineEvent, TimelineKind
from task_queue.core.schedule import Schedule
from task_queue.core.status import TERMINAL, Outcome, Status
from task_queue.core.task import Report, Task, TaskError, TaskSpec
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.store.ended_sum import LEVELS
from task_queue.store.memory import MemoryStore
from task_queue.store.postgres import PostgresStore
from task_queue.store.postgres_reader import PostgresReader
from task_queue.store.protocol import Reader, Store
from task_queue.store.query import TaskQuery
from task_queue.store.sqlite import SqliteStore
from task_queue.store.sqlite_reader import SqliteReader

#: Makes an empty PostgreSQL database and gives its URL.
NewPostgres = Callable[[], str]

NOW = 1_700_000_000.0


@dataclass
class Database:
    """One place where facts are kept, and ways to it."""

    connect_writer: Callable[[], Store]
    connect_reader: Callable[[], Reader]
    opened: list[Reader] = field(default_factory=list)

    def writer(self) -> Store:
        """A scheduler's own connection; it is not the writer before it takes over."""
        store = self.connect_writer()
        self.opened.append(store)
        return store

    def reader(self) -> Reader:
        """A connection as another process has it."""
        reader = self.connect_reader()
        self.opened.append(reader)
        return reader

    def close(self) -> None:
        for reader in self.opened:
            reader.close()


def _memory(_folder: Path, _new_postgres: NewPostgres) -> Database:
    store = MemoryStore()
    return Database(store.connect, store.connect)


def _sqlite(folder: Path, _new_postgres: NewPostgres) -> Database:
    path = folder / "queue.db"
    return Database(lambda: SqliteStore(path), lambda: SqliteReader(path))


def _postgres(_folder: Path, new_postgres: NewPostgres) -> Database:
    url = new_postgres()
    PostgresStore(url).close()  # a reader finds the tables
    return Database(lambda: PostgresStore(url), lambda: PostgresReader(url))


#: Every store that there is runs the suite: one line for each.
KINDS: dict[str, Callable[[Path, NewPostgres], Database]] = {
    "memory": _memory,
    "sqlite": _sqlite,
    "postgres": _postgres,
}


def a_task(seq: int, status: Status = Status.QUEUED, **fields: Any) -> Task:
    """A task; names of TaskSpec's fields go to the spec, the others to the task."""
    spec = TaskSpec(new_task_id(NOW), "test.task", "default", 5, b'{"args":[],"kwargs":{}}')
    of_spec = {name: fields.pop(name) for name in list(fields) if hasattr(spec, name)}
    spec = msgspec.structs.replace(spec, **of_spec)
    if status in TERMINAL:
        fields.setdefault("finished_at", NOW + seq)
    fields.setdefault("submitted_at", NOW + seq)
    return Task(spec, seq, status=status, **fields)


def dead_letter(seq: int, **fields: Any) -> Task:
    error = fields.pop("error", TaskError("ValueError", "no"))
    return a_task(seq, Status.FAILED, in_dlq=True, error=error, **fields)


def inserted(*tasks: Task) -> Changes:
    return Changes(inserted=list(tasks))


def touched(*tasks: Task) -> Changes:
    return Changes(touched={task.seq: task for task in tasks})


def an_ending(task: Task, result: bytes | None = b"1", logs: str = "") -> tuple[Task, Report]:
    """A report that was accepted for the task's attempt."""
    outcome = Outcome.SUCCEEDED if result is not None else Outcome.FAILED
    return task, Report(task.spec.id, task.attempt, outcome, NOW, 1.0, result, logs=logs)


def an_event(seq: int, kind: TimelineKind = "cancelled", at: float = NOW) -> TimelineEvent:
    return TimelineEvent(seq, at, kind, 1, "w1", NOW, 0.5, "ValueError", "größer: 日本")


def a_schedule(schedule_id: str, **fields: Any) -> Schedule:
    template = TaskSpec("", "test.task", "default", 5, b"{}")
    return Schedule(schedule_id, template, NOW + 60, interval_seconds=60.0, **fields)


def a_worker(worker_id: str, **fields: Any) -> WorkerInfo:
    return WorkerInfo(worker_id, "i1", "pool", ("*",), 2, **fields)


def everything(store: Store) -> bytes:
    """All that a store can tell, to be compared with what it tells later."""
    loaded = store.load()
    seqs = list(range(1, loaded.next_seq + 5))
    return msgspec.msgpack.encode(
        [
            loaded,
            store.search(TaskQuery(), 10_000),
            sorted(store.arguments(seqs).items()),
            sorted(store.results(seqs).items()),
            [store.timeline(seq) for seq in seqs],
            [store.logs(seq) for seq in seqs],
            store.tallies(),
            store.summed_until(),
            [store.sums(level.seconds, 0, 2**40) for level in LEVELS],
            store.workers(),
            store.schedules(),
            store.pools(),
            store.task_types(),
        ]
    )


def bare(task: Task) -> Task:
    """The task as lists give it: without its arguments."""
    return msgspec.structs.replace(task, spec=msgspec.structs.replace(task.spec, arguments=b""))
