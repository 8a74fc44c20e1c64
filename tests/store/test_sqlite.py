"""What only a file can do: fill a disk, be killed, be of another version, need an index."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest

from task_queue.core.status import Status
from task_queue.errors import ConfigError
from task_queue.store import open_reader, open_store, sqlite_path
from task_queue.store.ended_sum import EndedSum
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Pruned, StaleEpoch, StoreError
from task_queue.store.query import TaskQuery
from task_queue.store.sqlite import SqliteStore
from task_queue.store.sqlite_reader import SqliteReader
from tests.store.databases import (
    a_schedule,
    a_task,
    an_ending,
    an_event,
    dead_letter,
    everything,
    inserted,
    touched,
)

_REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "queue.db"


@pytest.fixture
def sqlite(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    store.take_over()
    yield store
    store.close()


# ---- durable -------------------------------------------------------------------------------


def test_a_commit_is_forced_to_the_disk(sqlite: SqliteStore) -> None:
    pragma = sqlite._connection.pragma
    assert (pragma("journal_mode"), pragma("synchronous")) == ("wal", 2)


def test_all_is_there_when_the_file_is_opened_again(sqlite: SqliteStore, path: Path) -> None:
    task = dead_letter(1, attempt=1, tags=("ä",), arguments=b"\x00")
    changes = inserted(task, a_task(2, arguments=b"x" * 1_000), dead_letter(3))
    changes.ended, changes.timeline = [an_ending(task, logs="log")], [an_event(1)]
    changes.schedules, changes.queues = {"s": a_schedule("s")}, {"q": True}
    sqlite.commit(changes)
    before = everything(sqlite)
    sqlite.close()
    again = SqliteStore(path)
    assert everything(again) == before
    assert again.take_over() == 2
    again.close()


# After some 60 all is in the log; after some 287 it is written back, for the time of 15 commits.
@pytest.mark.parametrize("commits", [60, 270, 280, 285, 290, 300, 900])
def test_what_a_killed_process_said_was_committed_is_there(path: Path, commits: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.store.committing_child", str(path)],
        cwd=_REPOSITORY, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    lines = [child.stdout.readline() for _ in range(commits)]
    child.send_signal(signal.SIGKILL)
    lines += child.stdout.read().splitlines(keepends=True)
    child.stdout.close()
    assert child.wait(30) == -signal.SIGKILL
    said = [line.split() for line in lines if line.endswith("\n")]
    assert len(said) >= commits

    store = SqliteStore(path)
    assert store._connection.pragma("integrity_check") == "ok"
    found = store.find([task_id for batch in said for task_id in batch])
    assert [[i for i in batch if i not in found] for batch in said] == [[]] * len(said)
    # Each commit is there whole or not at all, the last one, of which nobody heard, included.
    loaded = store.load()
    total = len(store.search(TaskQuery(), 1_000_000))
    assert total == loaded.next_seq - 1
    assert (total % 4, len(loaded.tasks)) == (0, total * 3 // 4)
    assert len(store.results(range(1, total + 1))) == total // 4
    store.take_over()
    store.commit(inserted(a_task(loaded.next_seq)))
    store.close()


# ---- all or nothing ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "table",
    [
        "tasks",
        "arguments",
        "waiting",
        "completed",
        "states",
        "logs",
        "timeline",
        "tallies",
        "queues",
        "schedules",
    ],
)
def test_a_row_that_fails_takes_the_whole_commit_with_it(
    sqlite: SqliteStore, path: Path, table: str
) -> None:
    other = apsw.Connection(str(path))
    other.execute(
        f"CREATE TRIGGER fail BEFORE INSERT ON {table} BEGIN SELECT raise(ABORT, 'no'); END"
    )
    before = everything(sqlite)
    task = a_task(1, Status.COMPLETED, attempt=1)
    changes = inserted(task, a_task(2, arguments=b"x" * 1_000), dead_letter(3))
    changes.ended, changes.timeline = [an_ending(task, logs="log")], [an_event(1)]
    changes.schedules, changes.queues = {"s": a_schedule("s")}, {"q": True}
    changes.tallies = {("q", "n", "submitted"): 1}
    with pytest.raises(StoreError, match="no"):
        sqlite.commit(changes)
    assert everything(sqlite) == before
    other.execute("DROP TRIGGER fail")
    other.close()
    sqlite.commit(changes)
    assert sqlite.get(task.spec.id) == task


def test_a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_room(
    sqlite: SqliteStore,
) -> None:
    sqlite.commit(inserted(a_task(1), dead_letter(2)))
    before = everything(sqlite)
    connection = sqlite._connection
    connection.pragma("max_page_count", connection.pragma("page_count") + 20)
    big = [a_task(seq, arguments=b"x" * 100_000) for seq in (3, 4)]
    with pytest.raises(StoreError, match="full"):
        sqlite.commit(inserted(a_task(5), *big))
    assert everything(sqlite) == before
    sqlite.check_writable()  # a small thing still fits
    connection.pragma("max_page_count", 1_000_000)
    sqlite.commit(inserted(*big))
    assert [task.seq for task in sqlite.load().tasks] == [1, 3, 4]
    assert connection.pragma("integrity_check") == "ok"


def test_a_failed_take_over_leaves_the_epoch(sqlite: SqliteStore, path: Path) -> None:
    late = SqliteStore(path)
    late._connection.set_busy_timeout(1)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked|busy"):
        late.take_over()
    other.execute("ROLLBACK")
    other.close()
    sqlite.commit(inserted(a_task(1)))
    assert late.take_over() == 2
    late.close()


def test_a_reader_never_waits_for_a_writer(sqlite: SqliteStore, path: Path) -> None:
    sqlite.commit(inserted(a_task(1)))
    reader = SqliteReader(path)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    other.execute("DELETE FROM waiting")
    assert [task.status for task in reader.search(TaskQuery(), 5)] == [Status.QUEUED]
    other.execute("ROLLBACK")
    other.close()
    reader.close()


@pytest.mark.parametrize(
    "use", [SqliteStore.ping, SqliteStore.check_writable], ids=["read", "write"]
)
def test_a_store_is_for_the_thread_that_opened_it(
    sqlite: SqliteStore, use: Callable[[SqliteStore], None]
) -> None:
    with ThreadPoolExecutor(1) as thread, pytest.raises(RuntimeError, match="another thread"):
        thread.submit(use, sqlite).result()
    use(sqlite)


def test_a_reader_cannot_write(sqlite: SqliteStore, path: Path) -> None:
    reader = SqliteReader(path)
    with pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DELETE FROM tasks")
    reader.close()


def test_a_claim_that_fails_late_is_forgotten(sqlite: SqliteStore, path: Path) -> None:
    task = a_task(1)
    sqlite.commit(inserted(task))
    other = apsw.Connection(str(path))
    other.execute(
        "CREATE TRIGGER fail BEFORE INSERT ON tallies BEGIN SELECT raise(ABORT, 'no'); END"
    )
    task.status, task.attempt, task.worker_id, task.claimed_at = Status.RUNNING, 1, "w", 1.0
    claim = touched(task)
    claim.leased, claim.tallies = {1: task}, {("q", "n", "submitted"): 1}
    with pytest.raises(StoreError, match="no"):
        sqlite.commit(claim)
    other.execute("DROP TRIGGER fail")
    other.close()
    task.status, task.finished_at = Status.COMPLETED, 2.0
    sqlite.commit(touched(task))
    assert sqlite.load().tasks == []
    assert [found.status for found in sqlite.search(TaskQuery(), 9)] == [Status.COMPLETED]


def _run_of_completed(sqlite: SqliteStore, first: int, count: int) -> None:
    tasks = [
        a_task(seq, Status.COMPLETED, started_at=1.0 + seq, finished_at=2.0)
        for seq in range(first, first + count)
    ]
    changes = inserted(*tasks)
    changes.ended = [an_ending(task) for task in tasks]
    sqlite.commit(changes)


def test_endings_and_when_results_go_are_told_once_for_many_and_forgotten_with_the_last_of_them(
    sqlite: SqliteStore, path: Path
) -> None:
    other = apsw.Connection(str(path))
    for first in (1, 21, 41):
        _run_of_completed(sqlite, first, 20)

    def runs() -> list[tuple[Any, ...]]:
        ends = other.execute("SELECT first_seq, last_seq FROM completed_runs").fetchall()
        assert other.execute("SELECT first_seq, last_seq FROM result_runs").fetchall() == ends
        return ends

    assert runs() == [(1, 20), (21, 40), (41, 60)]
    assert sqlite.delete([1, 20, *range(21, 40), 50]) == 22
    assert runs() == [(1, 20), (21, 40), (41, 60)]
    assert sqlite.delete([40, *range(2, 20)]) == 19
    assert runs() == [(41, 60)]
    assert sqlite.prune(3.0, 3.0, 0, 99).tasks == 19
    assert runs() == []
    other.close()


def test_a_file_without_runs_of_endings_is_brought_up_to_date(
    sqlite: SqliteStore, path: Path
) -> None:
    _run_of_completed(sqlite, 1, 20)
    others = [
        a_task(seq, Status.COMPLETED, started_at=1.0, finished_at=at)
        for seq, at in ((21, 2.0), (22, 1.5), (30, 2.0), (31, 3.0), (32, 3.0), (34, 3.0))
    ]
    sqlite.commit(inserted(*others))
    sqlite.delete([5])
    ended = sqlite.ended_after((0.0, 0), 99)
    assert len(ended) == 25
    older = sqlite
    other = apsw.Connection(str(path))  # as version 3 had it
    other.execute("DROP TABLE completed_runs")
    other.execute("CREATE INDEX completed_finished ON completed (finished_at)")
    other.pragma("user_version", 3)
    newer = SqliteStore(path)
    with pytest.raises(StaleEpoch):  # code of version 3 that still runs cannot write any more
        older.commit(inserted(a_task(50)))
    newer.take_over()
    assert newer.ended_after((0.0, 0), 99) == ended
    assert newer.ended_after((2.0, 20), 3) == ended[20:23]
    runs = other.execute("SELECT * FROM completed_runs ORDER BY 1, 2").fetchall()
    assert runs == [(1.5, 22, 22), (2.0, 1, 4), (2.0, 6, 21), (2.0, 30, 30), (3.0, 31, 32),
                    (3.0, 34, 34)]  # fmt: skip
    assert (
        other.execute("SELECT 1 FROM sqlite_schema WHERE name = 'completed_finished'").get is None
    )
    assert other.pragma("user_version") == 4
    other.close()
    assert newer.prune(9.0, 9.0, 0, 99).tasks == 25
    newer.close()


def test_a_file_that_older_code_took_for_its_own_is_brought_up_to_date_again(
    sqlite: SqliteStore, path: Path
) -> None:
    _run_of_completed(sqlite, 1, 20)
    ended = sqlite.ended_after((0.0, 0), 99)
    sqlite._connection.pragma("user_version", 3)
    sqlite.close()
    newer = SqliteStore(path)
    assert newer.ended_after((0.0, 0), 99) == ended
    newer.close()


def test_results_saved_before_there_were_runs_go_at_their_time(
    sqlite: SqliteStore, path: Path
) -> None:
    _run_of_completed(sqlite, 1, 20)
    other = apsw.Connection(str(path))
    other.execute("UPDATE completed SET result_until = 5.0")
    other.execute("DROP TABLE result_runs")
    other.close()
    newer = SqliteStore(path)
    newer.take_over()
    assert newer.prune(4.0, 0.0, 0, 99) == Pruned()
    assert newer.prune(5.0, 0.0, 0, 99) == Pruned(results=20)
    newer.close()


# ---- files that are not what they should be ------------------------------------------------


def test_a_reader_of_a_file_that_is_not_there_says_so(path: Path) -> None:
    with pytest.raises(StoreError, match="no scheduler has opened this store yet"):
        SqliteReader(path)
    assert not path.exists()


def test_a_file_of_something_else_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("not a database, but long enough to be looked at " * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(path)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    SqliteStore(path).close()
    other = apsw.Connection(str(path))
    other.pragma("user_version", 99)
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"newer version \(schema 99"):
        SqliteStore(path)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be made"):
        SqliteStore(tmp_path / "file" / "queue.db")


def test_a_closed_store_raises_store_errors(sqlite: SqliteStore) -> None:
    sqlite.close()
    with pytest.raises(StoreError):
        sqlite.ping()
    with pytest.raises(StoreError):
        sqlite.commit(inserted(a_task(1)))


def test_the_url_says_which_store(tmp_path: Path) -> None:
    assert isinstance(open_store("memory:"), MemoryStore)
    url = f"sqlite:///{tmp_path}/queue.db"
    store = open_store(url)
    assert isinstance(store, SqliteStore)
    reader = open_reader(url)
    reader.ping()
    store.close()
    reader.close()
    assert sqlite_path("sqlite:///some/queue.db") == Path("some/queue.db")
    for wrong in ("postgres://x", "sqlite:///", "queue.db", "memory:"):
        with pytest.raises(ConfigError, match=r"store\.url"):
            sqlite_path(wrong)


# ---- indexes -------------------------------------------------------------------------------

_FAILED = TaskQuery(statuses=(Status.FAILED,))

_GUARDED: dict[str, Callable[[SqliteStore], Any]] = {
    "load": lambda s: s.load(),
    "get": lambda s: s.get("id"),
    "find": lambda s: s.find(["id"]),
    "known": lambda s: s.known(["id"], ["key"]),
    "arguments": lambda s: s.arguments([1]),
    "results": lambda s: s.results([1]),
    "timeline": lambda s: s.timeline(1),
    "logs": lambda s: s.logs(1),
    "failed": lambda s: s.search(_FAILED, 9),
    "failed-of-a-task": lambda s: s.search(TaskQuery(statuses=(Status.FAILED,), name="n"), 9),
    "dead-letters": lambda s: s.search(TaskQuery(in_dlq=True), 9),
    "dead-letters-failed": lambda s: s.search(TaskQuery(in_dlq=True, statuses=(Status.FAILED,)), 9),
    "cancelled-or-expired": lambda s: s.search(
        TaskQuery(statuses=(Status.CANCELLED, Status.EXPIRED)), 9
    ),
    "running": lambda s: s.search(TaskQuery(statuses=(Status.RUNNING,)), 9),
    "queued-in-a-queue": lambda s: s.search(TaskQuery(statuses=(Status.QUEUED,), queue="q"), 9),
    "page": lambda s: s.search(TaskQuery(before_seq=1), 9),
    "part-of-failed": lambda s: s.search(
        TaskQuery(statuses=(Status.FAILED,), from_seq=1, before_seq=9), 9
    ),
    "part-of-all": lambda s: s.search(TaskQuery(text="t", from_seq=1, before_seq=9), 9),
    "reach": lambda s: s.reach(TaskQuery(before_seq=9), 9),
    "reach-failed": lambda s: s.reach(TaskQuery(statuses=(Status.FAILED, Status.EXPIRED)), 9),
    "ended-after": lambda s: s.ended_after((1.0, 1), 9),
    "last-ended": lambda s: s.last_ended(),
    "ended": lambda s: s.ended((1.0, 1), 2.0, 9),
    "sums": lambda s: s.sums(10, 1, 2),
    "keep-sums": lambda s: s.keep_sums({(10, 1): EndedSum(1)}, 20.0),
    "prune": lambda s: s.prune(1.0, 1.0, 0, 9),
    "delete": lambda s: s.delete([1]),
    "commit": lambda s: s.commit(touched(a_task(1))),
}
#: Several statuses are several runs of the index, to be put in order.
_MAY_SORT = {"load", "cancelled-or-expired"}


@pytest.mark.parametrize("question", _GUARDED)
def test_no_question_of_the_queue_s_daily_life_reads_a_whole_table(
    sqlite: SqliteStore, path: Path, question: str
) -> None:
    asked: list[tuple[str, Any]] = []

    def note(_cursor: apsw.Cursor, sql: str, values: Any) -> bool:
        asked.append((sql, values))
        return True

    sqlite._connection.exec_trace = note
    _GUARDED[question](sqlite)
    sqlite._connection.exec_trace = None
    assert asked

    other = apsw.Connection(str(path))
    other.create_scalar_function("lower_any", lambda *values: values[0], 1)
    for sql, values in asked:
        if sql.split()[0] not in ("SELECT", "UPDATE", "DELETE"):
            continue
        plan = [row[3] for row in other.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
        tables = ("tasks", "arguments", "states", "completed", "logs", "timeline")
        scans = [
            step for step in plan if step.startswith(tuple(f"SCAN {table}" for table in tables))
        ]
        assert not scans, f"{sql}\n{plan}"
        if question not in _MAY_SORT:
            assert "USE TEMP B-TREE FOR ORDER BY" not in plan, f"{sql}\n{plan}"
    other.close()


def test_a_million_bytes_of_arguments_do_not_slow_down_a_list(sqlite: SqliteStore) -> None:
    # They live in a table of their own: the row of a task stays small whatever it was given.
    sqlite.commit(inserted(a_task(1, arguments=os.urandom(1_000_000)), a_task(2)))
    sql = "SELECT sum(payload) FROM dbstat WHERE name = ?"
    assert sqlite._connection.execute(sql, ("tasks",)).get < 2_000
    assert sqlite._connection.execute(sql, ("arguments",)).get > 1_000_000
