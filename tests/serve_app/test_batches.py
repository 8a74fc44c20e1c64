"""Submitting many tasks at once, and waiting for many."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from task_queue.core.effects import Accepted, Refused
from task_queue.core.settings import Rules
from task_queue.core.spec_runs import SpecRun, runs_of
from task_queue.core.task import TaskSpec
from task_queue.ids import new_task_id
from task_queue.testing import FakeClock
from tests.serve_app.api_world import TASKS, Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio

BATCH = f"{TASKS}/batch"
RESULTS = f"{TASKS}/results"
GOOD = {"name": "shop.collect", "args": ["é"]}


class TestBatch:
    async def test_ids_come_in_order(self, world: World) -> None:
        tasks = [{**GOOD, "priority": number} for number in range(10)]
        answer = await world.http.post(BATCH, json={"tasks": tasks})
        assert answer.status_code == 201
        found = world.store.find(answer.json()["task_ids"])
        assert [task.spec.priority for task in found.values()] == list(range(10))

    async def test_equal_tasks_are_tasks_of_their_own(self, world: World) -> None:
        alike = {**GOOD, "priority": 7, "tags": ["a"], "delay_seconds": 5, "max_retries": 2}
        tasks = [GOOD, alike, alike, alike, {**alike, "args": ["other"]}, GOOD]
        answer = await world.http.post(BATCH, json={"tasks": tasks})
        ids = answer.json()["task_ids"]
        assert len(set(ids)) == len(tasks)
        stored = [task.spec for i in ids if (task := world.store.get(i)) is not None]
        first, second, third, fourth, other, _ = stored
        second.id = third.id = fourth.id = other.id
        assert second == third == fourth != other
        assert second.arguments == first.arguments != other.arguments
        assert (second.priority, second.tags, second.max_retries) == (7, ("a",), 2)

    async def test_equal_tasks_are_sent_as_one_and_a_list_of_ids(
        self, make_world: MakeWorld
    ) -> None:
        sent: list[SpecRun] = []

        class Listens(Between):
            async def submit(self, specs: Sequence[TaskSpec]) -> Accepted | Refused:
                sent.extend(runs_of(specs))
                answer: Accepted | Refused = await self.real.submit(specs)
                return answer

        world = await make_world(scheduler=Listens)
        tasks = [GOOD, GOOD, GOOD, {**GOOD, "priority": 7}, GOOD, GOOD]
        answer = await world.http.post(BATCH, json={"tasks": tasks})
        ids = answer.json()["task_ids"]
        assert [[run.spec.id, *run.more_ids] for run in sent] == [ids[:3], ids[3:4], ids[4:]]

    async def test_each_of_equal_faults_has_its_place(self, world: World) -> None:
        bad = {**GOOD, "queue": "gpu"}
        answer = await world.http.post(BATCH, json={"tasks": [GOOD, *[bad] * 3, GOOD, bad]})
        problem(answer, 422)
        places = [error.partition(".")[0] for error in answer.json()["errors"]]
        assert places == [f"tasks[{place}]" for place in (1, 2, 3, 5)]

    async def test_a_known_key_gives_the_older_id(self, world: World) -> None:
        first = await world.submit(idempotency_key="k")
        tasks = [GOOD, {**GOOD, "idempotency_key": "k"}]
        answer = await world.http.post(BATCH, json={"tasks": tasks})
        assert answer.json()["task_ids"][1] == first
        assert world.accepted() == 2

    @pytest.mark.parametrize(
        ("bad", "where"),
        [
            ({**GOOD, "priority": 99}, "tasks[3].priority: "),
            ({**GOOD, "pri": 1}, "tasks[3].pri: unknown"),
            ({"name": "shop.nothing"}, "tasks[3].name: "),
            ({"name": "shop.thumbnail"}, "tasks[3].args: "),
            ({**GOOD, "queue": "gpu"}, "tasks[3].queue: "),
            (7, "tasks[3]: "),
        ],
    )
    async def test_one_bad_task_refuses_all(self, world: World, bad: Any, where: str) -> None:
        answer = await world.http.post(BATCH, json={"tasks": [GOOD, GOOD, GOOD, bad, GOOD]})
        assert problem(answer, 422).startswith(where)
        assert world.accepted() == 0

    async def test_up_to_five_faults_are_told(self, world: World) -> None:
        bad = [{**GOOD, "priority": 99}, {"name": "shop.nothing"}]
        answer = await world.http.post(BATCH, json={"tasks": [GOOD, *bad * 10]})
        problem(answer, 422)
        places = [error.partition(":")[0] for error in answer.json()["errors"]]
        fields = ("priority", "name", "priority", "name", "priority")
        assert places == [f"tasks[{i}].{field}" for i, field in enumerate(fields, 1)]

    @pytest.mark.parametrize(
        ("body", "status", "word"),
        [
            ({"tasks": []}, 422, "tasks"),
            ({"tasks": None}, 422, "tasks"),
            ({}, 422, "tasks: is required"),
            ({"tasks": [GOOD], "queue": "images"}, 422, "queue: unknown"),
            ([GOOD], 422, "object"),
        ],
    )
    async def test_a_wrong_envelope(self, world: World, body: Any, status: int, word: str) -> None:
        assert word in problem(await world.http.post(BATCH, json=body), status)
        assert world.accepted() == 0

    async def test_bad_utf8_in_an_argument(self, world: World) -> None:
        body = b'{"tasks":[{"name":"shop.collect","args":["\xff"]}]}'
        assert "UTF-8" in problem(await world.http.post(BATCH, content=body), 400)
        assert world.accepted() == 0

    async def test_a_million_tasks_are_counted_not_read(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def must_not_read(*_: Any) -> None:
            pytest.fail("the tasks were read")

        monkeypatch.setattr("serve_app.routes_batches.decode_json", must_not_read)
        body = b'{"tasks":[' + b",".join([b'{"name":"x"}'] * 1_000_000) + b"]}"
        answer = await world.http.post(BATCH, content=body)
        assert "1,000,000 in one batch, and 10,000" in problem(answer, 413)
        assert world.accepted() == 0

    async def test_one_more_than_allowed(self, make_world: MakeWorld) -> None:
        world = await make_world(http={"max_batch_tasks": 2})
        answer = await world.http.post(BATCH, json={"tasks": [GOOD] * 3})
        assert "3 in one batch, and 2" in problem(answer, 413)
        assert world.accepted() == 0
        assert (await world.http.post(BATCH, json={"tasks": [GOOD] * 2})).status_code == 201

    async def test_a_batch_that_does_not_fit_in_the_queue(self, make_world: MakeWorld) -> None:
        world = await make_world(rules=Rules(max_queue_length=2))
        answer = await world.http.post(BATCH, json={"tasks": [GOOD] * 3})
        problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
        assert world.accepted() == 0

    async def test_large_batches_share_the_loop(self, world: World) -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.ensure_future(count_turns())
        answer = await world.http.post(BATCH, json={"tasks": [{"name": "shop.collect"}] * 5_000})
        counting.cancel()
        assert answer.status_code == 201
        assert turns >= 10


class TestResults:
    async def test_those_that_are_over_and_those_that_are_not(self, world: World) -> None:
        await world.worker()
        done = await world.submit()
        await world.complete(done, b'{"a":null}')
        pending = await world.submit()
        answer = await world.http.post(RESULTS, json={"task_ids": [pending, done, done]})
        assert answer.json() == {
            "results": [{"task_id": done, "status": "COMPLETED", "result": {"a": None}}],
            "pending": [pending],
        }

    async def test_null_is_told_from_gone(self, world: World) -> None:
        await world.worker()
        task_id = await world.submit("shop.add", args=[1, 2])
        await world.complete(task_id, b"null")
        ask = {"task_ids": [task_id]}
        (kept,) = (await world.http.post(RESULTS, json=ask)).json()["results"]
        world.clock.advance(60)
        (gone,) = (await world.http.post(RESULTS, json=ask)).json()["results"]
        assert kept == {"task_id": task_id, "status": "COMPLETED", "result": None}
        assert gone == {"task_id": task_id, "status": "COMPLETED"}

    async def test_waits_for_the_first_to_end(self, world: World) -> None:
        await world.worker()
        ids = [await world.submit(priority=9), await world.submit()]
        ask = {"task_ids": ids, "wait_seconds": 30}
        waiting = asyncio.ensure_future(world.http.post(RESULTS, json=ask))
        await asyncio.sleep(0)
        await world.complete(ids[0])
        answer = (await asyncio.wait_for(waiting, 10)).json()
        assert [result["task_id"] for result in answer["results"]] == ids[:1]
        assert answer["pending"] == ids[1:]

    async def test_does_not_wait_if_one_is_over(self, make_world: MakeWorld) -> None:
        class NeverWaits(Between):
            async def wait_over(self, *_: Any) -> None:
                pytest.fail("it waited")

        world = await make_world(scheduler=NeverWaits)
        await world.worker()
        ids = [await world.submit(priority=9), await world.submit()]
        await world.complete(ids[0])
        answer = await world.http.post(RESULTS, json={"task_ids": ids, "wait_seconds": 30})
        assert len(answer.json()["results"]) == 1

    async def test_many_ids_are_read_off_the_loop(self, world: World) -> None:
        tasks = {"tasks": [{"name": "shop.collect"}] * 600}
        ids = (await world.http.post(BATCH, json=tasks)).json()["task_ids"]
        answer = await world.http.post(RESULTS, json={"task_ids": ids})
        assert answer.json() == {"results": [], "pending": ids}

    async def test_unknown_ids_are_named(self, world: World, clock: FakeClock) -> None:
        known, unknown = await world.submit(), new_task_id(clock.now())
        answer = await world.http.post(RESULTS, json={"task_ids": [known, unknown, "nonsense"]})
        detail = problem(answer, 404)
        assert unknown in detail
        assert "nonsense" in detail
        assert known not in detail

    @pytest.mark.parametrize(
        "body",
        [
            {"task_ids": []},
            {"task_ids": ["x"] * 10_001},
            {"task_ids": ["x"], "wait_seconds": 31},
            {"task_ids": ["x"], "wait_seconds": -1},
            {"task_ids": "x"},
            {"ids": ["x"]},
        ],
        ids=["none", "too many", "too long", "negative", "no list", "unknown field"],
    )
    async def test_bad_questions(self, world: World, body: dict[str, Any]) -> None:
        problem(await world.http.post(RESULTS, json=body), 422)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
