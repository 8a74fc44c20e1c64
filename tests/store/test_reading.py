"""What every reader must answer."""

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_queue.core.effects import Changes
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task, TaskError
from task_queue.store.protocol import Reader, Store
from task_queue.store.query import TaskQuery
from tests.store.databases import (
    KINDS,
    NOW,
    Database,
    NewPostgres,
    a_task,
    a_worker,
    an_ending,
    an_event,
    bare,
    dead_letter,
    inserted,
    touched,
)

# ---- other connections ---------------------------------------------------------------------


def test_a_reader_sees_each_commit_when_it_is_done(database: Database) -> None:
    writer = database.writer()
    writer.take_over()
    reader = database.reader()
    reader.ping()
    task = a_task(1, Status.COMPLETED, attempt=1)
    changes = Changes(
        inserted=[task], workers={"w": a_worker("w")}, tallies={("q", "n", "died"): 1}
    )
    changes.ended = [an_ending(task, b"7", logs="log")]
    changes.timeline = [an_event(1)]
    writer.commit(changes)
    assert reader.get(task.spec.id) == task
    assert reader.results([1]) == {1: b"7"}
    assert reader.logs(1) == [(1, "log")]
    assert reader.timeline(1) == [an_event(1)]
    assert [w.worker_id for w in reader.workers()] == ["w"]
    assert [t.count for t in reader.tallies()] == [1]
    assert reader.last_ended() == (task.finished_at, 1)
    writer.delete([1])
    assert reader.get(task.spec.id) is None


def test_get_gives_the_arguments_and_lists_do_not(store: Store) -> None:
    task = dead_letter(1, arguments=b'{"args":[1]}', tags=("t",))
    store.commit(inserted(task))
    task_id = task.spec.id
    assert store.get(task_id) == task
    assert store.get("no such id") is None
    assert store.find([task_id, "no such id", task_id]) == {task_id: bare(task)}
    assert store.find([]) == {}
    assert store.search(TaskQuery(), 5) == [bare(task)]
    assert store.ended_after((0.0, 0), 5) == [bare(task)]


# ---- search --------------------------------------------------------------------------------

_TEXTS = ("alpha", "Beta", "größe ÄÖ", "100%_", "a'\"\\", "日本")
_NAMES = ("app.resize", "app.Train", "größe.ÄÖ")
_STATUSES = list(Status)


def _population() -> list[Task]:
    """Two hundred tasks, alike and unlike in every way that a query asks about."""
    draw = random.Random(7)
    tasks = []
    for seq in range(1, 201):
        status = draw.choice(_STATUSES)
        failed = status is Status.FAILED or draw.random() < 0.2
        error = TaskError(draw.choice(_TEXTS), draw.choice(_TEXTS), "tb") if failed else None
        tasks.append(
            a_task(
                seq, status, name=draw.choice(_NAMES), queue=draw.choice(["a", "b", "Ä"]),
                tags=tuple(draw.sample(_TEXTS, draw.randrange(3))), error=error,
                worker_id=draw.choice([None, "w1", "w2"]), submitted_at=NOW + draw.randrange(20),
                finished_at=NOW + draw.randrange(9) if status in TERMINAL else None,
                in_dlq=status is Status.FAILED and draw.random() < 0.8,
            )
        )  # fmt: skip
    return tasks


def _naive(task: Task, query: TaskQuery) -> bool:
    """The words of TaskQuery, one after the other."""
    spec, error = task.spec, task.error
    told = f"{error.type} {error.message}" if error else None
    words = " ".join([spec.id, spec.name, *spec.tags, told or ""])
    checks = {
        "statuses": not query.statuses or task.status in query.statuses,
        "queue": spec.queue == query.queue,
        "name": spec.name == query.name,
        "in_dlq": task.in_dlq == query.in_dlq,
        "worker_id": task.worker_id == query.worker_id,
        "tag": query.tag in spec.tags,
        "error": told is not None and (query.error or "").lower() in told.lower(),
        "text": (query.text or "").lower() in words.lower(),
        "submitted_from": task.submitted_at >= (query.submitted_from or 0),
        "submitted_to": task.submitted_at < (query.submitted_to or 0),
        "from_seq": task.seq >= (query.from_seq or 0),
        "before_seq": task.seq < (query.before_seq or 0),
    }
    return all(holds for name, holds in checks.items() if getattr(query, name) is not None)


@pytest.fixture(scope="module", params=KINDS)
def populated(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    new_postgres: NewPostgres,
) -> Iterator[tuple[Reader, list[Task]]]:
    database = KINDS[request.param](tmp_path_factory.mktemp("populated"), new_postgres)
    tasks = _population()
    writer = database.writer()
    writer.take_over()
    writer.commit(inserted(*tasks))
    yield database.reader(), tasks
    database.close()


_PIECES = st.sampled_from(
    [*_TEXTS, *_NAMES, "ALPHA", "bet", "GRÖSSE", "Größe", "äö", "%", "_", "'", "\\", '"', "", " "]
)
_TIMES = st.integers(-1, 21).map(lambda n: NOW + n)
_CONDITIONS: dict[str, st.SearchStrategy[Any]] = {
    "statuses": st.lists(st.sampled_from(_STATUSES), max_size=4).map(tuple),
    "queue": st.sampled_from(["a", "b", "Ä", "ä", "none"]),
    "name": st.sampled_from([*_NAMES, "app"]),
    "in_dlq": st.booleans(),
    "worker_id": st.sampled_from(["w1", "w2", "w3"]),
    "tag": st.sampled_from([*_TEXTS, "ALPHA", "alp", ""]),
    "error": _PIECES,
    "text": _PIECES,
    "submitted_from": _TIMES,
    "submitted_to": _TIMES,
    "from_seq": st.integers(0, 202),
    "before_seq": st.integers(0, 202),
}


@given(
    conditions=st.fixed_dictionaries({}, optional=_CONDITIONS), limit=st.sampled_from([1, 7, 500])
)
def test_a_search_finds_what_a_naive_filter_finds_newest_first(
    populated: tuple[Reader, list[Task]], conditions: dict[str, Any], limit: int
) -> None:
    reader, tasks = populated
    query = TaskQuery(**conditions)
    expected = [bare(task) for task in reversed(tasks) if _naive(task, query)]
    assert reader.search(query, limit) == expected[:limit]


@pytest.mark.parametrize("condition", list(_CONDITIONS))
def test_every_condition_divides_the_tasks(
    populated: tuple[Reader, list[Task]], condition: str
) -> None:
    reader, tasks = populated
    values: dict[str, Any] = {
        "statuses": (Status.FAILED, Status.QUEUED), "queue": "Ä", "name": _NAMES[2], "in_dlq": True,
        "worker_id": "w1", "tag": "größe ÄÖ", "error": "GRÖßE ä", "text": "日本",
        "submitted_from": NOW + 10, "submitted_to": NOW + 10, "from_seq": 100,
        "before_seq": 100,
    }  # fmt: skip
    query = TaskQuery(**{condition: values[condition]})
    found = {task.seq for task in reader.search(query, 500)}
    assert found == {task.seq for task in tasks if _naive(task, query)}
    assert 0 < len(found) < len(tasks)


@pytest.mark.parametrize("size", [1, 7, 200, 201])
def test_pages_follow_each_other_without_gap_or_repetition(
    populated: tuple[Reader, list[Task]], size: int
) -> None:
    reader, tasks = populated
    seqs: list[int] = []
    query = TaskQuery()
    while page := reader.search(query, size):
        seqs += [task.seq for task in page]
        query = TaskQuery(before_seq=page[-1].seq)
    assert seqs == [task.seq for task in reversed(tasks)]


@given(conditions=st.fixed_dictionaries({}, optional=_CONDITIONS), most=st.sampled_from([9, 60]))
@settings(max_examples=25)
def test_parts_of_a_search_are_the_whole_and_none_looks_at_more_than_asked(
    populated: tuple[Reader, list[Task]], conditions: dict[str, Any], most: int
) -> None:
    reader, tasks = populated
    query = TaskQuery(**conditions)
    expected = [bare(task) for task in reversed(tasks) if _naive(task, query)]
    query = reader.bounded(query)
    floor = query.from_seq or 0
    found: list[Task] = []
    while (start := reader.reach(query, most)) > floor:
        part = msgspec.structs.replace(query, from_seq=start)
        found += reader.search(part, 500)
        here = [task for task in tasks if _naive(task, _place_of(part))]
        assert len(here) <= most * len(Status)
        query = msgspec.structs.replace(query, before_seq=start)
    assert found + reader.search(query, 500) == expected


def _place_of(query: TaskQuery) -> TaskQuery:
    """What says where to look, without what is then compared."""
    return TaskQuery(
        statuses=(Status.FAILED,) if query.in_dlq else query.statuses,
        error=None if query.error is None else "",
        from_seq=query.from_seq,
        before_seq=query.before_seq,
    )


def test_a_task_is_found_by_a_part_of_its_id(populated: tuple[Reader, list[Task]]) -> None:
    reader, tasks = populated
    task = tasks[41]
    assert reader.search(TaskQuery(text=task.spec.id[9:].upper()), 5) == [bare(task)]


# ---- endings -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3, 500])
def test_endings_are_told_in_order_from_where_one_stopped(
    populated: tuple[Reader, list[Task]], size: int
) -> None:
    reader, tasks = populated
    cursor = (0.0, 0)
    told: list[tuple[float, int]] = []
    while page := reader.ended_after(cursor, size):
        told += [(task.finished_at or 0.0, task.seq) for task in page]
        cursor = told[-1]
    expected = sorted((t.finished_at, t.seq) for t in tasks if t.finished_at is not None)
    assert told == expected
    assert reader.last_ended() == expected[-1]
    assert reader.ended_after(reader.last_ended(), size) == []


def test_what_ends_later_is_told_next(store: Store) -> None:
    first, second = a_task(2, Status.COMPLETED, finished_at=NOW + 5), a_task(1)
    store.commit(inserted(first, second))
    cursor = store.last_ended()
    assert cursor == (NOW + 5, 2)
    second.status, second.finished_at = Status.EXPIRED, NOW + 6
    store.commit(touched(second))
    assert store.ended_after(cursor, 9) == [bare(second)]


def test_a_task_that_runs_again_is_no_ending_until_it_ends_again(store: Store) -> None:
    task = dead_letter(1, finished_at=NOW)
    store.commit(inserted(task))
    task.status, task.finished_at, task.in_dlq = Status.QUEUED, None, False
    store.commit(touched(task))
    assert store.ended_after((0.0, 0), 9) == []
    assert store.last_ended() == (0.0, 0)
    assert store.load().tasks == [task]
