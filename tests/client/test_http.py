"""Retries, errors and addresses: the rules of http.py, through a client."""

import httpx
import pytest

from task_queue import errors
from task_queue.client.client import Client
from task_queue.client.http import HttpResponse, backoff_seconds, response_of
from task_queue.testing import FakeClock
from tests.client.conftest import URL
from tests.client.fake_api import FakeApi, problem

REFUSED = httpx.ConnectError("Connection refused")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.NotAuthorized),
        (403, errors.NotAuthorized),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (410, errors.ResultGone),
        (413, errors.InvalidRequest),
        (422, errors.InvalidRequest),
        (418, errors.RequestRefused),
        (500, errors.RequestRefused),
    ],
)
def test_a_refusal_is_raised_at_once_with_the_detail(
    api: FakeApi, client: Client, status: int, kind: type[errors.RequestRefused]
) -> None:
    api.troubles = [problem(status, "do this instead")]
    with pytest.raises(errors.RequestRefused) as caught:
        client.task("t")
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.detail) == (status, "do this instead")
    assert len(api.requests) == 1


def test_a_refusal_that_is_not_from_the_queue_shows_what_came(api: FakeApi, client: Client) -> None:
    api.troubles = [httpx.Response(404, text="<h1>nginx</h1>")]
    with pytest.raises(errors.NotFound, match="nginx"):
        client.task("t")


@pytest.mark.parametrize(
    ("status", "kind"), [(429, errors.TooManyRequests), (503, errors.StoreUnavailable)]
)
def test_nothing_accepted_is_sent_again_when_the_queue_says(
    api: FakeApi, client: Client, clock: FakeClock, status: int, kind: type[errors.RequestRefused]
) -> None:
    start = clock.now()
    api.troubles = [problem(status, "busy", {"retry-after": "7"})]
    client.submit("a.task", 1)
    assert clock.now() - start == 7.0
    assert len(api.tasks) == 1

    api.troubles = [problem(status, "busy", {"retry-after": "31"})]
    with pytest.raises(kind) as caught:
        client.submit("a.task", 1)
    assert caught.value.retry_after_seconds == 31.0
    assert len(api.tasks) == 1


def test_a_refused_connection_is_tried_again_for_thirty_seconds(
    api: FakeApi, client: Client, clock: FakeClock
) -> None:
    start = clock.now()
    api.troubles = [REFUSED] * 1000
    with pytest.raises(errors.QueueUnreachable) as caught:
        client.submit("a.task")
    assert 24.0 < clock.now() - start <= 30.0  # the next pause would have been up to 5 s
    assert 8 < len(api.requests) < 20
    message = str(caught.value)
    assert URL in message and "refused" in message
    assert "python -m cluster up" in message and "TASK_QUEUE_URL" in message


def test_a_queue_that_is_still_being_started_is_waited_for(api: FakeApi, client: Client) -> None:
    said = "Path '/api/v1/tasks' not found. Ping http://.../-/routes for available routes."
    api.troubles = [httpx.Response(404, text=said)] * 3
    client.submit("a.task")
    assert len(api.tasks) == 1

    api.troubles = [httpx.Response(404, text=said)] * 1000
    with pytest.raises(errors.QueueUnreachable, match="no task queue behind it yet"):
        client.submit("a.task")


def test_a_connection_that_comes_back_is_used(api: FakeApi, client: Client) -> None:
    api.troubles = [REFUSED, httpx.ConnectTimeout("slow")]
    client.submit("a.task")
    assert len(api.tasks) == 1


def test_a_submit_that_may_have_been_accepted_is_not_repeated(api: FakeApi, client: Client) -> None:
    api.breaks_after = httpx.ReadError("connection reset")
    with pytest.raises(errors.QueueUnreachable, match=r"not known.*idempotency_key"):
        client.submit("a.task")
    assert len(api.requests) == 1
    assert "idempotency_key" not in api.bodies[0]


def test_a_submit_with_a_key_is_repeated(api: FakeApi, client: Client) -> None:
    api.breaks_after = httpx.ReadError("connection reset")
    handle = client.submit("a.task", idempotency_key="order-7")
    assert len(api.requests) == 2
    assert list(api.tasks) == [handle.task_id]


def test_reads_are_repeated(api: FakeApi, client: Client) -> None:
    task_id = client.submit("a.task").task_id
    api.troubles = [httpx.ReadTimeout("slow"), httpx.Response(502, text="bad gateway")]
    assert client.status(task_id) == "COMPLETED"
    api.troubles = [httpx.RemoteProtocolError("server went away")]
    assert client.result(task_id) == []
    api.troubles = [httpx.Response(500, text="Internal Server Error")]  # Ray Serve's proxy
    assert client.status(task_id) == "COMPLETED"


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_proxy_that_gave_up_leaves_a_submit_unknown(
    api: FakeApi, client: Client, status: int
) -> None:
    api.troubles = [httpx.Response(status, text="proxy")]
    with pytest.raises(errors.QueueUnreachable, match="not known"):
        client.submit("a.task")
    assert len(api.requests) == 1


def test_other_changes_are_not_repeated(api: FakeApi, client: Client) -> None:
    api.troubles = [httpx.ReadError("reset")]
    with pytest.raises(errors.QueueUnreachable, match="POST /api/v1/queues/images/purge"):
        client.purge_queue("images")
    assert len(api.requests) == 1


def test_something_that_is_not_a_task_queue_is_named(api: FakeApi, client: Client) -> None:
    api.troubles = [httpx.Response(200, text="<html>hello</html>")]
    with pytest.raises(errors.QueueUnreachable, match="not as a task queue"):
        client.task("t")


def test_backoff_grows_is_bounded_and_never_below_retry_after() -> None:
    waits = [backoff_seconds(attempt) for attempt in range(40)]
    assert 0.05 <= waits[0] <= 0.1
    assert all(2.5 <= wait <= 5.0 for wait in waits[6:])
    assert backoff_seconds(0, HttpResponse(503, b"", 9.0)) == 9.0
    assert backoff_seconds(0, HttpResponse(503, b"", 0.0)) > 0  # never a tight loop


def test_address_and_key_come_from_arguments_or_the_environment(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = httpx.MockTransport(api)
    monkeypatch.setenv("TASK_QUEUE_URL", "https://elsewhere.test/queue/")
    monkeypatch.setenv("TASK_QUEUE_API_KEY", "secret")
    with Client(transport=transport) as client:
        api.troubles = [httpx.Response(200, json={"queues": []})]
        client.queues()
    assert str(api.requests[0].url) == "https://elsewhere.test/queue/api/v1/queues"
    assert api.requests[0].headers["authorization"] == "Bearer secret"
    assert "secret" not in repr(client)
    with Client(URL, "other", transport=transport) as client:
        assert client.url == URL
    monkeypatch.delenv("TASK_QUEUE_URL")
    with Client(transport=transport) as client:
        assert client.url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://queue", "http://", "queue"])
def test_a_url_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="TASK_QUEUE_URL"):
        Client(url)


def test_what_a_request_waits_for_is_added_to_the_time_out(api: FakeApi, client: Client) -> None:
    task_id = client.submit("a.task").task_id
    client.result(task_id, timeout=20)
    assert api.requests[0].extensions["timeout"]["read"] == 10.0
    assert api.requests[1].extensions["timeout"]["read"] == 30.0
    assert api.requests[1].extensions["timeout"]["connect"] == 5.0


def test_names_in_paths_are_quoted(api: FakeApi, client: Client) -> None:
    api.troubles = [httpx.Response(200, json={"queue": "a/b c", "paused": True})]
    client.pause_queue("a/b c")
    assert api.requests[0].url.raw_path == b"/api/v1/queues/a%2Fb%20c/pause"


DEEP = b'{"a":' * 100_000


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"task_id":"\xff"}', DEEP, b"[" * 100_000])
@pytest.mark.parametrize("status", [200, 409])
def test_no_answer_of_a_stranger_is_more_than_an_error(
    api: FakeApi, client: Client, status: int, body: bytes
) -> None:
    api.troubles = [httpx.Response(status, content=body)]
    kind = errors.QueueUnreachable if status == 200 else errors.RequestRefused
    with pytest.raises(kind, match=r"queue\.test"):
        client.task("t")


def test_an_answer_that_cannot_be_unpacked_is_no_answer(clock: FakeClock) -> None:
    def junk(_request: httpx.Request) -> httpx.Response:
        stream = httpx.ByteStream(b"junk")
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=stream)

    transport = httpx.MockTransport(junk)
    with (
        Client(URL, transport=transport, clock=clock, sleep=clock.advance) as client,
        pytest.raises(errors.QueueUnreachable, match="did not answer"),
    ):
        client.task("t")


@pytest.mark.parametrize("url", ["http://[", "http://host:port", "http://host:99999", "ftp://host"])
def test_what_is_no_url_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"give Client\(url=\.\.\.\) or TASK_QUEUE_URL"):
        Client(url)


def test_a_wait_of_more_than_a_life_is_not_believed() -> None:
    assert response_of(503, b"", "9" * 400).retry_after_seconds is None
    assert response_of(503, b"", "30").retry_after_seconds == 30.0
