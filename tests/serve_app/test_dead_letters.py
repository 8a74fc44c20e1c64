"""Dead letters by the thousand: searched here in parts, moved by the scheduler in pieces."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from serve_app import bounded_search, dead_letters
from task_queue.core.effects import Counted, Refused
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Report, TaskError
from task_queue.scheduler_api import DeadLetter, SchedulerUnavailable
from task_queue.store.query import TaskQuery
from tests.serve_app.api_world import TASKS, Between, World, open_world, problem

pytestmark = pytest.mark.anyio

REPLAY, PURGE = "/api/v1/dlq/replay", "/api/v1/dlq/purge"
_PIECE = 4


class _Pieces(Between):
    """A scheduler of which a test sees what it is asked, and breaks what it is to break."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.sizes: list[int] = []
        self.most = 1_000  #: more of them are too large
        self.dies_after: int | None = None  #: so many pieces
        self.on_piece: Callable[[int], None] = lambda _size: None

    async def replay(self, letters: Sequence[DeadLetter], request_id: str) -> Counted | Refused:
        self._count(letters)
        if len(letters) > self.most:
            return Refused("too_large", "too much at a time")
        answer: Counted | Refused = await self.real.replay(letters, request_id)
        return answer

    async def purge_dlq(self, letters: Sequence[DeadLetter]) -> int:
        self._count(letters)
        return int(await self.real.purge_dlq(letters))

    def _count(self, letters: Sequence[DeadLetter]) -> None:
        if len(self.sizes) == self.dies_after:
            raise SchedulerUnavailable("it was killed")
        self.sizes.append(len(letters))
        self.on_piece(len(letters))


class _Stage:
    def __init__(self, world: World, pieces: _Pieces) -> None:
        self.world, self.pieces = world, pieces

    async def dead_letters(self, count: int, message: str = "no such file") -> list[str]:
        tasks = [{"name": "shop.collect"} for _ in range(count)]
        answer = await self.world.http.post(f"{TASKS}/batch", json={"tasks": tasks})
        await self.world.worker(slots=count)
        error = TaskError("OSError", message)
        leases = await self.world.claim(count)
        reports = [
            Report(x.task_id, x.attempt, Outcome.FAILED, 1.0, 0.5, error=error, retryable=False)
            for x in leases
        ]
        await self.world.report(*reports)
        ids: list[str] = answer.json()["task_ids"]
        return ids

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.world.http.post(path, json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def left(self) -> list[str]:
        return [task.spec.id for task in self.world.store.search(TaskQuery(in_dlq=True), 1_000)]


@pytest.fixture
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[_Stage]:
    """Pages of three and parts of two, so that a handful of tasks is many."""
    monkeypatch.setattr(dead_letters, "_SMALLEST", _PIECE)
    monkeypatch.setattr(dead_letters, "_LARGEST", _PIECE)
    monkeypatch.setattr(dead_letters, "_PAGE", 3)
    monkeypatch.setattr(bounded_search, "FIRST_PART", 2)
    monkeypatch.setattr(bounded_search, "SEARCH_SECONDS", 0.0)
    pieces: list[_Pieces] = []

    def between(real: Any) -> _Pieces:
        pieces.append(_Pieces(real))
        return pieces[0]

    room = getattr(request, "param", 1_000)
    rules = Rules(max_retrying=room)
    async with open_world("sqlite", tmp_path, scheduler=between, rules=rules) as world:
        yield _Stage(world, pieces[0])


async def test_many_run_again_in_the_order_of_acceptance(stage: _Stage) -> None:
    ids = await stage.dead_letters(11)
    assert await stage.post(REPLAY, limit=10) == {"count": 10, "dry_run": False}
    assert stage.pieces.sizes == [4, 4, 2]
    assert stage.left() == ids[:1]
    assert [lease.task_id for lease in await stage.world.claim(11)] == ids[1:]


async def test_a_text_is_looked_for_among_all_of_them(stage: _Stage) -> None:
    old = await stage.dead_letters(2, "the disk is FULL")
    await stage.dead_letters(9)
    found = {"filter": {"error": "disk is full"}}
    assert await stage.post(REPLAY, **found, dry_run=True) == {"count": 2, "dry_run": True}
    assert stage.pieces.sizes == []
    assert (await stage.post(REPLAY, **found))["count"] == 2
    assert [lease.task_id for lease in await stage.world.claim(11)] == old


async def test_all_that_match_are_deleted(stage: _Stage) -> None:
    kept = await stage.dead_letters(2, "another")
    await stage.dead_letters(11)
    assert await stage.post(PURGE, filter={"q": "file"}) == {"count": 11, "dry_run": False}
    assert max(stage.pieces.sizes) <= _PIECE
    assert stage.left() == kept[::-1]


async def test_pieces_get_smaller_until_their_arguments_fit(stage: _Stage) -> None:
    await stage.dead_letters(5)
    stage.pieces.most = 1
    assert (await stage.post(REPLAY))["count"] == 5
    assert stage.pieces.sizes == [4, 2, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("stage", [7], indirect=True)
async def test_so_many_as_there_is_room_for_and_why_not_the_others(stage: _Stage) -> None:
    ids = await stage.dead_letters(9)
    told = await stage.post(REPLAY)
    assert told["count"] == 7 and "limits.max_retrying" in told["incomplete"]
    assert stage.left() == ids[:6:-1]
    refused = problem(await stage.world.http.post(REPLAY), 429)
    assert "limits.max_retrying" in refused
    one = await stage.world.http.post(f"{TASKS}/{ids[8]}/retry")
    assert "limits.max_retrying" in problem(one, 429)
    assert one.headers["retry-after"]
    assert stage.left() == ids[:6:-1]


@pytest.mark.parametrize("path", [REPLAY, PURGE])
async def test_what_was_done_before_the_scheduler_died_is_told(stage: _Stage, path: str) -> None:
    await stage.dead_letters(9)
    stage.pieces.dies_after = 1
    told = await stage.post(path, filter={})
    assert told["count"] == stage.pieces.sizes[0] > 0
    assert "it was killed" in told["incomplete"]
    assert len(stage.left()) == 9 - told["count"]
    problem(await stage.world.http.post(path, json={"filter": {}}), 503)


@pytest.mark.parametrize("path", [REPLAY, PURGE])
async def test_pieces_are_as_large_as_the_scheduler_is_quick(
    stage: _Stage, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(dead_letters, "_LARGEST", 16)
    monkeypatch.setattr(dead_letters, "_PAGE", 100)
    monkeypatch.setattr(bounded_search, "FIRST_PART", 100)
    await stage.dead_letters(90)
    slow: list[bool] = []

    def work(_size: int) -> None:
        slow.append(len(slow) in range(5, 8))
        stage.world.clock.advance(0.1 if slow[-1] else 0.001)

    stage.pieces.on_piece = work
    assert (await stage.post(path, filter={}))["count"] == 90
    assert stage.pieces.sizes == [4, 6, 8, 11, 14, 16, 8, 4, 4, 6, 8, 1]
