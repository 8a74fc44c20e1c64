"""The embedded durable store: one SQLite file, write-ahead log, fsync at every commit.

A turn of the scheduler is one transaction, so the price of the fsync is shared by all its tasks.
The connection holds no lock between commits; what keeps a second writer out is the epoch, which
every transaction compares.
"""

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

import apsw
import msgspec

from task_queue.core.effects import Changes
from task_queue.core.machine import Loaded
from task_queue.core.paged_out import PagedOut
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.store.ended_sum import LEVELS, Sums
from task_queue.store.placement import NO_RESULT, Placement, Placements
from task_queue.store.protocol import KEPT_REQUESTS, Pruned, StaleEpoch, StoreError
from task_queue.store.query import Pool
from task_queue.store.seq_ranges import ranges_of
from task_queue.store.sqlite_checkpointer import SqliteCheckpointer
from task_queue.store.sqlite_completed import forget_runs, insert_completed, prune_results
from task_queue.store.sqlite_migrations import migrate
from task_queue.store.sqlite_new_tasks import insert_tasks
from task_queue.store.sqlite_paging import KEPT, PAGE, PAGED_OUT, RUNS, adopt_paging, save_paging
from task_queue.store.sqlite_reader import (
    LIVE_STATUSES,
    SqliteReader,
    by_end,
    connect,
    select,
    words,
)
from task_queue.store.task_row import (
    MOVING,
    moving_columns,
    task_of,
    waiting_tasks_of,
)
from task_queue.tasks import TaskType

_STATE = ("seq", *MOVING, "result_until", "result")
_SAVE_STATE = (
    f"INSERT OR REPLACE INTO states ({', '.join(_STATE)}) VALUES ({', '.join('?' * len(_STATE))})"
)
_KNOWN_IDS = "SELECT tasks.id, tasks.id FROM json_each(?) JOIN tasks ON tasks.id = json_each.value"
_KNOWN_KEYS = (
    "SELECT idempotency_key, tasks.id FROM json_each(?) JOIN tasks "
    "ON idempotency_key = json_each.value"
)
#: More ranges than these are deleted row by row.
_FEW_RANGES = 16

_encode = msgspec.msgpack.Encoder().encode
_claim_of = attrgetter("attempt", "worker_id", "claimed_at")


class SqliteStore(SqliteReader):
    """Store and Reader over one read-write connection, for the thread that opened it.

    In any other thread a question or a transaction raises RuntimeError.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent} cannot be made: {error}") from error
        self._open(path, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        another = partial(connect, path, apsw.SQLITE_OPEN_READWRITE)
        self._checkpointer = SqliteCheckpointer(path, self._connection, another)
        self._epoch = 0
        self._placements = Placements()
        try:
            with self._errors():
                self._set_up(path)
        except BaseException:
            self.close()
            raise

    def _set_up(self, path: Path) -> None:
        self._connection.pragma("journal_mode", "wal")
        self._connection.pragma("synchronous", "FULL")
        # KiB. Of a larger one SQLite looks through every page after commits that move pages.
        self._connection.pragma("cache_size", -16_000)
        self._checkpointer.keep_up()
        migrate(self._connection, path)

    def take_over(self) -> int:
        with self._errors(), self._transaction():
            rows = self._connection.execute(
                "INSERT INTO meta VALUES ('epoch', 1) "
                "ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value"
            )
            ((epoch,),) = rows.fetchall()
            assert isinstance(epoch, int)
            adopt_paging(self._connection)
            self._epoch = epoch
        self._placements.forget()
        return self._epoch

    def check_writable(self) -> None:
        with self._errors(), self._transaction():
            self._refuse_if_stale()
            self._connection.execute(
                "INSERT INTO meta VALUES ('checks', 1) "
                "ON CONFLICT (key) DO UPDATE SET value = value + 1"
            )

    def load(self) -> Loaded:
        not_waiting = select(LIVE_STATUSES - {Status.QUEUED}, "1", arguments=True)
        queued = select({Status.QUEUED}, KEPT, arguments=True)
        rows = chain(self._rows(not_waiting), self._rows(queued))
        tasks = [task_of(row[1:], row[0]) for row in rows]
        tasks.sort(key=lambda task: task.seq)
        paged_out = [PagedOut(*row) for row in self._rows(PAGED_OUT)]
        ((last_seq,),) = self._rows("SELECT coalesce(max(seq), 0) FROM tasks")
        ((deleted,),) = self._rows(
            "SELECT coalesce(max(value), 0) FROM meta WHERE key = 'last_seq'"
        )
        paused = [queue for (queue,) in self._rows("SELECT queue FROM queues WHERE paused")]
        workers = self._decoded("SELECT info FROM workers WHERE NOT ended", WorkerInfo)
        ended = self._decoded("SELECT info FROM workers WHERE ended", WorkerInfo)
        former = {info.worker_id: info for info in ended}
        next_seq = max(last_seq, deleted) + 1
        tallied = [queue for (queue,) in self._rows("SELECT DISTINCT queue FROM tallies")]
        return Loaded(
            tasks, next_seq, paused, workers, self.schedules(), former, paged_out, tallied
        )

    def page(self, queue: str, priority: int, limit: int, most_bytes: int) -> list[Task]:
        found = last_run = 0
        for first, last in self._rows(RUNS, (queue, priority, limit)):
            last_run, found = first, found + last - first + 1
            if found >= limit:
                break
        rows = self._rows(PAGE, (queue, priority, last_run, limit))
        return waiting_tasks_of(queue, priority, rows, most_bytes)

    def known(self, ids: Iterable[str], keys: Iterable[str]) -> dict[str, str]:
        known: dict[str, str] = {}
        for sql, asked in ((_KNOWN_IDS, list(ids)), (_KNOWN_KEYS, list(keys))):
            if asked:
                known.update(self._rows(sql, (msgspec.json.encode(asked).decode(),)))
        return known

    def answered(self, request_id: str) -> int | None:
        rows = self._rows("SELECT count FROM requests WHERE id = ?", (request_id,))
        return next((count for (count,) in rows), None)

    def commit(self, changes: Changes) -> None:
        try:
            with self._errors(), self._transaction():
                self._refuse_if_stale()
                insert_tasks(self._connection, changes.inserted)
                self._save_placement(changes, self._placements.of(changes))
                self._save_attempts(changes)
                self._save_others(changes)
        except BaseException:
            self._placements.forget()
            raise

    def begin_commit(self, changes: Changes) -> None:
        self.commit(changes)

    def delete(self, seqs: Sequence[int]) -> int:
        with self._errors(), self._transaction():
            self._refuse_if_stale()
            return self._delete(seqs)

    def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        with self._errors(), self._transaction():
            self._refuse_if_stale()
            self._connection.execute("DELETE FROM pools")
            self._many("INSERT INTO pools VALUES (?, ?)", ((p.name, _encode(p)) for p in pools))
            self._many(
                "INSERT OR REPLACE INTO task_types VALUES (?, ?)",
                ((t.name, _encode(t)) for t in task_types),
            )

    def keep_sums(self, sums: Sums, until: float) -> None:
        with self._errors(), self._transaction():
            self._refuse_if_stale()
            self._many(
                "INSERT OR REPLACE INTO ended_sums VALUES (?, ?, ?)",
                ((*key, _encode(part)) for key, part in sums.items()),
            )
            self._many(
                "DELETE FROM ended_sums WHERE seconds = ? AND number < ?",
                ((level.seconds, level.first_kept(until)) for level in LEVELS),
            )
            self._connection.execute(
                "INSERT OR REPLACE INTO meta VALUES ('summed_until', ?)", (int(until),)
            )

    def count_ended(self) -> int:
        ((ended,),) = self._rows(
            "SELECT (SELECT count(*) FROM states WHERE finished_at IS NOT NULL) + "
            "(SELECT count(*) FROM completed)"
        )
        return int(ended)

    def prune(self, now: float, ended_before: float, surplus: int, limit: int) -> Pruned:
        with self._errors(), self._transaction():
            self._refuse_if_stale()
            self._connection.execute(
                "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?",
                (KEPT_REQUESTS,),
            )
            self._connection.execute(
                "UPDATE states SET result_until = NULL, result = NULL WHERE seq IN (SELECT "
                "seq FROM states WHERE result_until <= ? ORDER BY result_until LIMIT ?)",
                (now, limit),
            )
            results = self._connection.changes()
            results += prune_results(self._connection, now, limit)
            old = self._oldest(ended_before, limit)
            if len(old) < min(surplus, limit):
                old = self._oldest(math.inf, min(surplus, limit))
            return Pruned(self._delete(old), results)

    def prune_workers(self, ended_before: float) -> int:
        with self._errors(), self._transaction():
            self._refuse_if_stale()
            ended = self._decoded("SELECT info FROM workers WHERE ended", WorkerInfo)
            old = [(i.worker_id,) for i in ended if (i.ended_at or ended_before) < ended_before]
            self._many("DELETE FROM workers WHERE worker_id = ?", old)
            return len(old)

    def close(self) -> None:
        self._checkpointer.close()
        super().close()

    # ---- inside a transaction --------------------------------------------------------------

    def _save_placement(self, changes: Changes, placed: Placement) -> None:
        self._for_each("INSERT INTO waiting SELECT value FROM carray(?)", placed.waiting)
        self._delete_from("waiting", placed.not_waiting)
        self._delete_from("leased", placed.not_leased)
        self._delete_from("states", placed.not_in_states)
        save_paging(self._connection, changes)
        self._save_leases(placed.leased)
        insert_completed(self._connection, placed.completed, placed.results)
        result_of = placed.results.get
        self._many(
            _SAVE_STATE,
            ((t.seq, *moving_columns(t), *result_of(t.seq, NO_RESULT)) for t in placed.states),
        )

    def _save_leases(self, tasks: list[Task]) -> None:
        claims: dict[tuple[Any, ...], list[int]] = {}
        for claim, alike in groupby(tasks, _claim_of):
            claims.setdefault(claim, []).extend([task.seq for task in alike])
        for claim, seqs in claims.items():
            self._connection.execute(
                "INSERT INTO leased SELECT value, ?, ?, ? FROM carray(?)", (*claim, _carray(seqs))
            )

    def _for_each(self, sql: str, seqs: list[int]) -> None:
        """One statement for many rows: it costs a third of one for each."""
        if seqs:
            self._connection.execute(sql, (_carray(seqs),))

    def _delete_from(self, table: str, seqs: list[int]) -> None:
        ranges = ranges_of(seqs)
        if len(ranges) > _FEW_RANGES:
            sql = f"DELETE FROM {table} WHERE seq IN (SELECT value FROM carray(?))"
            self._for_each(sql, seqs)
        else:  # half the price of looking each row up
            for bounds in ranges:
                sql = f"DELETE FROM {table} WHERE seq BETWEEN ? AND ?"
                self._connection.execute(sql, bounds)

    def _save_attempts(self, changes: Changes) -> None:
        logs = ((t.seq, t.attempt_shown, report.logs) for t, report in changes.ended if report.logs)
        self._many("INSERT OR REPLACE INTO logs VALUES (?, ?, ?)", logs)
        self._many(
            "INSERT INTO timeline (seq, event) VALUES (?, ?)",
            ((event.seq, _encode(event)) for event in changes.timeline),
        )
        self._many(
            "INSERT INTO tallies VALUES (?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET count = count + excluded.count",
            ((*key, count) for key, count in changes.tallies.items()),
        )

    def _save_others(self, changes: Changes) -> None:
        self._many("INSERT INTO requests (id, count) VALUES (?, ?)", changes.requests.items())
        if changes.queues:
            self._many("INSERT OR REPLACE INTO queues VALUES (?, ?)", changes.queues.items())
            self._connection.execute("DELETE FROM queues WHERE NOT paused")
        self._many(
            "INSERT OR REPLACE INTO workers VALUES (?, ?, ?)",
            (
                (worker_id, _encode(info), info.ended_at is not None)
                for worker_id, info in changes.workers.items()
            ),
        )
        for schedule_id, schedule in changes.schedules.items():
            if schedule is None:
                self._connection.execute("DELETE FROM schedules WHERE id = ?", (schedule_id,))
            else:
                self._connection.execute(
                    "INSERT OR REPLACE INTO schedules VALUES (?, ?)",
                    (schedule_id, _encode(schedule)),
                )

    def _oldest(self, ended_before: float, limit: int) -> list[int]:
        """Tasks that ended before a time, in the order of their endings."""
        rows = self._connection.execute(
            "SELECT finished_at, seq FROM states WHERE finished_at < ? UNION ALL "
            f"SELECT run.finished_at, seq FROM {by_end('completed')} WHERE run.finished_at < ? "
            "ORDER BY finished_at, seq LIMIT ?",
            (ended_before, ended_before, limit),
        )
        return [seq for _, seq in rows]

    def _delete(self, seqs: Sequence[int]) -> int:
        if not seqs:
            return 0
        rows = self._connection.execute(
            "SELECT seq, NULL FROM carray(?) CROSS JOIN states ON seq = carray.value "
            f"WHERE status IN ({words(TERMINAL)}) UNION ALL SELECT seq, finished_at "
            "FROM carray(?) CROSS JOIN completed ON seq = carray.value",
            (_carray(seqs),) * 2,
        )
        ends = cast("list[tuple[int, float | None]]", rows.fetchall())
        doomed = [seq for seq, _ in ends]
        # A seq is never given out twice, even when the newest task is deleted.
        self._connection.execute(
            "INSERT INTO meta SELECT 'last_seq', coalesce(max(seq), 0) FROM tasks WHERE true "
            "ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)"
        )
        for table in ("tasks", "arguments", "states", "completed", "logs", "timeline"):
            self._delete_from(table, doomed)
        forget_runs(self._connection, doomed, {at for _, at in ends if at is not None})
        return len(doomed)

    def _refuse_if_stale(self) -> None:
        epoch = self._connection.execute("SELECT value FROM meta WHERE key = 'epoch'").get
        if epoch != self._epoch:
            raise StaleEpoch(
                f"this scheduler's epoch is {self._epoch}, the store's {epoch}: "
                "another scheduler has taken over"
            )

    def _many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(sql, rows)

    # ---- connection ------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._refuse_other_threads()
        self._checkpointer.keep_up()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise StoreError(f"SQLite could not save: {error}") from error


def _carray(seqs: Sequence[int]) -> "apsw.CArrayBinding":
    """Numbers for a statement to read; SQLite has none that are empty."""
    return apsw.carray(array("q", seqs))
