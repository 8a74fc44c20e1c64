"""Submitting: arguments to JSON, options, times, batches."""

import gc
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from task_queue import errors
from task_queue.client.client import Client
from task_queue.client.submission import MAX_BATCH_BYTES, submit_request
from task_queue.wire import SubmitRequest
from tests.client.example_tasks import add, thumbnail
from tests.client.fake_api import FakeApi, problem


def test_a_function_is_submitted_by_its_name_with_its_arguments(
    api: FakeApi, client: Client
) -> None:
    handle = client.submit(thumbnail, "cat.png", size=64)
    assert api.bodies == [{"name": "images.thumbnail", "args": ["cat.png"], "kwargs": {"size": 64}}]
    assert repr(handle) == f"<TaskHandle images.thumbnail {handle.task_id}>"


def test_options_come_with_the_call_or_with_the_function(api: FakeApi, client: Client) -> None:
    chosen = thumbnail.options(priority=8, tags=["a"])
    client.submit(chosen, "cat.png")
    client.submit("images.thumbnail", "cat.png", priority=3, queue="other", delay_seconds=5)
    assert api.bodies[0]["priority"] == 8 and api.bodies[0]["tags"] == ["a"]
    assert api.bodies[1]["priority"] == 3 and api.bodies[1]["queue"] == "other"
    assert api.bodies[1]["delay_seconds"] == 5 and "kwargs" not in api.bodies[1]


def test_the_call_wins_over_the_function(api: FakeApi, client: Client) -> None:
    loosely: Any = client  # options() is the typed way; a type checker refuses this one
    loosely.submit(thumbnail.options(priority=8), "cat.png", priority=1)
    assert api.bodies[0]["priority"] == 1


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 25, 14, tzinfo=UTC), "2026-01-25T14:00:00.000Z"),
        (
            datetime(2026, 1, 25, 16, tzinfo=timezone(timedelta(hours=2))),
            "2026-01-25T14:00:00.000Z",
        ),
        ("2026-01-25T14:00:00+02:00", "2026-01-25T14:00:00+02:00"),
    ],
)
def test_times(api: FakeApi, client: Client, moment: datetime | str, text: str) -> None:
    client.submit("a.task", run_at=moment, expires_at=moment)
    assert api.bodies[0]["run_at"] == api.bodies[0]["expires_at"] == text


@pytest.mark.parametrize("moment", [datetime(2026, 1, 25), "2026-01-25T14:00:00", "tomorrow", 5.0])
def test_a_time_without_a_zone_is_refused_by_name(
    api: FakeApi, client: Client, moment: datetime | str
) -> None:
    with pytest.raises(ValueError, match=r"expires_at=.*(such as 2026-01-25T14:00:00Z|UTC)"):
        client.submit("a.task", expires_at=moment)
    assert api.requests == []


@pytest.mark.parametrize("seconds", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("option", ["delay_seconds", "timeout_seconds"])
def test_seconds_that_json_would_lose_are_refused(
    api: FakeApi, client: Client, option: str, seconds: float
) -> None:
    complaint = f"{option}={seconds} is not a finite number"
    given: dict[str, Any] = {option: seconds}
    for submit in (
        lambda: client.submit(add.options(**given), 1, 2),
        lambda: client.submit("math.add", 1, 2, **given),
        lambda: client.submit_many(add.options(**given), [(1, 2)]),
        lambda: client.map(add.options(**given), [1], [2]),
        lambda: client.submit_many([SubmitRequest("math.add", **given)]),
        lambda: submit_request("math.add", 1, 2, **given),
        lambda: client.save_schedule(SubmitRequest("math.add", **given), interval_seconds=60),
    ):
        with pytest.raises(ValueError, match=complaint):
            submit()
    assert api.requests == []


def test_an_interval_that_json_would_lose_is_refused(api: FakeApi, client: Client) -> None:
    with pytest.raises(ValueError, match="interval_seconds=inf is not a finite number"):
        client.save_schedule("a.task", interval_seconds=math.inf)
    assert api.requests == []


@pytest.mark.parametrize("name", ["timeout_seconds", "retry_seconds"])
def test_a_client_has_times_that_clocks_reach(name: str) -> None:
    settings: dict[str, Any] = {name: math.nan}
    with pytest.raises(errors.ConfigError, match=f"{name}=nan"):
        Client("http://q", **settings)


def test_a_time_out_is_a_number(api: FakeApi, client: Client) -> None:
    api.runs = None
    with pytest.raises(ValueError, match="timeout=nan: give seconds"):
        client.submit("a.task").result(timeout=math.nan)


def test_an_argument_without_json_is_named(client: Client) -> None:
    with pytest.raises(errors.NotJsonError, match="argument 'size'"):
        client.submit("images.thumbnail", "cat.png", size=float("nan"))
    with pytest.raises(errors.NotJsonError, match="argument 'right'"):
        client.submit(add, 1, {2})  # type: ignore[call-overload]
    with pytest.raises(errors.NotJsonError, match="argument 2"):
        client.submit("math.add", 1, {2})


@pytest.mark.parametrize("value", ["a\ud800", ["\ud800"], {"\ud800": 1}])
def test_a_lone_surrogate_is_named(client: Client, value: Any) -> None:
    with pytest.raises(errors.NotJsonError, match=r"argument 'path' has a lone surrogate.*base64"):
        client.submit(thumbnail, path=value)


@pytest.mark.parametrize("options", [{"queue": "\ud800"}, {"tags": ["\ud800"]}, {"\ud800": 1}])
def test_a_lone_surrogate_beside_the_arguments_is_told(
    client: Client, options: dict[str, Any]
) -> None:
    with pytest.raises(errors.NotJsonError, match=r"lone surrogate in the text '\\ud800'"):
        client.submit("a.task", **options)


def test_an_argument_that_contains_itself_or_is_too_deep_is_named(client: Client) -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    for value in (cyclic, deep, {"a": cyclic}):
        with pytest.raises(errors.NotJsonError, match="argument 'size' is nested too deeply"):
            client.submit("images.thumbnail", "cat.png", size=value)


def test_a_plain_function_is_not_a_task(client: Client) -> None:
    with pytest.raises(TypeError, match="@task"):
        client.submit(len, "abc")  # type: ignore[call-overload]


def test_many_go_in_batches_of_a_thousand_in_order(api: FakeApi, client: Client) -> None:
    handles = client.submit_many("math.add", ((i, 1) for i in range(2_500)))
    assert [len(body["tasks"]) for body in api.bodies] == [1000, 1000, 500]
    assert set(api.paths()) == {"POST /api/v1/tasks/batch"}
    assert [handle.task_id for handle in handles] == list(api.tasks)
    assert client.gather(handles)[2_499] == [2_499, 1]


def test_many_carry_the_options_of_their_function(api: FakeApi, client: Client) -> None:
    chosen = thumbnail.options(priority=8, tags=["a"], timeout_seconds=3, queue="images")
    moment = datetime(2026, 1, 25, 14, tzinfo=UTC)
    client.submit_many(chosen.options(run_at=moment), [("cat.png",), ("dog.png", 64), ()])
    shared = {
        "name": "images.thumbnail", "priority": 8, "tags": ["a"], "timeout_seconds": 3,
        "queue": "images", "run_at": "2026-01-25T14:00:00.000Z",
    }  # fmt: skip
    assert api.bodies[0]["tasks"] == [
        {**shared, "args": ["cat.png"]}, {**shared, "args": ["dog.png", 64]}, shared,
    ]  # fmt: skip


def test_thousands_of_handles_give_the_garbage_collector_nothing_to_look_at(
    api: FakeApi, client: Client
) -> None:
    handles = client.submit_many("math.add", [(i, 1) for i in range(10)])
    assert not any(gc.is_tracked(handle) for handle in handles)
    assert not gc.is_tracked(submit_request("math.add", 1, 2))


def test_large_arguments_make_smaller_batches(api: FakeApi, client: Client) -> None:
    text = "x" * (MAX_BATCH_BYTES // 3)
    client.submit_many([submit_request("a.task", text) for _ in range(5)])
    assert [len(body["tasks"]) for body in api.bodies] == [2, 2, 1]


def test_a_task_larger_than_a_batch_travels_alone(api: FakeApi, client: Client) -> None:
    sizes = (1, MAX_BATCH_BYTES + 1, 1)
    client.submit_many([submit_request("a.task", "x" * size) for size in sizes])
    assert [len(body["tasks"]) for body in api.bodies] == [1, 1, 1]


def test_nothing_is_sent_if_one_argument_has_no_json(api: FakeApi, client: Client) -> None:
    with pytest.raises(errors.NotJsonError):
        client.submit_many("a.task", [*[(1,)] * 1_500, ({2},)])
    assert api.requests == []


def test_no_tasks_are_no_request(api: FakeApi, client: Client) -> None:
    assert client.submit_many(add, []) == []
    assert client.map(add, [], []) == []
    assert api.requests == []


def test_a_later_batch_that_fails_tells_what_was_accepted(api: FakeApi) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return api(request) if not api.requests else problem(422, "no such task")

    with (
        Client("http://q", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(errors.InvalidRequest) as caught,
    ):
        client.submit_many("a.task", [(i,) for i in range(1_500)])
    (note,) = caught.value.__notes__
    assert "first 1,000 tasks" in note and "task-00000" in note and "task-00999" in note


def test_batches_are_repeated_only_if_every_task_has_a_key(api: FakeApi, client: Client) -> None:
    keyed = [submit_request("a.task", i, idempotency_key=f"k{i}") for i in range(3)]
    api.breaks_after = httpx.ReadError("reset")
    client.submit_many(keyed)
    assert len(api.requests) == 2 and len(api.tasks) == 3

    api.breaks_after = httpx.ReadError("reset")
    with pytest.raises(errors.QueueUnreachable, match="not known"):
        client.submit_many([*keyed, submit_request("a.task")])
    assert len(api.requests) == 3


def test_one_key_for_many_tasks_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        client.submit_many(add.options(idempotency_key="k"), [(1, 2), (3, 4)])


def test_arguments_that_are_not_tuples_are_refused(client: Client) -> None:
    with pytest.raises(TypeError, match="item 1 is a str"):
        client.submit_many("a.task", [("a",), "b"])  # type: ignore[list-item]
