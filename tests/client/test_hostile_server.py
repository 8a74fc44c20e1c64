"""Whatever a server answers and a caller gives: a value, or one of the documented errors."""

from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from task_queue import errors
from task_queue.client.client import Client
from task_queue.testing import FakeClock
from task_queue.wire import SubmitRequest
from tests.client.conftest import URL
from tests.client.fake_api import FakeApi

DEEP = b"[" * 100_000 + b"]" * 100_000
#: What a caller may do, and what takes any shape of answer apart.
CALLS: dict[str, Callable[[Client], Any]] = {
    "submit": lambda client: client.submit("a.task", 1),
    "submit_many": lambda client: client.submit_many([SubmitRequest("a"), SubmitRequest("b")]),
    "run": lambda client: client.run("a.task"),
    "task": lambda client: client.task("t"),
    "result": lambda client: client.result("t", timeout=1),
    "logs": lambda client: client.logs("t"),
    "cancel": lambda client: client.cancel("t"),
    "list": lambda client: list(client.list_tasks()),
    "queues": lambda client: client.queues(),
    "workers": lambda client: client.workers(),
    "health": lambda client: client.health(),
}


def answered(answer: httpx.Response) -> Client:
    """A client of a server that gives this answer to everything."""
    clock = FakeClock()

    def answer_again(_request: httpx.Request) -> httpx.Response:
        clock.advance(0.01)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    transport = httpx.MockTransport(answer_again)
    return Client(URL, transport=transport, clock=clock, sleep=clock.advance, retry_seconds=1)


def result_of(result: bytes, task_id: str = "t", status: str = "COMPLETED") -> httpx.Response:
    head = f'{{"results":[{{"task_id":"{task_id}","status":"{status}","result":'.encode()
    return httpx.Response(200, content=head + result + b'}],"pending":[]}')


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("status", [200, 201, 404, 503])
@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"{}", b"[]", b"\xff\xfe", b'{"task_id":"\xff"}', b'{"x":' + DEEP + b"}",
        DEEP, b"[" * 100_000, b'{"detail":' + DEEP + b"}", b"id: x\nevent: task\ndata: {\n\n",
        b"id: x\nevent: task\ndata: " + DEEP + b"\n\n", b"1e999", b'{"tasks":[],"next_cursor":1}',
    ],
    ids=range(14),
)  # fmt: skip
def test_answers_of_no_task_queue(call: Callable[[Client], Any], status: int, body: bytes) -> None:
    with answered(httpx.Response(status, content=body)) as client:
        with pytest.raises(errors.TaskQueueError) as caught:
            call(client)
        assert len(str(caught.value)) < 1_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["task_id", "status", "results", "pending", "result", "error", "tasks", "task_ids",
             "queues", "workers", "next_cursor", "logs", "detail", "title", "type", "message"]
        ),
        inner, max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(sorted(CALLS)),
    st.sampled_from([200, 201, 204, 302, 400, 409, 410, 429, 500, 502, 503, 599]),
    st.binary(max_size=40) | json_values.map(msgspec.json.encode),
    st.dictionaries(
        st.sampled_from(["retry-after", "content-type", "location", "etag"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
        | st.sampled_from(["9" * 400, "-1", "nan", "text/event-stream", "text/html; charset=x"]),
        max_size=2,
    ),
)
def test_any_answer(call: str, status: int, body: bytes, headers: dict[str, str]) -> None:
    with answered(httpx.Response(status, content=body, headers=headers)) as client:
        try:
            CALLS[call](client)
        except (errors.TaskQueueError, TimeoutError) as error:
            assert str(error)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_an_answer_that_cannot_be_unpacked(call: Callable[[Client], Any]) -> None:
    def junk(_request: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(b"junk")
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream)

    clock = FakeClock()
    transport = httpx.MockTransport(junk)
    with (
        Client(URL, transport=transport, clock=clock, sleep=clock.advance) as client,
        pytest.raises(errors.QueueUnreachable, match="did not answer"),
    ):
        call(client)


@pytest.mark.parametrize(
    "result", [b"\xff", b'"\xed\xa0\x80"', b'"\\ud800"', b"1e999", DEEP, b"nul"]
)
def test_a_result_that_is_no_json(result: bytes) -> None:
    with answered(result_of(result)) as client, pytest.raises(errors.QueueUnreachable):
        client.result("t")


@pytest.mark.parametrize("data", [b"{}", b"\xff", DEEP, b"1e999"])
def test_an_event_that_is_none(data: bytes) -> None:
    content = b"id: x\nevent: task\ndata: " + data + b"\n\n"
    with (
        answered(httpx.Response(200, content=content)) as client,
        pytest.raises(errors.QueueUnreachable, match="not as a task queue"),
    ):
        next(client.stream_events())


def test_a_result_of_another_task_is_not_taken_for_it() -> None:
    with (
        answered(result_of(b"1", task_id="u")) as client,
        pytest.raises(errors.QueueUnreachable, match="results of other tasks"),
    ):
        client.result("t")


def test_a_task_that_is_not_over_has_no_result() -> None:
    with (
        answered(result_of(b"1", status="RUNNING")) as client,
        pytest.raises(errors.QueueUnreachable, match="not over"),
    ):
        client.result("t")


@pytest.mark.parametrize("given_back", [[], ["a"], ["a", "b", "c"]])
def test_a_batch_that_gets_other_than_an_id_for_each_task(given_back: list[str]) -> None:
    with (
        answered(httpx.Response(201, json={"task_ids": given_back})) as client,
        pytest.raises(errors.QueueUnreachable, match=f"{len(given_back)} ids for 2 tasks"),
    ):
        client.submit_many([SubmitRequest("a"), SubmitRequest("b")])


def test_a_server_that_does_not_wait_is_not_asked_in_a_tight_loop(
    api: FakeApi, client: Client, clock: FakeClock
) -> None:
    api.runs = None
    handle = client.submit("a.task")
    api.while_waiting = lambda _seconds: None
    with pytest.raises(TimeoutError):
        handle.result(timeout=10)
    assert len(api.requests) < 120


@pytest.mark.parametrize(
    "url",
    ["http://[", "http://a:b", "http://a\nb", "http://\ud800", "http://a/\0", "http://xn--",
     "http://" + "a" * 300, "http://a?b=c", "http://a#b", "//a", "http:///x"],
)  # fmt: skip
def test_urls_that_no_path_can_follow(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="TASK_QUEUE_URL") as caught:
        Client(url)
    str(caught.value).encode()  # can be printed


@pytest.mark.parametrize("key", ["marker\n", "mark\0er", "märker", "marker\ud800", "\nmarker"])
def test_keys_that_no_header_can_carry(key: str) -> None:
    """Nor is the key told: what the HTTP library would say of it has the whole header."""
    with pytest.raises(errors.ConfigError, match="TASK_QUEUE_API_KEY") as caught:
        Client(URL, key)
    assert key not in str(caught.value)
    assert "marker" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://user:marker@queue", "http://marker@queue", "user:marker@q"]
)
def test_a_password_in_the_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="TASK_QUEUE_API_KEY") as caught:
        Client(url)
    assert "marker" not in str(caught.value)


@pytest.mark.parametrize("name", ["\ud800", "x" * 100_000])
def test_ids_and_names_that_no_url_can_have(client: Client, api: FakeApi, name: str) -> None:
    for call in (client.task, client.cancel, client.pause_queue):
        with pytest.raises(ValueError, match="that the queue knows"):
            call(name)
    with pytest.raises(ValueError, match="that the queue knows"):
        list(client.list_tasks(queue=name))
    assert not api.requests


options = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just(object()),
    st.binary(max_size=3), st.lists(st.text(max_size=3) | st.just(object()), max_size=3),
)  # fmt: skip
values = st.recursive(
    options | st.complex_numbers() | st.just(float("nan")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.text(max_size=5),
    st.lists(values, max_size=2),
    st.dictionaries(
        st.sampled_from(
            ["queue", "priority", "delay_seconds", "run_at", "timeout_seconds", "max_retries",
             "expires_at", "idempotency_key", "tags"]
        ),
        options, max_size=2,
    ),
    st.dictionaries(st.text(min_size=1, max_size=3), values, max_size=2),
)  # fmt: skip
def test_any_arguments(
    name: str, args: list[Any], submit_options: dict[str, Any], kwargs: dict[str, Any]
) -> None:
    """They arrive as they were given, tuples as lists, or nothing is sent."""
    sent: list[bytes] = []

    def take(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(201, json={"task_id": "t", "status": "QUEUED"})

    with Client(URL, transport=httpx.MockTransport(take)) as client:
        try:
            client.submit(name, *args, **submit_options, **kwargs)
        except (errors.NotJsonError, ValueError) as error:
            assert str(error)
            assert not sent
            return
    body = msgspec.json.decode(sent[0])
    assert body["name"] == name
    assert msgspec.json.encode(body.get("args", [])) == msgspec.json.encode(args)
    assert msgspec.json.encode(body.get("kwargs", {})) == msgspec.json.encode(kwargs)
