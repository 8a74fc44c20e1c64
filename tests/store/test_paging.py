"""What every store must do with the tasks that the scheduler does not keep in memory."""

from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import psycopg
import pytest

from task_queue.core.effects import Changes
from task_queue.core.paged_out import PagedOut
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.postgres import PostgresStore
from task_queue.store.postgres_paging import page_query
from task_queue.store.protocol import Store
from task_queue.store.sqlite import SqliteStore
from tests.store.databases import NOW, Database, NewPostgres, a_task, inserted, touched

_PLENTY = 2**20


def _paged(*tasks: Task) -> Changes:
    return Changes(inserted=list(tasks), paged_out=list(tasks))


def test_what_is_paged_out_is_counted_and_not_loaded(store: Store) -> None:
    here = a_task(1, queue="a")
    away = [a_task(2, queue="a"), a_task(3, queue="a"), a_task(4, queue="a", priority=9)]
    store.commit(inserted(here))
    store.commit(_paged(*away))
    loaded = store.load()
    assert loaded.tasks == [here]
    assert sorted(loaded.paged_out, key=lambda line: line.priority) == [
        PagedOut("a", 5, 2, 2, away[0].submitted_at), PagedOut("a", 9, 1, 4, away[2].submitted_at),
    ]  # fmt: skip
    assert loaded.next_seq == 5


def test_readers_see_no_difference(store: Store) -> None:
    task = a_task(1, idempotency_key="k", tags=("a", "b c"))
    store.commit(_paged(task))
    assert store.get(task.spec.id) == task
    assert store.find([task.spec.id])[task.spec.id].status is Status.QUEUED
    assert store.known([], ["k"]) == {"k": task.spec.id}


def test_a_page_is_the_oldest_tasks_of_one_line_whole(store: Store) -> None:
    line = [
        a_task(2, queue="ä\x00", idempotency_key="k", tags=("a", "b\x1fc"), arguments=b"{}"),
        a_task(5, queue="ä\x00", arguments=b'{"args":["' + b"x" * 3_000 + b'"]}'),
        a_task(8, queue="ä\x00", run_at=NOW - 5, max_retries=3, traceparent="00-1"),
    ]
    other = [a_task(1, queue="b"), a_task(3, queue="ä\x00", priority=6)]
    store.commit(_paged(*line, *other))
    assert store.page("ä\x00", 5, 10, _PLENTY) == line
    assert store.page("ä\x00", 5, 2, _PLENTY) == line[:2]
    assert store.page("nobody", 5, 2, _PLENTY) == []


def test_a_page_ends_before_its_arguments_are_too_long(store: Store) -> None:
    line = [a_task(seq, arguments=b"x" * 1_000) for seq in range(1, 6)]
    store.commit(_paged(*line))
    queue = line[0].spec.queue
    assert store.page(queue, 5, 10, 3_000) == line[:3]
    assert store.page(queue, 5, 10, 3_999) == line[:3]
    assert store.page(queue, 5, 10, 1) == line[:1]


def test_what_came_in_is_loaded_and_no_more_in_a_page(store: Store) -> None:
    line = [a_task(seq) for seq in range(1, 6)]
    queue = line[0].spec.queue
    store.commit(_paged(*line))
    store.commit(Changes(paged_in=[(queue, 5, 1, 2), (queue, 5, 4, 4)]))
    loaded = store.load()
    assert loaded.tasks == [line[0], line[1], line[3]]
    assert loaded.paged_out == [PagedOut(queue, 5, 2, 3, line[2].submitted_at)]
    assert store.page(queue, 5, 10, _PLENTY) == [line[2], line[4]]


def test_one_turn_may_page_out_and_in(store: Store) -> None:
    task = a_task(1)
    changes = _paged(task)
    changes.paged_in.append((task.spec.queue, 5, 1, 1))
    store.commit(changes)
    assert store.load().tasks == [task]
    assert store.load().paged_out == []


def test_a_range_touches_no_other_line(store: Store) -> None:
    mine, queue, priority = (
        a_task(1, queue="a"),
        a_task(2, queue="b"),
        a_task(3, queue="a", priority=1),
    )
    store.commit(_paged(mine, queue, priority))
    store.commit(Changes(paged_in=[("a", 5, 0, 99)]))
    assert store.load().tasks == [mine]
    assert len(store.load().paged_out) == 2


def test_what_older_code_ran_is_not_paged_out_any_more(database: Database) -> None:
    store = database.writer()
    store.take_over()
    task, waits = a_task(1), a_task(2)
    store.commit(_paged(task, waits))
    task.status, task.finished_at = Status.COMPLETED, NOW  # it does not tell of pages
    store.commit(touched(task))
    newer = database.writer()
    newer.take_over()
    assert newer.load().tasks == []
    assert newer.load().paged_out == [PagedOut(waits.spec.queue, 5, 1, 2, waits.submitted_at)]
    assert newer.page(waits.spec.queue, 5, 10, _PLENTY) == [waits]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_comes_in_the_rest_is_paged_out(store: Store, seed: int) -> None:
    random = Random(seed)
    away: dict[tuple[str, int], list[Task]] = {}
    seq = 0
    for _ in range(30):
        changes = Changes()
        for _ in range(random.randint(0, 12)):
            seq += random.choice((1, 1, 1, 2))
            task = a_task(seq, queue=random.choice("ab"), priority=random.choice((5, 5, 9)))
            changes.inserted.append(task)
            if random.random() < 0.9:
                changes.paged_out.append(task)
                away.setdefault((task.spec.queue, task.spec.priority), []).append(task)
        for line in list(away):
            first = random.randint(1, seq + 1)
            last = first + random.choice((0, 0, 1, 5, 20))
            if random.random() < 0.3:
                changes.paged_in.append((*line, first, last))
                away[line] = [t for t in away[line] if not first <= t.seq <= last]
        store.commit(changes)
        for line, tasks in away.items():
            assert store.page(*line, 7, _PLENTY) == tasks[:7]
        assert sorted(store.load().paged_out, key=lambda one: one.first_seq) == sorted(
            (PagedOut(*line, len(t), t[0].seq, t[0].submitted_at) for line, t in away.items() if t),
            key=lambda one: one.first_seq,
        )
    kept = {task.seq for task in store.load().tasks}
    assert kept.isdisjoint(task.seq for tasks in away.values() for task in tasks)


def test_numbers_may_be_large(store: Store) -> None:
    line = [a_task(2**40 + n) for n in range(6)]
    store.commit(_paged(*line))
    queue = line[0].spec.queue
    store.commit(Changes(paged_in=[(queue, 5, 2**40 + 1, 2**40 + 2), (queue, 5, 2**40 + 4, 2**41)]))
    assert store.page(queue, 5, 10, _PLENTY) == [line[0], line[3]]


def test_postgres_reads_a_page_by_its_runs_whatever_it_knows_of_its_tables(
    new_postgres: NewPostgres,
) -> None:
    url = new_postgres()
    with closing(PostgresStore(url)) as store:
        store.take_over()
        store.commit(_paged(*(a_task(seq, queue="ab"[seq % 2]) for seq in range(1, 20_001))))
    sql, values = page_query("a", 5, 1_000, _PLENTY)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
        rows = connection.execute(f"EXPLAIN {sql}".encode(), values).fetchall()
    plan = "\n".join(line for (line,) in rows)
    assert "Index Cond: ((seq >= " in plan
    assert "Join Filter" not in plan


def _left_by_older_code(store: Store) -> tuple[list[Task], list[tuple[str, int, int]]]:
    """Tasks, and the rows that code without runs wrote for them; one is of a task that ran."""
    tasks = [a_task(n, queue="ab"[n % 2]) for n in range(1, 6)]
    store.commit(inserted(*tasks))
    tasks[4].status, tasks[4].finished_at = Status.COMPLETED, NOW
    store.commit(touched(tasks[4]))
    return tasks, [(task.spec.queue, 5, task.seq) for task in tasks[1:]]


def _is_taken_over(store: Store, tasks: list[Task]) -> None:
    store.take_over()
    assert store.load().tasks == tasks[:1]
    assert store.page("a", 5, 9, _PLENTY) == [tasks[1], tasks[3]]
    assert store.page("b", 5, 9, _PLENTY) == [tasks[2]]
    store.commit(Changes(paged_in=[("a", 5, 2, 2)]))
    assert store.load().tasks == tasks[:2]


def test_rows_of_older_code_are_taken_over_in_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "queue.db"
    older, newer = SqliteStore(path), SqliteStore(path)
    older.take_over()
    tasks, rows = _left_by_older_code(older)
    with apsw.Connection(str(path)) as connection:
        connection.executemany("INSERT INTO paged_out VALUES (?, ?, ?)", rows)
    _is_taken_over(newer, tasks)
    older.close()
    newer.close()


def test_rows_of_older_code_are_taken_over_in_postgres(new_postgres: NewPostgres) -> None:
    url = new_postgres()
    older, newer = PostgresStore(url), PostgresStore(url)
    older.take_over()
    tasks, rows = _left_by_older_code(older)
    with psycopg.connect(url) as connection:
        connection.cursor().executemany("INSERT INTO paged_out VALUES (%s, %s, %s)", rows)
    _is_taken_over(newer, tasks)
    older.close()
    newer.close()
