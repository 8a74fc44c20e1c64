"""What strangers send: duplicate keys, huge numbers, NUL, odd content types, a thousand at once;
and what of it must not be seen by others."""

import asyncio
import sys
from collections.abc import Iterator
from hashlib import sha256
from io import StringIO
from typing import Any

import pytest
import structlog

from monitoring.logs import configure_logs
from task_queue.store.query import TaskQuery
from tests.serve_app.api_world import TASKS, Between, World, problem
from tests.serve_app.conftest import MakeWorld

pytestmark = pytest.mark.anyio

SECRET = "hunter2-marker"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name":"shop.collect","priority":1e999}', 422),
        (b'{"name":"shop.collect","priority":' + b"9" * 5_000 + b"}", 422),
        (b'{"name":"shop.collect","delay_seconds":' + b"9" * 5_000 + b"}", 422),
        (b'{"name":"shop.collect","timeout_seconds":NaN}', 400),
        (b'{"name":"shop.collect","timeout_seconds":-0.0}', 422),
        (b'{"name":"shop.collect","max_retries":true}', 422),
        (b'{"name":"shop.collect","kwargs":{"\\ud800":1}}', 400),
        (b'{"name":"shop.collect","tags":["\\udfff"]}', 400),
        (b'{"name":"shop.collect\\u0000"}', 422),
        (b'{"name":"shop.collect","queue":"default\\u0000"}', 422),
        (b"\xef\xbb\xbf" + b'{"name":"shop.collect"}', 400),
        ('{"name":"shop.collect"}'.encode("utf-16"), 400),
        (b'{"name":"shop.collect"}' * 2, 400),
        (b'{"tags":' + b"[" * 99_999, 422),
        (b'{"name":"' + b"x" * 1_000_000 + b'"}', 422),
    ],
    ids=range(15),
)
async def test_refused_and_short(world: World, body: bytes, status: int) -> None:
    for path in (TASKS, f"{TASKS}/run"):
        answer = await world.http.post(path, content=body)
        assert len(problem(answer, status)) < 2_000
    assert world.accepted() == 0


@pytest.mark.parametrize("length", ["9" * 5_000, "1" + "0" * 30])
async def test_a_body_of_a_length_beyond_all_numbers_is_refused(world: World, length: str) -> None:
    answer = await world.http.post(TASKS, content=b"{}", headers={"Content-Length": length})
    assert "max_body_bytes" in problem(answer, 413)


@pytest.mark.parametrize("length", ["0" * 5_000, "0" * 5_000 + "23", "junk"])
async def test_zeros_before_a_length_and_words_are_none(world: World, length: str) -> None:
    """What comes is counted all the same."""
    headers = {"Content-Length": length}
    good = await world.http.post(TASKS, content=b'{"name":"shop.collect"}', headers=headers)
    assert good.status_code == 201


async def test_of_duplicate_keys_the_last_counts_for_all_who_look(world: World) -> None:
    body = b'{"name":"shop.add","args":[1],"name":"shop.collect","args":["a"]}'
    answer = await world.http.post(TASKS, content=body)
    assert answer.status_code == 201
    (task,) = world.store.search(TaskQuery(), 10)
    assert (task.spec.name, answer.json()["name"]) == ("shop.collect", "shop.collect")
    await world.worker()
    (lease,) = await world.claim()
    assert lease.arguments == b'{"args":["a"],"kwargs":{}}'


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "junk", ""])
async def test_the_body_is_json_whatever_its_content_type_says(world: World, kind: str) -> None:
    headers = {"Content-Type": kind}
    good = await world.http.post(TASKS, content=b'{"name":"shop.collect"}', headers=headers)
    assert good.status_code == 201
    problem(await world.http.post(TASKS, content=b"name=shop.collect", headers=headers), 400)


async def test_nul_in_texts_is_refused_or_kept_exactly(world: World) -> None:
    for field, value in (("tags", ["a\0b"]), ("idempotency_key", "a\0b")):
        answer = await world.http.post(TASKS, json={"name": "shop.collect", field: value})
        if answer.status_code == 201:
            assert answer.json()[field] == value
        else:
            problem(answer, 422)


async def test_a_thousand_at_once_with_one_key_are_one_task(world: World) -> None:
    body = {"name": "shop.collect", "idempotency_key": "order-7"}
    answers = await asyncio.gather(*(world.http.post(TASKS, json=body) for _ in range(1_000)))
    assert {answer.json()["task_id"] for answer in answers} == {answers[0].json()["task_id"]}
    assert sorted(answer.status_code for answer in answers) == [200] * 999 + [201]
    assert world.accepted() == 1


class TestSecrets:
    """Arguments, results and keys are for those who ask for the task, and in no log or metric."""

    @pytest.fixture(params=["json", "console"])
    def logs(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[StringIO]:
        """What is logged by a process that is set up as every process of the queue is."""
        said = StringIO()
        monkeypatch.setattr(sys, "stderr", said)
        configure_logs("DEBUG", request.param)
        yield said
        structlog.reset_defaults()

    async def test_of_tasks(self, world: World, logs: StringIO) -> None:
        await world.worker()
        given: dict[str, Any] = {"args": [SECRET], "kwargs": {"token": SECRET}}
        task_id = await world.submit(**given)
        await world.complete(task_id, f'"{SECRET}"'.encode())
        shown = [
            "/metrics", "/api/v1/queues", "/api/v1/workers", TASKS, f"{TASKS}/{task_id}",
            f"{TASKS}/{task_id}/events", "/api/v1/task-types", "/api/v1/dashboard/stats",
            f"/api/v1/search/tasks?q={task_id}", "/health", "/api/v1/metrics/workers/w1",
        ]  # fmt: skip
        for path in shown:
            answer = await world.http.get(path)
            assert (answer.status_code, SECRET in answer.text) == (200, False), path
        assert SECRET in (await world.http.get(f"{TASKS}/{task_id}/result")).text
        assert SECRET not in logs.getvalue()

    async def test_of_refused_tasks(self, world: World, logs: StringIO) -> None:
        for body in (
            {"name": "shop.add", "args": [SECRET, SECRET]},
            {"name": "shop.thumbnail", "kwargs": {"path": "a", "size": SECRET}},
            {"name": "shop.thumbnail", "args": [SECRET, 1, SECRET]},
        ):
            answer = await world.http.post(TASKS, json=body)
            assert answer.status_code in (201, 422)
            assert SECRET not in answer.text
        assert SECRET not in logs.getvalue()

    async def test_of_a_request_that_the_api_breaks_on(
        self, make_world: MakeWorld, logs: StringIO
    ) -> None:
        class Buggy(Between):
            async def submit(self, specs: list[Any], repeated: bool = False) -> None:
                raise RuntimeError("a bug")

        key = {"name": "ci", "sha256": sha256(SECRET.encode()).hexdigest()}
        world = await make_world(scheduler=Buggy, http={"api_keys": [key]})
        answer = await world.http.post(
            TASKS,
            json={"name": "shop.collect", "args": [SECRET]},
            headers={"Authorization": f"Bearer {SECRET}"},
        )
        assert SECRET not in problem(answer, 500)
        assert "a bug" in logs.getvalue()
        assert SECRET not in logs.getvalue()

    async def test_of_a_wrong_key(self, make_world: MakeWorld, logs: StringIO) -> None:
        key = {"name": "ci", "sha256": sha256(b"other").hexdigest()}
        world = await make_world(http={"api_keys": [key]})
        headers = {"Authorization": f"Bearer {SECRET}"}
        answer = await world.http.get(TASKS, headers=headers)
        assert SECRET not in problem(answer, 401) + str(answer.headers)
        metrics = await world.http.get("/metrics")
        assert SECRET not in metrics.text + logs.getvalue()
