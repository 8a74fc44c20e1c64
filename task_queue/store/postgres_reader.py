"""Questions to the PostgreSQL database, from any machine that reaches it.

Each question is one statement, so that its answer is one consistent view. A connection that was
lost is made again at the next question: a question may be asked twice.
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec
import psycopg

from task_queue.core.effects import TimelineEvent
from task_queue.core.schedule import Schedule
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.store.ended_sum import EndedSum, EndedTask
from task_queue.store.postgres_column import Column
from task_queue.store.postgres_connection import connect, errors
from task_queue.store.postgres_query import COLUMNS, VIEWS, search, select, where
from task_queue.store.postgres_text import parted, plain, stored
from task_queue.store.protocol import Cursor
from task_queue.store.query import Pool, Tally, TaskQuery
from task_queue.store.reach import before_seq_of, reach_parts
from task_queue.store.submitted_range import is_bounded, with_seq_bounds
from task_queue.store.task_row import task_of
from task_queue.tasks import TaskType

_ENDED = ("states", "completed")
_TAGS = 7  #: where the tags stand in a row

_ENDED_ORDER = "ORDER BY finished_at, seq LIMIT %s"
_ENDED_PAGE = (
    "SELECT * FROM ((SELECT finished_at, seq, status, submitted_at, started_at, "
    "CASE status WHEN 'COMPLETED' THEN '' ELSE id END, "
    "CASE status WHEN 'COMPLETED' THEN '' ELSE name END, "
    "coalesce(error_type, ''), coalesce(error_message, '') FROM settled_tasks WHERE "
    "finished_at IS NOT NULL AND (finished_at, seq) > (%s, %s) AND finished_at < %s "
    f"{_ENDED_ORDER}) UNION ALL "
    "(SELECT finished_at, seq, 'COMPLETED', submitted_at, started_at, '', '', '', '' "
    "FROM completed_tasks WHERE (finished_at, seq) > (%s, %s) AND finished_at < %s "
    f"{_ENDED_ORDER})) AS found {_ENDED_ORDER}"
)

T = TypeVar("T")


class PostgresReader:
    """A Reader over one connection. Not for use by two threads at the same time."""

    _read_only = True
    _application = "task-queue reader"

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = self._connect()

    def get(self, task_id: str) -> Task | None:
        sql = select((), "id = %s", arguments=True)
        rows = self._rows(sql, (stored(task_id),) * len(VIEWS))
        return stored_task(rows[0][1:], rows[0][0]) if rows else None

    def find(self, task_ids: Sequence[str]) -> dict[str, Task]:
        ids = Column("text", [stored(task_id) for task_id in task_ids])
        rows = self._rows(select((), "id = ANY (%s)"), (ids,) * len(VIEWS))
        found = {task.spec.id: task for task in map(stored_task, rows)}
        return {task_id: found[task_id] for task_id in task_ids if task_id in found}

    def results(self, seqs: Sequence[int]) -> dict[int, bytes]:
        sql = " UNION ALL ".join(
            f"SELECT seq, result FROM {table} WHERE seq = ANY (%s) AND result IS NOT NULL"
            for table in _ENDED
        )
        return dict(self._rows(sql, (Column("bigint", seqs),) * len(_ENDED)))

    def arguments(self, seqs: Sequence[int]) -> dict[int, bytes]:
        sql = "SELECT seq, arguments FROM tasks WHERE seq = ANY (%s)"
        return dict(self._rows(sql, (Column("bigint", seqs),)))

    def timeline(self, seq: int) -> list[TimelineEvent]:
        sql = "SELECT event FROM timeline WHERE seq = %s ORDER BY id"
        return self._decoded(sql, TimelineEvent, (seq,))

    def logs(self, seq: int) -> list[tuple[int, str]]:
        sql = "SELECT attempt, text FROM logs WHERE seq = %s ORDER BY attempt"
        return [(attempt, plain(text)) for attempt, text in self._rows(sql, (seq,))]

    def search(self, query: TaskQuery, limit: int) -> list[Task]:
        sql, values = search(self.bounded(query), limit)
        return [stored_task(row) for row in self._rows(sql, tuple(values))]

    def reach(self, query: TaskQuery, most: int) -> int:
        statuses, _, _ = where(query)
        parts = reach_parts(VIEWS, statuses, query, "%s")
        sql = " UNION ALL ".join(f"({part})" for part in parts)
        values = (query.from_seq or 0, before_seq_of(query), most) * len(parts)
        ((seq,),) = self._rows(f"SELECT max(seq) FROM ({sql}) AS found", values)
        return query.from_seq or 0 if seq is None else seq + 1

    def bounded(self, query: TaskQuery) -> TaskQuery:
        if is_bounded(query):
            return query
        ((last_seq,),) = self._rows("SELECT coalesce(max(seq), 0) FROM tasks")
        return with_seq_bounds(query, last_seq, self._submitted_from_seq)

    def _submitted_from_seq(self, seq: int) -> float | None:
        sql = "SELECT submitted_at FROM tasks WHERE seq >= %s ORDER BY seq LIMIT 1"
        return next((at for (at,) in self._rows(sql, (seq,))), None)

    def ended_after(self, cursor: Cursor, limit: int) -> list[Task]:
        ending = "ORDER BY finished_at, seq LIMIT %s"
        sql = " UNION ALL ".join(
            f"(SELECT {COLUMNS} FROM {view}_tasks WHERE finished_at IS NOT NULL "
            f"AND (finished_at, seq) > (%s, %s) {ending})"
            for view in ("settled", "completed")
        )
        rows = self._rows(
            f"SELECT * FROM ({sql}) AS found {ending}", (*(*cursor, limit) * 2, limit)
        )
        return [stored_task(row) for row in rows]

    def last_ended(self) -> Cursor:
        sql = " UNION ALL ".join(
            f"(SELECT finished_at, seq FROM {table} WHERE finished_at IS NOT NULL "
            "ORDER BY finished_at DESC, seq DESC LIMIT 1)"
            for table in _ENDED
        )
        return max(self._rows(sql), default=(0.0, 0))

    def tallies(self) -> list[Tally]:
        rows = self._rows("SELECT queue, name, kind, count FROM tallies")
        return [
            Tally(*r) for r in sorted((plain(q), plain(n), k, count) for q, n, k, count in rows)
        ]

    def ended(self, after: Cursor, until: float, limit: int) -> list[EndedTask]:
        rows = self._rows(_ENDED_PAGE, (*(*after, until, limit) * 2, limit))
        return [EndedTask(*row[:5], *map(plain, row[5:])) for row in rows]

    def sums(self, seconds: int, first: int, beyond: int) -> dict[int, EndedSum]:
        sql = (
            "SELECT number, sum FROM ended_sums WHERE seconds = %s AND number >= %s AND number < %s"
        )
        decode = msgspec.msgpack.Decoder(EndedSum).decode
        return {number: decode(raw) for number, raw in self._rows(sql, (seconds, first, beyond))}

    def summed_until(self) -> float:
        rows = self._rows("SELECT value FROM meta WHERE key = 'summed_until'")
        return float(rows[0][0]) if rows else 0.0

    def workers(self) -> list[WorkerInfo]:
        workers = self._decoded("SELECT info FROM workers", WorkerInfo)
        return sorted(workers, key=lambda info: info.worker_id)

    def schedules(self) -> list[Schedule]:
        schedules = self._decoded("SELECT schedule FROM schedules", Schedule)
        return sorted(schedules, key=lambda schedule: schedule.id)

    def pools(self) -> list[Pool]:
        return sorted(self._decoded("SELECT pool FROM pools", Pool), key=lambda pool: pool.name)

    def task_types(self) -> list[TaskType]:
        types = self._decoded("SELECT task_type FROM task_types", TaskType)
        return sorted(types, key=lambda task_type: task_type.name)

    def ping(self) -> None:
        self._rows("SELECT value FROM meta LIMIT 1")

    def close(self) -> None:
        with errors("close"):
            self._connection.close()

    def _connect(self) -> psycopg.Connection:
        return connect(self._url, self._application, read_only=self._read_only)

    def _decoded(self, sql: str, kind: type[T], values: tuple[Any, ...] = ()) -> list[T]:
        decode = msgspec.msgpack.Decoder(kind).decode
        return [decode(raw) for (raw,) in self._rows(sql, values)]

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        with errors("read"):
            try:
                return self._ask(sql, values)
            except psycopg.OperationalError:
                if not self._connection.broken:
                    raise
            self._connection = self._connect()
            return self._ask(sql, values)

    def _ask(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        with self._connection.cursor(binary=True) as cursor:
            return cursor.execute(sql.encode(), values).fetchall()


def stored_task(row: tuple[Any, ...], arguments: bytes = b"") -> Task:
    """The task of a row, its texts as they were given."""
    return task_of(plain_row(row), arguments)


def plain_row(row: tuple[Any, ...], tags_at: int = _TAGS) -> tuple[Any, ...]:
    """A row of a task, its texts as they were given; `tags_at`: which column has its tags."""
    texts = [plain(value) if isinstance(value, str) else value for value in row]
    tags = row[tags_at]
    if tags is not None:
        texts[tags_at] = json.dumps(parted(tags))
    return tuple(texts)
