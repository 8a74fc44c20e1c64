"""Questions to the SQLite file, from any process on the machine that has it.

Write-ahead logging lets readers see the last commit without ever blocking the writer.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Any, TypeVar

import apsw
import msgspec

from task_queue.core.effects import TimelineEvent
from task_queue.core.schedule import Schedule
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.store.ended_sum import EndedSum, EndedTask
from task_queue.store.protocol import Cursor, StoreError
from task_queue.store.query import Pool, Tally, TaskQuery
from task_queue.store.reach import before_seq_of, reach_parts
from task_queue.store.submitted_range import is_bounded, with_seq_bounds
from task_queue.store.task_row import FIXED, MOVING, task_of
from task_queue.tasks import TaskType

_COLUMNS = ", ".join(FIXED + MOVING)
_COLUMNS_BY_END = ", ".join(  # `finished_at` by which they are in order
    "run.finished_at" if column == "finished_at" else column for column in FIXED + MOVING
)
_BUSY_TIMEOUT_MS = 10_000
LIVE_STATUSES = frozenset(Status) - TERMINAL

#: The tables that tell of tasks that are over.
_ENDED = ("states", "completed")
#: The arguments of a task of the view `v`, wherever they are.
ARGUMENTS = "coalesce(v.arguments, (SELECT json FROM arguments WHERE seq = v.seq))"


def by_end(table: str) -> str:
    """Completed tasks in the order in which they ended; `table` has them by seq."""
    return f"completed_runs AS run CROSS JOIN {table} ON seq BETWEEN run.first_seq AND run.last_seq"


#: Of those, in the order of (finished_at, seq): what comes after a cursor.
_AFTER = "run.finished_at >= ? AND (run.finished_at, seq) > (?, ?)"
# SQLite merges the two, each in its order; it has to sort only what completed at the same moment.
_ENDED_PAGE = (
    "SELECT finished_at, seq, status, submitted_at, started_at, "
    "iif(status = 'COMPLETED', '', id), iif(status = 'COMPLETED', '', name), "
    "coalesce(error_type, ''), coalesce(error_message, '') FROM settled_tasks "
    "WHERE finished_at IS NOT NULL AND (finished_at, seq) > (?, ?) AND finished_at < ? UNION ALL "
    "SELECT run.finished_at, seq, 'COMPLETED', submitted_at, started_at, '', '', '', '' "
    f"FROM {by_end('completed_tasks')} WHERE {_AFTER} AND run.finished_at < ? "
    "ORDER BY finished_at, seq LIMIT ?"
)

T = TypeVar("T")

#: Each task is in one of these views; which statuses it can have there.
_VIEWS: dict[str, frozenset[Status]] = {
    "settled_tasks": frozenset(Status),
    "completed_tasks": frozenset({Status.COMPLETED}),
    "waiting_tasks": frozenset({Status.QUEUED}),
    "leased_tasks": frozenset({Status.RUNNING}),
}


class SqliteReader:
    """A Reader over one read-only connection, for the thread that opened it.

    In any other thread a question raises RuntimeError.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreError(f"{path} does not exist: no scheduler has opened this store yet")
        self._open(path, apsw.SQLITE_OPEN_READONLY)

    def _open(self, path: Path, flags: int) -> None:
        self._thread = get_ident()
        self._connection = connect(path, flags)

    def get(self, task_id: str) -> Task | None:
        sql = select((), "id = ?", arguments=True)
        rows = list(self._rows(sql, (task_id,) * len(_VIEWS)))
        return task_of(rows[0][1:], rows[0][0]) if rows else None

    def find(self, task_ids: Sequence[str]) -> dict[str, Task]:
        if len(task_ids) == 1:  # who waits for a task waits for this too
            rows = self._rows(_one_by_id(), tuple(task_ids) * len(_VIEWS))
            return {task.spec.id: task for task in map(task_of, rows)}
        by_id = "SELECT seq FROM json_each(?) CROSS JOIN tasks ON tasks.id = json_each.value"
        seqs = [seq for (seq,) in self._rows(by_id, (json.dumps(list(task_ids)),))]
        sql = select((), "seq IN (SELECT value FROM json_each(?))")
        rows = self._rows(sql, (json.dumps(seqs),) * len(_VIEWS))
        found = {task.spec.id: task for task in map(task_of, rows)}
        return {task_id: found[task_id] for task_id in task_ids if task_id in found}

    def results(self, seqs: Sequence[int]) -> dict[int, bytes]:
        sql = " UNION ALL ".join(
            f"SELECT seq, result FROM json_each(?) CROSS JOIN {table} ON seq = json_each.value "
            "WHERE result IS NOT NULL"
            for table in _ENDED
        )
        return dict(self._rows(sql, (json.dumps(list(seqs)),) * len(_ENDED)))

    def arguments(self, seqs: Sequence[int]) -> dict[int, bytes]:
        sql = (
            f"SELECT v.seq, {ARGUMENTS} FROM json_each(?) "
            "CROSS JOIN tasks AS v ON v.seq = json_each.value"
        )
        return dict(self._rows(sql, (json.dumps(list(seqs)),)))

    def timeline(self, seq: int) -> list[TimelineEvent]:
        sql = "SELECT event FROM timeline WHERE seq = ? ORDER BY id"
        return self._decoded(sql, TimelineEvent, (seq,))

    def logs(self, seq: int) -> list[tuple[int, str]]:
        sql = "SELECT attempt, text FROM logs WHERE seq = ? ORDER BY attempt"
        return [(attempt, text) for attempt, text in self._rows(sql, (seq,))]

    def search(self, query: TaskQuery, limit: int) -> list[Task]:
        statuses, condition, values = where(self.bounded(query))
        sql = select(statuses, condition)
        parts = sql.count("?") // len(values) if values else 0
        rows = self._rows(f"{sql} ORDER BY seq DESC LIMIT ?", (*values * parts, limit))
        return [task_of(row) for row in rows]

    def reach(self, query: TaskQuery, most: int) -> int:
        statuses, _, _ = where(query)
        parts = reach_parts(_VIEWS, statuses, query, "?")
        sql = " UNION ALL ".join(f"SELECT * FROM ({part})" for part in parts)
        values = (query.from_seq or 0, before_seq_of(query), most) * len(parts)
        ((seq,),) = self._rows(f"SELECT max(seq) FROM ({sql})", values)
        return query.from_seq or 0 if seq is None else seq + 1

    def bounded(self, query: TaskQuery) -> TaskQuery:
        if is_bounded(query):
            return query
        ((last_seq,),) = self._rows("SELECT coalesce(max(seq), 0) FROM tasks")
        return with_seq_bounds(query, last_seq, self._submitted_from_seq)

    def _submitted_from_seq(self, seq: int) -> float | None:
        sql = "SELECT submitted_at FROM tasks WHERE seq >= ? ORDER BY seq LIMIT 1"
        return next((at for (at,) in self._rows(sql, (seq,))), None)

    def ended_after(self, cursor: Cursor, limit: int) -> list[Task]:
        sql = (  # SQLite merges the two, each in its order
            f"SELECT {_COLUMNS} FROM settled_tasks WHERE finished_at IS NOT NULL "
            f"AND (finished_at, seq) > (?, ?) UNION ALL SELECT {_COLUMNS_BY_END} "
            f"FROM {by_end('completed_tasks')} WHERE {_AFTER} ORDER BY finished_at, seq LIMIT ?"
        )
        rows = self._rows(sql, (*cursor, cursor[0], *cursor, limit))
        return [task_of(row) for row in rows]

    def last_ended(self) -> Cursor:
        last = "ORDER BY finished_at DESC, seq DESC LIMIT 1"
        sql = (
            f"SELECT * FROM (SELECT finished_at, seq FROM states WHERE finished_at > 0 {last}) "
            "UNION ALL SELECT * FROM (SELECT finished_at, last_seq AS seq FROM completed_runs "
            "WHERE finished_at > 0 ORDER BY finished_at DESC, first_seq DESC LIMIT 1)"
        )
        return max(self._rows(sql), default=(0.0, 0))

    def tallies(self) -> list[Tally]:
        sql = "SELECT queue, name, kind, count FROM tallies ORDER BY queue, name, kind"
        return [Tally(*row) for row in self._rows(sql)]

    def ended(self, after: Cursor, until: float, limit: int) -> list[EndedTask]:
        at = after[0]
        rows = self._rows(_ENDED_PAGE, (*after, until, at, *after, until, limit))
        return [EndedTask(*row) for row in rows]

    def sums(self, seconds: int, first: int, beyond: int) -> dict[int, EndedSum]:
        sql = "SELECT number, sum FROM ended_sums WHERE seconds = ? AND number >= ? AND number < ?"
        decode = msgspec.msgpack.Decoder(EndedSum).decode
        return {number: decode(raw) for number, raw in self._rows(sql, (seconds, first, beyond))}

    def summed_until(self) -> float:
        sql = "SELECT value FROM meta WHERE key = 'summed_until'"
        return next((float(until) for (until,) in self._rows(sql)), 0.0)

    def workers(self) -> list[WorkerInfo]:
        return self._decoded("SELECT info FROM workers ORDER BY worker_id", WorkerInfo)

    def schedules(self) -> list[Schedule]:
        return self._decoded("SELECT schedule FROM schedules ORDER BY id", Schedule)

    def pools(self) -> list[Pool]:
        return self._decoded("SELECT pool FROM pools ORDER BY name", Pool)

    def task_types(self) -> list[TaskType]:
        return self._decoded("SELECT task_type FROM task_types ORDER BY name", TaskType)

    def ping(self) -> None:
        list(self._rows("SELECT value FROM meta LIMIT 1"))

    def close(self) -> None:
        try:
            self._connection.close()
        except apsw.Error as error:
            raise StoreError(f"SQLite could not close: {error}") from error

    def _decoded(self, sql: str, kind: type[T], values: tuple[Any, ...] = ()) -> list[T]:
        decode = msgspec.msgpack.Decoder(kind).decode
        return [decode(raw) for (raw,) in self._rows(sql, values)]

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        self._refuse_other_threads()
        try:
            yield from self._connection.execute(sql, values)
        except apsw.Error as error:
            raise StoreError(f"SQLite could not read: {error}") from error

    def _refuse_other_threads(self) -> None:
        """Sooner or later SQLite would crash the process: it has no mutexes here."""
        if get_ident() != self._thread:
            raise RuntimeError(
                "a SQLite store is used in another thread than the one that opened it: "
                "open a reader there"
            )


def connect(path: Path, flags: int) -> apsw.Connection:
    """A connection that waits for locks instead of failing at once."""
    try:
        # No mutexes in SQLite: whoever opens a connection keeps other threads from it.
        connection = apsw.Connection(str(path), flags=flags | apsw.SQLITE_OPEN_NOMUTEX)
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        # Without it a statement is planned anew for other values: 80 of 85 microseconds of `get`.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.create_scalar_function("lower_any", _lower_any, 1, deterministic=True)
    except apsw.Error as error:
        raise StoreError(f"SQLite could not open {path}: {error}") from error
    return connection


def _lower_any(*values: Any) -> str | None:
    return values[0].lower() if isinstance(values[0], str) else None


def select(statuses: Collection[Status], condition: str, *, arguments: bool = False) -> str:
    """The statement that finds tasks, in whichever tables they are.

    Args:
        statuses: only these; empty: any. Tables that hold none of them are not looked at.
        condition: over the columns of the views; its values are needed once for each view that is
            looked at.
        arguments: whether they come before the other columns.
    """
    wanted = set(statuses) or set(Status)
    columns = f"{ARGUMENTS}, {_COLUMNS}" if arguments else _COLUMNS
    parts = []
    for view, held in _VIEWS.items():
        if wanted & held:
            narrowed = _narrowed(wanted & held) if held > wanted else ""
            parts.append(f"SELECT {columns} FROM {view} AS v WHERE {narrowed}{condition}")
    return " UNION ALL ".join(parts)


@cache
def _one_by_id() -> str:
    return select((), "id = ?")


def _narrowed(statuses: Collection[Status]) -> str:
    """The condition on the status; beside it that of the index, to the letter, if it has them."""
    # Written out, not bound: SQLite chooses the index before it knows bound values.
    indexed = "" if Status.COMPLETED in statuses else "status <> 'COMPLETED' AND "
    return f"{indexed}status IN ({words(statuses)}) AND "


def words(statuses: Iterable[Status]) -> str:
    """Statuses as a list of SQL literals."""
    return ", ".join(f"'{status.value}'" for status in sorted(statuses))


def where(query: TaskQuery) -> tuple[Collection[Status], str, list[Any]]:
    """The statuses of a query (empty: any), its other conditions, and their values."""
    parts: list[tuple[str, list[Any]]] = [("1", [])]
    statuses = set(query.statuses)
    if query.in_dlq:  # only what FAILED is ever in it
        statuses = statuses & {Status.FAILED} if statuses else {Status.FAILED}
        if not statuses:
            parts.append(("0", []))
    exact = {"queue": query.queue, "name": query.name, "worker_id": query.worker_id}
    # "Likely", or SQLite takes a whole table with few matches for a better start than `waiting`.
    parts += [
        (f"likely({column} = ?)", [value]) for column, value in exact.items() if value is not None
    ]
    if query.in_dlq is not None:
        parts.append(("in_dlq = ?", [query.in_dlq]))
    if query.tag is not None:
        parts.append(("tags IS NOT NULL AND ? IN (SELECT value FROM json_each(tags))", [query.tag]))
    if query.error is not None:
        parts.append(("error_type IS NOT NULL", []))
        parts.append(_contains("error_type || ' ' || error_message", query.error))
    if query.text is not None:
        tags = "coalesce((SELECT group_concat(value, ' ') FROM json_each(tags)) || ' ', '')"
        error = "coalesce(error_type || ' ' || error_message, '')"
        parts.append(_contains(f"id || ' ' || name || ' ' || {tags} || {error}", query.text))
    bounds = {
        "submitted_at >= ?": query.submitted_from,
        "submitted_at < ?": query.submitted_to,
        "seq >= ?": query.from_seq,
        "seq < ?": query.before_seq,
    }
    parts += [(text, [value]) for text, value in bounds.items() if value is not None]
    values = [value for _, values in parts for value in values]
    return statuses, " AND ".join(text for text, _ in parts), values


def _contains(expression: str, text: str) -> tuple[str, list[Any]]:
    """Whether `text` is part of a text, any case."""
    # SQLite's own lower() is fast and knows ASCII alone: enough to find text that is ASCII.
    lower = "lower" if text.isascii() else "lower_any"
    return f"instr({lower}({expression}), ?)", [text.lower()]
