"""A search ends when its time is up, says how far it has looked, and goes on from there."""

import pytest

from serve_app import bounded_search as module
from serve_app.bounded_search import FIRST_PART, SEARCH_SECONDS, Found, bounded_search
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.memory import MemoryStore
from task_queue.store.query import TaskQuery
from task_queue.testing.fake_clock import FakeClock
from tests.serve_app.api_world import World
from tests.store.databases import NOW, a_task, dead_letter, inserted

SEARCH = "/api/v1/search/tasks"
_NONE = TaskQuery(text="no such text")


class _SlowReader(MemoryStore):
    """Every look at a part takes a while."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        super().__init__()
        self.parts: list[TaskQuery] = []
        self._clock = clock
        self._seconds = seconds

    def search(self, query: TaskQuery, limit: int) -> list[Task]:
        if query.from_seq is not None:
            self.parts.append(query)
            self._clock.advance(self._seconds)
        return super().search(query, limit)


def _reader(clock: FakeClock, seconds: float, count: int) -> _SlowReader:
    reader = _SlowReader(clock, seconds)
    reader.take_over()
    reader.commit(inserted(*(a_task(seq) for seq in range(1, count + 1))))
    return reader


def test_it_stops_when_its_time_is_up_and_the_next_page_goes_on() -> None:
    clock = FakeClock(NOW)
    reader = _reader(clock, SEARCH_SECONDS, FIRST_PART + 500)
    first = bounded_search(reader, _NONE, 5, clock)
    assert first == Found([], 501, NOW + 500)
    assert len(reader.parts) == 1
    rest = bounded_search(reader, TaskQuery(text="no such text", before_seq=501), 5, clock)
    assert rest == Found([], None)


def test_with_time_left_it_looks_at_all() -> None:
    clock = FakeClock(NOW)
    reader = _reader(clock, 0.0, FIRST_PART * 6)
    assert bounded_search(reader, _NONE, 5, clock) == Found([], None)
    starts = [part.from_seq for part in reader.parts]
    assert starts == [FIRST_PART * 5 + 1, FIRST_PART + 1, 0]  # more at a time, since it is quick


def test_what_was_found_in_the_time_is_told() -> None:
    clock = FakeClock(NOW)
    reader = _reader(clock, SEARCH_SECONDS, FIRST_PART + 500)
    reader.commit(inserted(dead_letter(FIRST_PART + 501)))
    found = bounded_search(reader, TaskQuery(statuses=(Status.FAILED,)), 5, clock)
    assert [task.seq for task in found.tasks] == [FIRST_PART + 501]
    assert (found.next_seq, found.searched_until) == (502, NOW + 501)


def test_a_full_page_ends_after_its_last_task() -> None:
    clock = FakeClock(NOW)
    reader = _reader(clock, SEARCH_SECONDS, 10)
    found = bounded_search(reader, TaskQuery(), 4, clock)
    assert ([task.seq for task in found.tasks], found.next_seq) == ([10, 9, 8, 7], 7)
    assert found.searched_until is None
    last = bounded_search(reader, TaskQuery(before_seq=5), 4, clock)
    assert ([task.seq for task in last.tasks], last.next_seq) == ([4, 3, 2, 1], None)


@pytest.mark.anyio
async def test_over_http_the_pages_lead_to_the_only_task_that_matches(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(module, "FIRST_PART", 2)
    wanted = await world.submit(tags=["rare"])
    for _ in range(5):
        await world.submit()
    found, pages, cursor = [], [], None
    while True:
        query = {"q": "rare", **({"cursor": cursor} if cursor else {})}
        page = (await world.http.get(SEARCH, params=query)).json()
        found += [task["task_id"] for task in page["tasks"]]
        pages.append((len(page["tasks"]), page["searched_until"] is None))
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [wanted]
    assert pages == [(0, False), (0, False), (1, True)]
