"""Submitting single tasks: what is accepted, what is stored, what is refused and how."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from serve_app.submit_coalescer import SubmitCoalescer
from task_queue.core.effects import Accepted, Refused
from task_queue.core.settings import Rules
from task_queue.core.task import TaskSpec
from task_queue.ids import is_task_id
from task_queue.scheduler_api import SchedulerSilent
from task_queue.store.query import Pool
from task_queue.testing import task_spec
from tests.serve_app.api_world import POOLS, TASKS, TYPES, Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio


class TestAccepted:
    async def test_answers_with_the_task_and_where_it_is(self, world: World) -> None:
        answer = await world.http.post(TASKS, json={"name": "shop.thumbnail", "args": ["cat.png"]})
        view = answer.json()
        assert answer.status_code == 201
        assert is_task_id(view["task_id"])
        assert answer.headers["location"] == f"{TASKS}/{view['task_id']}"
        stored = (await world.http.get(answer.headers["location"])).json()
        assert stored == view

    async def test_what_is_left_out_comes_from_the_task(self, world: World) -> None:
        task_id = await world.submit("shop.thumbnail", args=["cat.png"])
        task = world.store.get(task_id)
        assert task is not None
        assert (task.spec.queue, task.spec.priority) == ("images", 6)
        assert (task.spec.max_retries, task.spec.timeout_seconds) == (2, 30.0)

    async def test_what_is_given_wins(self, world: World) -> None:
        task_id = await world.submit(
            "shop.thumbnail", args=["cat.png"], queue="default", priority=0, max_retries=0,
            timeout_seconds=1.5, tags=["a", "b", "a"],
        )  # fmt: skip
        task = world.store.get(task_id)
        assert task is not None
        spec = task.spec
        assert (spec.queue, spec.priority, spec.max_retries) == ("default", 0, 0)
        assert (spec.timeout_seconds, spec.tags) == (1.5, ("a", "b"))

    async def test_arguments_are_the_callers_bytes(self, world: World) -> None:
        body = (
            '{"name":"shop.collect","args":[1.0, 12345678901234567890123, "é\\u00e9"],'
            '"kwargs":{"ä":{"b" : [ ]}}}'
        )
        answer = await world.http.post(TASKS, content=body.encode())
        task = world.store.get(answer.json()["task_id"])
        assert task is not None
        expected = '{"args":[1.0,12345678901234567890123,"é\\u00e9"],"kwargs":{"ä":{"b" : [ ]}}}'
        assert task.spec.arguments.decode() == expected

    async def test_delay_and_run_at_schedule(self, world: World) -> None:
        answer = await world.http.post(TASKS, json={"name": "shop.collect", "delay_seconds": 60})
        assert answer.json()["status"] == "SCHEDULED"
        assert answer.json()["run_at"] == "2023-11-14T22:14:20.000Z"
        run_at = "2023-11-14T23:14:20+01:00"
        other = await world.http.post(TASKS, json={"name": "shop.collect", "run_at": run_at})
        assert other.json()["run_at"] == "2023-11-14T22:14:20.000Z"

    async def test_request_id_and_trace_are_stored(self, world: World) -> None:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        headers = {"X-Request-ID": "req-7", "traceparent": trace}
        answer = await world.http.post(TASKS, json={"name": "shop.collect"}, headers=headers)
        task = world.store.get(answer.json()["task_id"])
        assert task is not None
        assert (task.spec.request_id, task.spec.traceparent) == ("req-7", trace)
        assert answer.headers["x-request-id"] == "req-7"

    async def test_a_request_id_is_made_and_a_bad_trace_ignored(self, world: World) -> None:
        headers = {"traceparent": "nonsense"}
        answer = await world.http.post(TASKS, json={"name": "shop.collect"}, headers=headers)
        task = world.store.get(answer.json()["task_id"])
        assert task is not None
        assert task.spec.request_id == answer.headers["x-request-id"]
        assert task.spec.traceparent is None

    async def test_known_idempotency_key_gives_the_older_task(self, world: World) -> None:
        wanted = {"name": "shop.collect", "idempotency_key": "order-1"}
        first = await world.http.post(TASKS, json=wanted)
        await world.worker()
        await world.complete(first.json()["task_id"])
        again = await world.http.post(TASKS, json=wanted)
        assert (first.status_code, again.status_code) == (201, 200)
        assert again.json()["task_id"] == first.json()["task_id"]
        assert again.json()["status"] == "COMPLETED"
        assert world.accepted() == 1

    async def test_a_task_declared_a_moment_ago_is_known(self, world: World) -> None:
        await world.submit()  # the catalogue is fresh now
        new = replace(TYPES[2], name="shop.new")
        pool = replace(POOLS[0], task_names=(*POOLS[0].task_names, "shop.new"))
        await world.scheduler.declare([pool, POOLS[1]], [new])
        await world.submit("shop.new")

    async def test_a_pool_declared_a_moment_ago_is_known(self, world: World) -> None:
        await world.submit()  # the catalogue is fresh now
        new = Pool("new", ("fresh",), ("shop.train",))
        await world.scheduler.declare([*POOLS, new], TYPES)
        await world.submit("shop.train", args=["m"], kwargs={"rounds": 1}, queue="fresh")


COLLECT: dict[str, Any] = {"name": "shop.collect"}
THUMB: dict[str, Any] = {"name": "shop.thumbnail"}

#: What is sent, the status, and words that the answer must have.
WRONG: list[tuple[dict[str, Any], int, list[str]]] = [
    ({"name": "shop.thumbnial"}, 422, ["name", "did you mean 'shop.thumbnail'", "shop.add"]),
    ({"args": []}, 422, ["name: is required"]),
    ({**COLLECT, "priorty": 3}, 422, ["priorty: unknown", "did you mean 'priority'"]),
    ({**COLLECT, "priority": 10}, 422, ["priority", "<= 9"]),
    ({**COLLECT, "priority": -1}, 422, ["priority", ">= 0"]),
    ({**COLLECT, "priority": "high"}, 422, ["priority", "int"]),
    ({**COLLECT, "priority": 5.0}, 422, ["priority", "int"]),
    ({**COLLECT, "tags": ["a", 7]}, 422, ["tags[1]", "str"]),
    ({**COLLECT, "max_retries": -1}, 422, ["max_retries"]),
    ({**COLLECT, "timeout_seconds": 0}, 422, ["timeout_seconds"]),
    (THUMB, 422, ["args", "path", "shop.thumbnail(path: str"]),
    ({**THUMB, "args": ["a", 1, 2]}, 422, ["args: 3 given", "at most 2"]),
    ({**THUMB, "args": ["a"], "kwargs": {"sise": 1}}, 422, ["kwargs.sise", "'size'"]),
    ({**THUMB, "args": ["a"], "kwargs": {"path": "b"}}, 422, ["kwargs.path", "args too"]),
    ({**THUMB, "args": [7]}, 422, ["args[0]", "'path'", "JSON string", "integer"]),
    ({**THUMB, "args": ["a"], "kwargs": {"size": 1.5}}, 422, ["kwargs.size", "JSON number"]),
    ({**THUMB, "args": ["a"], "kwargs": {"size": True}}, 422, ["kwargs.size", "JSON boolean"]),
    ({"name": "shop.add", "kwargs": {"a": 1, "b": 2}}, 422, ["kwargs.a", "a, b"]),
    ({"name": "shop.train", "args": ["m"]}, 422, ["rounds"]),
    ({**COLLECT, "queue": "imges"}, 422, ["queue", "did you mean 'images'"]),
    ({**COLLECT, "queue": "gpu"}, 422, ["queue", "cuda", "default, images"]),
    ({**COLLECT, "delay_seconds": -1}, 422, ["delay_seconds", ">= 0"]),
    ({**COLLECT, "delay_seconds": 1e12}, 422, ["delay_seconds", "<="]),
    ({**COLLECT, "delay_seconds": 1, "run_at": "2023-11-15T00:00:00Z"}, 422, ["give one"]),
    ({**COLLECT, "run_at": "tomorrow"}, 422, ["run_at", "RFC 3339"]),
    ({**COLLECT, "run_at": "2023-11-15T00:00:00"}, 422, ["run_at", "no time zone"]),
    ({**COLLECT, "run_at": "2023-W46-3T00:00:00Z"}, 422, ["run_at", "RFC 3339"]),
    ({**COLLECT, "run_at": "2023-02-30T00:00:00Z"}, 422, ["run_at"]),
    ({**COLLECT, "run_at": "2099-01-01T00:00:00Z"}, 422, ["run_at", "ahead"]),
    ({**COLLECT, "expires_at": "2023-11-14T22:13:20Z"}, 422, ["expires_at", "past"]),
    ({**COLLECT, "expires_at": "9999-12-31T23:59:59-12:00"}, 422, ["expires_at", "100 years"]),
    (
        {**COLLECT, "delay_seconds": 100, "expires_at": "2023-11-14T22:14:00Z"},
        422, ["expires_at", "never start"],
    ),
    ({**COLLECT, "args": ["x" * 1_100_000]}, 413, ["args", "max_argument_bytes"]),
]  # fmt: skip


class TestRefused:
    @pytest.mark.parametrize(("body", "status", "words"), WRONG)
    async def test_says_what_is_wrong(
        self, world: World, body: dict[str, Any], status: int, words: list[str]
    ) -> None:
        answer = await world.http.post(TASKS, json=body)
        detail = problem(answer, status)
        assert [word for word in words if word not in detail] == [], detail
        assert world.accepted() == 0

    @pytest.mark.parametrize(
        ("body", "status", "word"),
        [
            (b"", 400, "not JSON"),
            (b"name=x", 400, "not JSON"),
            (b'{"name":"shop.collect"} x', 400, "trailing"),
            (b'{"name":"shop.collect","args":[NaN]}', 400, "NaN"),
            (b'{"name":"shop.collect","args":[1,]}', 400, "not JSON"),
            (b'{"name":"shop.collect","args":["\xff"]}', 400, "UTF-8"),
            (b'{"name":"shop.collect","args":["\\ud800"]}', 400, "surrogate"),
            (b'{"name":"shop.collect","args":[1e999]}', 422, "args"),
            (b'{"name":"shop.collect","args":' + b"[" * 99_999 + b"]" * 99_999 + b"}", 400, "deep"),
            (b'["shop.collect"]', 422, "object"),
            (b'"shop.collect"', 422, "object"),
        ],
    )
    async def test_what_is_not_proper_json(
        self, world: World, body: bytes, status: int, word: str
    ) -> None:
        assert word in problem(await world.http.post(TASKS, content=body), status)
        assert world.accepted() == 0

    async def test_several_faults_are_told_together(self, world: World) -> None:
        wanted = {**THUMB, "args": [7], "kwargs": {"nope": 1}, "queue": "gpu", "run_at": "x"}
        answer = await world.http.post(TASKS, json=wanted)
        problem(answer, 422)
        fields = [error.partition(":")[0] for error in answer.json()["errors"]]
        assert fields == ["args[0]", "kwargs.nope", "queue", "run_at"]

    async def test_query_parameters_are_refused_by_name(self, world: World) -> None:
        answer = await world.http.post(f"{TASKS}?dry_run=1", json=COLLECT)
        assert "query parameter dry_run: unknown" in problem(answer, 422)
        assert world.accepted() == 0

    async def test_a_body_that_streams_on_is_cut_off(self, make_world: MakeWorld) -> None:
        world = await make_world(http={"max_body_bytes": 1_000_000})
        sent = 0

        async def hundred_megabytes() -> AsyncIterator[bytes]:
            nonlocal sent
            for _ in range(1_000):
                sent += 100_000
                yield b"x" * 100_000

        answer = await world.http.post(TASKS, content=hundred_megabytes())
        assert "1,000,000 bytes" in problem(answer, 413)
        assert sent <= 1_200_000
        assert world.accepted() == 0

    async def test_a_body_that_says_its_length_is_not_read(self, make_world: MakeWorld) -> None:
        world = await make_world(http={"max_body_bytes": 1_000})
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": TASKS, "query_string": b"", "asgi": {},
            "headers": [(b"content-length", b"100000000")], "http_version": "1.1",
        }  # fmt: skip
        await world.app(scope, receive, send)
        assert (sent[0]["status"], asked) == (413, False)

    async def test_a_full_queue_says_when_to_come_back(self, make_world: MakeWorld) -> None:
        world = await make_world(rules=Rules(max_queue_length=1))
        await world.submit()
        answer = await world.http.post(TASKS, json=COLLECT)
        assert "'default'" in problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
        assert world.accepted() == 1

    async def test_nothing_is_accepted_without_a_scheduler(self, world: World) -> None:
        world.scheduler.stop()
        answer = await world.http.post(TASKS, json=COLLECT)
        assert "nothing was accepted" in problem(answer, 503)
        assert answer.headers["retry-after"] == "1"

    async def test_who_may_be_accepted_later_is_not_told_that_nothing_was(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After a 503 clients repeat a submit that has no key."""

        async def silent(*_: object, **__: object) -> Accepted:
            raise SchedulerSilent("the scheduler has shown no sign of life for 5 s")

        monkeypatch.setattr(world.scheduler, "request", silent)
        answer = await world.http.post(TASKS, json=COLLECT)
        assert "no sign of life for 5 s; what was asked may have been done" in problem(answer, 504)


class GatedScheduler:
    """Lets submits through one by one, and notes how many tasks each brought."""

    def __init__(self, full: str | None = None) -> None:
        self.calls: list[list[str]] = []
        self.full = full

    async def submit(self, specs: Sequence[TaskSpec]) -> Accepted | Refused:
        self.calls.append([spec.id for spec in specs])
        await asyncio.sleep(0)
        if any(spec.queue == self.full for spec in specs):
            return Refused("queue_full", f"queue '{self.full}' is full")
        return Accepted([spec.id for spec in specs])


class TestCoalescer:
    async def _submit_all(self, scheduler: GatedScheduler, specs: list[TaskSpec]) -> list[Any]:
        coalescer = SubmitCoalescer(scheduler.submit)
        submits = (coalescer.submit(spec) for spec in specs)
        return await asyncio.gather(*submits, return_exceptions=True)

    async def test_those_that_wait_go_together(self) -> None:
        scheduler = GatedScheduler()
        specs = [task_spec() for _ in range(10)]
        answers = await self._submit_all(scheduler, specs)
        assert [answer.task_id for answer in answers] == [spec.id for spec in specs]
        assert len(scheduler.calls) == 1

    async def test_an_answer_that_names_too_few_leaves_nobody_waiting(self) -> None:
        async def forgetful(specs: Sequence[TaskSpec]) -> Accepted | Refused:
            return Accepted([spec.id for spec in specs[1:]])

        coalescer = SubmitCoalescer(forgetful)
        async with asyncio.timeout(30):
            answers = await asyncio.gather(
                *(coalescer.submit(task_spec()) for _ in range(3)), return_exceptions=True
            )
        assert isinstance(answers[-1], ValueError)

    async def test_a_call_that_is_cancelled_leaves_nobody_waiting(self) -> None:
        """As when the stream is closed while it connects."""

        async def given_up(_specs: Sequence[TaskSpec]) -> Accepted | Refused:
            raise asyncio.CancelledError

        with pytest.raises(SchedulerSilent, match="is ending"):
            await asyncio.wait_for(SubmitCoalescer(given_up).submit(task_spec()), 30)

    async def test_a_full_queue_fails_only_its_own(self) -> None:
        scheduler = GatedScheduler(full="full")
        specs = [task_spec(queue=queue) for queue in ("full", "a", "full", "b")]
        answers = await self._submit_all(scheduler, specs)
        statuses = [getattr(answer, "status", 201) for answer in answers]
        assert statuses == [429, 201, 429, 201]

    async def test_one_place_left_is_used(self, make_world: MakeWorld) -> None:
        world = await make_world(rules=Rules(max_queue_length=2))
        answers = await asyncio.gather(*(world.http.post(TASKS, json=COLLECT) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [201, 201, 429]
        assert world.accepted() == 2

    async def test_a_task_found_by_its_id_is_no_duplicate(self, make_world: MakeWorld) -> None:
        class Repeats(Between):
            """A handle whose first answer was lost on the way."""

            async def submit(self, specs: list[TaskSpec]) -> Any:
                await self.real.submit(specs)
                return await self.real.submit(specs, repeated=True)

        world = await make_world(scheduler=Repeats)
        answer = await world.http.post(TASKS, json=COLLECT)
        assert answer.status_code == 201
        assert world.accepted() == 1


async def test_the_view_of_a_fresh_task_is_that_of_the_store(world: World) -> None:
    wanted = {**COLLECT, "delay_seconds": 5, "expires_at": "2023-11-15T00:00:00Z", "tags": ["x"]}
    answer: httpx.Response = await world.http.post(TASKS, json=wanted)
    stored = await world.http.get(answer.headers["location"])
    assert msgspec.json.decode(answer.content) == msgspec.json.decode(stored.content)
