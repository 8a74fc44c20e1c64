"""Lists, searches, pages, and dead letters."""

from typing import Any

import pytest

from tests.serve_app.api_world import TASKS, World, problem

pytestmark = pytest.mark.anyio

SEARCH = "/api/v1/search/tasks"
REPLAY, PURGE = "/api/v1/dlq/replay", "/api/v1/dlq/purge"


async def ids(world: World, path: str, **query: Any) -> list[str]:
    params: Any = query  # strings, and lists of them
    answer = await world.http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return [task["task_id"] for task in answer.json()["tasks"]]


class TestPages:
    async def test_newest_first_page_by_page(self, world: World) -> None:
        made = [await world.submit() for _ in range(5)]
        seen: list[str] = []
        cursor: str | None = None
        for size in (2, 2, 1):
            query: dict[str, Any] = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await world.http.get(TASKS, params=query)).json()
            cursor = page["next_cursor"]
            assert len(page["tasks"]) == size
            seen += [task["task_id"] for task in page["tasks"]]
        assert seen == made[::-1]
        assert cursor is None

    async def test_a_full_last_page_ends_the_list(self, world: World) -> None:
        for _ in range(2):
            await world.submit()
        page = (await world.http.get(TASKS, params={"limit": 2})).json()
        assert page["next_cursor"] is None

    @pytest.mark.parametrize("cursor", ["x", "!!", "c2VxOi0x", "c2VxOng", "é"])
    async def test_a_foreign_cursor(self, world: World, cursor: str) -> None:
        answer = await world.http.get(TASKS, params={"cursor": cursor})
        assert "next_cursor" in problem(answer, 422)


class TestFilters:
    async def test_each_narrows_the_list(self, world: World) -> None:
        await world.worker()
        failed = await world.submit(tags=["red"], priority=9)
        await world.fail(failed, "disk is full")
        image = await world.submit("shop.thumbnail", args=["a"])
        assert await ids(world, TASKS, status="QUEUED") == [image]
        assert await ids(world, TASKS, status="failed,CANCELLED") == [failed]
        assert await ids(world, TASKS, status=["FAILED", "QUEUED"]) == [image, failed]
        assert await ids(world, TASKS, queue="images") == [image]
        assert await ids(world, TASKS, name="shop.collect") == [failed]
        assert await ids(world, TASKS, in_dlq="true") == [failed]
        assert await ids(world, TASKS, in_dlq="false") == [image]

    async def test_search_looks_further(self, world: World) -> None:
        await world.worker()
        failed = await world.submit(tags=["red"], priority=9)
        await world.fail(failed, "disk is full")
        world.clock.advance(10)
        other = await world.submit()
        assert await ids(world, SEARCH, q="DISK") == [failed]
        assert await ids(world, SEARCH, error="oserror") == [failed]
        assert await ids(world, SEARCH, tag="red") == [failed]
        assert await ids(world, SEARCH, worker_id="w1") == [failed]
        assert await ids(world, SEARCH, **{"from": "2023-11-14T22:13:25Z"}) == [other]
        assert await ids(world, SEARCH, to="2023-11-14T22:13:25Z", in_dlq="true") == [failed]
        unescaped = await world.http.get(f"{SEARCH}?from=2023-11-14T23:13:25+01:00")
        assert [task["task_id"] for task in unescaped.json()["tasks"]] == [other]

    async def test_blocked_is_a_word_that_matches_nothing_yet(self, world: World) -> None:
        made = await world.submit()
        assert await ids(world, TASKS, status="BLOCKED") == []
        assert await ids(world, TASKS, status="BLOCKED,QUEUED") == [made]

    @pytest.mark.parametrize(
        ("path", "query", "words"),
        [
            (TASKS, "limit=0", ["limit", ">= 1"]),
            (TASKS, "limit=1001", ["limit", "<= 1000"]),
            (TASKS, "limit=ten", ["limit", "int"]),
            (TASKS, "status=DONE", ["DONE", "COMPLETED", "BLOCKED", "EXPIRED"]),
            (TASKS, "status=", ["status"]),
            (TASKS, "quue=a", ["quue: unknown", "did you mean 'queue'"]),
            (TASKS, "q=a", ["q: unknown"]),
            (TASKS, "in_dlq=null", ["in_dlq", "bool"]),
            (TASKS, "queue=a&queue=b", ["queue is given twice"]),
            (SEARCH, "from=yesterday", ["from", "RFC 3339"]),
            (SEARCH, "to=2023-11-14T22:13:25", ["to", "time zone"]),
            (SEARCH, "submitted_from=2023-11-14T22:13:25Z", ["submitted_from: unknown"]),
        ],
    )
    async def test_bad_parameters(
        self, world: World, path: str, query: str, words: list[str]
    ) -> None:
        detail = problem(await world.http.get(f"{path}?{query}"), 422)
        assert "query parameter" in detail
        assert [word for word in words if word not in detail] == [], detail


class TestDeadLetters:
    async def _failed(self, world: World) -> list[str]:
        """Two dead letters, the second in queue images."""
        await world.worker()
        first = await world.submit()
        await world.fail(first)
        second = await world.submit("shop.thumbnail", args=["a"])
        await world.fail(second)
        return [first, second]

    async def test_replay_of_some(self, world: World) -> None:
        _, image = await self._failed(world)
        body = {"filter": {"queue": "images"}, "limit": 10}
        dry = await world.http.post(REPLAY, json={**body, "dry_run": True})
        assert dry.json() == {"count": 1, "dry_run": True}
        assert len(await ids(world, TASKS, in_dlq="true")) == 2
        assert (await world.http.post(REPLAY, json=body)).json()["count"] == 1
        assert await ids(world, TASKS, status="QUEUED") == [image]

    async def test_replay_without_a_body_takes_all(self, world: World) -> None:
        await self._failed(world)
        assert (await world.http.post(REPLAY)).json()["count"] == 2

    async def test_purge(self, world: World) -> None:
        first, _ = await self._failed(world)
        answer = await world.http.post(PURGE, json={"filter": {"name": "shop.thumbnail"}})
        assert answer.json()["count"] == 1
        assert await ids(world, TASKS) == [first]

    @pytest.mark.parametrize(
        ("path", "body", "word"),
        [
            (PURGE, {}, "filter: is required"),
            (PURGE, {"filter": {"quue": "a"}}, "filter.quue: unknown; did you mean 'queue'"),
            (PURGE, {"filter": {"status": "COMPLETED"}}, "filter.status"),
            (PURGE, {"filter": {"status": "GONE"}}, "filter.status"),
            (PURGE, {"filter": {"in_dlq": False}}, "filter.in_dlq"),
            (PURGE, {"filter": {"submitted_to": "now"}}, "filter.submitted_to"),
            (REPLAY, {"limit": 0}, "limit"),
            (REPLAY, {"dry_run": 1}, "dry_run"),
        ],
    )
    async def test_bad_requests_touch_nothing(
        self, world: World, path: str, body: dict[str, Any], word: str
    ) -> None:
        await self._failed(world)
        assert word in problem(await world.http.post(path, json=body), 422)
        assert len(await ids(world, TASKS, in_dlq="true")) == 2
