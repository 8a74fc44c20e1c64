"""The durable store for more than one machine: a PostgreSQL database.

A turn of the scheduler is one transaction and one round trip: all its statements are sent in a
pipeline, and its end commits them. Nothing is locked between commits. What keeps a second writer
out is the epoch, which the first statement of every transaction compares (`fence` in the schema).
"""

import asyncio
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from task_queue.core.effects import Changes
from task_queue.core.machine import Loaded
from task_queue.core.paged_out import PagedOut
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.store.ended_sum import LEVELS, Sums
from task_queue.store.placement import Placements
from task_queue.store.postgres_column import Column
from task_queue.store.postgres_connection import errors
from task_queue.store.postgres_migrations import migrate
from task_queue.store.postgres_paging import KEPT, PAGED_OUT, adopt_paging, page_query
from task_queue.store.postgres_pipeline import PostgresPipeline, Statement
from task_queue.store.postgres_query import select
from task_queue.store.postgres_reader import PostgresReader, plain_row, stored_task
from task_queue.store.postgres_statements import statements_of
from task_queue.store.postgres_text import plain, stored
from task_queue.store.protocol import KEPT_REQUESTS, Pruned, StoreError
from task_queue.store.query import Pool
from task_queue.store.task_row import OF_LINE, waiting_tasks_of
from task_queue.tasks import TaskType

_LIVE = frozenset(Status) - TERMINAL
#: Other writers that are in the middle of a commit, if only because they were stopped there.
_END_OLDER = (
    "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted "
    "AND classid = 7461936 AND objid = 'meta'::regclass AND pid <> pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_DOOMED = (
    f"SELECT seq FROM states WHERE seq = ANY (%s) AND status IN "
    f"({', '.join(repr(status.value) for status in sorted(TERMINAL))}) "
    "UNION ALL SELECT seq FROM completed WHERE seq = ANY (%s)"
)

_TAGS_OF_LINE = OF_LINE.index("tags")

_encode = msgspec.msgpack.Encoder().encode


class PostgresStore(PostgresReader):
    """Store and Reader over one connection. A lost connection is not made again: open another."""

    _read_only = False
    _application = "task-queue writer"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._epoch = 0
        self._placements = Placements()
        try:
            migrate(self._connection)
        except StoreError:
            self._connection.close()
            raise
        self._pipeline = PostgresPipeline(self._connection)

    def take_over(self) -> int:
        with errors("take over"), self._connection.transaction():
            self._connection.execute("SET LOCAL lock_timeout = '10s'")
            self._connection.execute(_END_OLDER)
            self._connection.execute(
                "SELECT pg_advisory_xact_lock(7461936, 'meta'::regclass::oid::integer)"
            )
            row = self._connection.execute(
                "INSERT INTO meta VALUES ('epoch', 1) "
                "ON CONFLICT (key) DO UPDATE SET value = meta.value + 1 RETURNING value"
            ).fetchone()
            # Once after an upgrade it may have millions of rows to rewrite.
            self._connection.execute("SET LOCAL statement_timeout = 0")
            adopt_paging(self._connection)
        assert row is not None
        self._epoch = int(row[0])
        self._placements.forget()
        return self._epoch

    def check_writable(self) -> None:
        sql = (
            "INSERT INTO meta VALUES ('checks', 1) "
            "ON CONFLICT (key) DO UPDATE SET value = meta.value + 1"
        )
        self._write([(sql, ())])

    def load(self) -> Loaded:
        not_waiting = select(_LIVE - {Status.QUEUED}, "true", arguments=True)
        queued = select({Status.QUEUED}, KEPT, arguments=True)
        rows = self._rows(not_waiting) + self._rows(queued)
        tasks = [stored_task(row[1:], row[0]) for row in rows]
        tasks.sort(key=lambda task: task.seq)
        ((last_seq,),) = self._rows(
            "SELECT greatest((SELECT max(seq) FROM tasks), "
            "(SELECT value FROM meta WHERE key = 'last_seq'), 0)"
        )
        paused = [plain(queue) for (queue,) in self._rows("SELECT queue FROM queues WHERE paused")]
        workers = self.workers()
        living = [worker for worker in workers if worker.ended_at is None]
        former = {w.worker_id: w for w in workers if w.ended_at is not None}
        paged_out = [PagedOut(plain(queue), *rest) for queue, *rest in self._rows(PAGED_OUT)]
        return Loaded(
            tasks,
            last_seq + 1,
            sorted(paused),
            living,
            self.schedules(),
            former,
            paged_out,
            [plain(queue) for (queue,) in self._rows("SELECT DISTINCT queue FROM tallies")],
        )

    def page(self, queue: str, priority: int, limit: int, most_bytes: int) -> list[Task]:
        rows = self._rows(*page_query(queue, priority, limit, most_bytes))
        plain_rows = ((row[0], *plain_row(row[1:], _TAGS_OF_LINE)) for row in rows)
        return waiting_tasks_of(queue, priority, plain_rows, most_bytes)

    def known(self, ids: Iterable[str], keys: Iterable[str]) -> dict[str, str]:
        rows = self._rows(
            "SELECT id, id FROM tasks WHERE id = ANY (%s) "
            "UNION ALL SELECT idempotency_key, id FROM tasks WHERE idempotency_key = ANY (%s)",
            (Column("text", list(map(stored, ids))), Column("text", list(map(stored, keys)))),
        )
        return {plain(key): plain(task_id) for key, task_id in rows}

    def answered(self, request_id: str) -> int | None:
        rows = self._rows("SELECT count FROM requests WHERE id = %s", (stored(request_id),))
        return rows[0][0] if rows else None

    def commit(self, changes: Changes) -> None:
        try:
            self._write(statements_of(changes, self._placements))
        except StoreError:
            self._placements.forget()
            raise

    def begin_commit(self, changes: Changes) -> asyncio.Future[None]:
        statements = statements_of(changes, self._placements)
        try:
            done = self._pipeline.begin(self._fenced(statements))
        except StoreError:
            self._placements.forget()
            raise
        done.add_done_callback(self._forget_if_failed)
        return done

    def _forget_if_failed(self, done: asyncio.Future[None]) -> None:
        if done.cancelled() or done.exception() is not None:
            self._placements.forget()

    def delete(self, seqs: Sequence[int]) -> int:
        doomed = [seq for (seq,) in self._rows(_DOOMED, (Column("bigint", seqs),) * 2)]
        self._write(_forget(doomed))
        return len(doomed)

    def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        statements: list[Statement] = [("DELETE FROM pools", ())]
        for table, described in (("pools", pools), ("task_types", task_types)):
            sql = (
                f"INSERT INTO {table} SELECT unnest(%s), unnest(%s) ON CONFLICT (name) "
                f"DO UPDATE SET {table[:-1]} = excluded.{table[:-1]}"
            )
            names = Column("text", [stored(one.name) for one in described])
            statements.append((sql, (names, Column("bytea", [_encode(one) for one in described]))))
        self._write(statements)

    def keep_sums(self, sums: Sums, until: float) -> None:
        kept = (
            Column("integer", [seconds for seconds, _ in sums]),
            Column("bigint", [number for _, number in sums]),
            Column("bytea", [_encode(part) for part in sums.values()]),
        )
        statements: list[Statement] = [
            (
                "INSERT INTO ended_sums SELECT unnest(%s), unnest(%s), unnest(%s) "
                "ON CONFLICT (seconds, number) DO UPDATE SET sum = excluded.sum",
                kept,
            )
        ]
        statements += [
            (
                "DELETE FROM ended_sums WHERE seconds = %s AND number < %s",
                (level.seconds, level.first_kept(until)),
            )
            for level in LEVELS
        ]
        statements.append(
            (
                "INSERT INTO meta VALUES ('summed_until', %s) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (int(until),),
            )
        )
        self._write(statements)

    def count_ended(self) -> int:
        ((ended,),) = self._rows(
            "SELECT (SELECT count(*) FROM states WHERE finished_at IS NOT NULL) + "
            "(SELECT count(*) FROM completed)"
        )
        return int(ended)

    def prune(self, now: float, ended_before: float, surplus: int, limit: int) -> Pruned:
        stale = {
            table: [seq for (seq,) in self._rows(
                f"SELECT seq FROM {table} WHERE result_until <= %s "
                "ORDER BY result_until LIMIT %s", (now, limit))]
            for table in ("states", "completed")
        }  # fmt: skip
        old = self._oldest(ended_before, limit)
        if len(old) < min(surplus, limit):
            old = self._oldest(math.inf, min(surplus, limit))
        statements: list[Statement] = [
            (
                f"UPDATE {table} SET result_until = NULL, result = NULL WHERE seq = ANY (%s)",
                (Column("bigint", seqs),),
            )
            for table, seqs in stale.items()
        ]
        statements.append(
            (
                "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - %s",
                (KEPT_REQUESTS,),
            )
        )
        self._write([*statements, *_forget(old)])
        return Pruned(len(old), sum(map(len, stale.values())))

    def prune_workers(self, ended_before: float) -> int:
        ended = self._decoded("SELECT info FROM workers WHERE ended", WorkerInfo)
        old = [i.worker_id for i in ended if (i.ended_at or ended_before) < ended_before]
        ids = Column("text", list(map(stored, old)))
        self._write([("DELETE FROM workers WHERE worker_id = ANY (%s)", (ids,))])
        return len(old)

    def _oldest(self, ended_before: float, limit: int) -> list[int]:
        """Tasks that ended before a time, in the order of their endings."""
        parts = " UNION ALL ".join(
            f"(SELECT finished_at, seq FROM {table} WHERE finished_at < %s "
            "ORDER BY finished_at LIMIT %s)"
            for table in ("states", "completed")
        )
        rows = self._rows(
            f"SELECT seq FROM ({parts}) AS ended ORDER BY finished_at, seq LIMIT %s",
            (*(ended_before, limit) * 2, limit),
        )
        return [seq for (seq,) in rows]

    def _write(self, statements: Iterable[Statement]) -> None:
        self._pipeline.run(self._fenced(statements))

    def _fenced(self, statements: Iterable[Statement]) -> Iterator[Statement]:
        yield "SELECT fence(%s)", (self._epoch,)
        yield from statements

    def close(self) -> None:
        self._pipeline.close()
        super().close()

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        # The base connects again by itself. A writer must not: it would have to take over again.
        with errors("read"):
            return self._ask(sql, values)


def _forget(seqs: list[int]) -> Iterator[Statement]:
    """All that is stored of tasks goes."""
    # A seq is never given out twice, even when the newest task is deleted.
    yield (
        "INSERT INTO meta SELECT 'last_seq', coalesce(max(seq), 0) FROM tasks "
        "ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value, excluded.value)",
        (),
    )
    for table in ("tasks", "states", "completed", "logs", "timeline"):
        yield f"DELETE FROM {table} WHERE seq = ANY (%s)", (Column("bigint", seqs),)
