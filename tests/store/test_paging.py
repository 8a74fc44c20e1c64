"""What every store must do with the tasks that the scheduler does not keep in memory."""

from task_queue.core.effects import Changes
from task_queue.core.paged_out import PagedOut
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.protocol import Store
from tests.store.databases import NOW, Database, a_task, inserted, touched

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
