"""Server-sent events: what is an event, and going on where a stream broke off."""

from collections.abc import Iterator
from itertools import islice

import httpx
import pytest

from task_queue import errors
from task_queue.client.client import Client
from task_queue.client.event_stream import TaskEvent
from task_queue.testing import FakeClock
from tests.client.fake_api import NOW, FakeApi, problem


def lines(*numbers: int) -> str:
    return "".join(
        f'id: {n}\nevent: task\ndata: {{"task_id":"t{n}","name":"a.task","queue":"q",'
        f'"status":"QUEUED","at":"{NOW}"}}\n\n'
        for n in numbers
    )


def stream(text: str) -> httpx.Response:
    return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})


class BreaksOff(httpx.SyncByteStream):
    """An answer whose connection breaks after some text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[bytes]:
        yield self._text.encode()
        raise httpx.ReadError("reset")


def test_events_are_read_and_comments_are_not(api: FakeApi, client: Client) -> None:
    hello = "event: hello\ndata: x\n\n"
    api.troubles = [stream(": keep-alive\n\nretry: 500\n\n" + hello + lines(1, 2))]
    first, second = islice(client.stream_events(), 2)
    assert first == TaskEvent("t1", "a.task", "q", "QUEUED", NOW, cursor="1")
    assert second.cursor == "2"
    assert "last-event-id" not in api.requests[0].headers
    assert api.requests[0].headers["accept"] == "text/event-stream"


def test_it_goes_on_after_the_last_event(api: FakeApi, client: Client) -> None:
    cut = lines(3)[:-1]  # the empty line that ends the event is missing
    api.troubles = [
        stream(lines(1)),
        httpx.Response(200, stream=BreaksOff(lines(2) + cut)),
        problem(503, "starting"),
        stream(lines(3)),
    ]
    seen = [event.cursor for event in islice(client.stream_events("0"), 3)]
    assert seen == ["1", "2", "3"]
    sent = [request.headers["last-event-id"] for request in api.requests]
    assert sent == ["0", "1", "2", "2"]


def test_a_server_that_ends_at_once_is_not_asked_in_a_tight_loop(
    api: FakeApi, client: Client, clock: FakeClock
) -> None:
    start = clock.now()
    api.troubles = [stream(""), stream(""), stream(lines(1))]
    next(client.stream_events())
    assert clock.now() - start == 2.0


def test_a_refusal_ends_it(api: FakeApi, client: Client) -> None:
    api.troubles = [problem(401, "no key")]
    with pytest.raises(errors.NotAuthorized, match="no key"):
        next(client.stream_events())


def test_a_queue_that_stays_away_ends_it(api: FakeApi, client: Client, clock: FakeClock) -> None:
    start = clock.now()
    api.troubles = [stream(lines(1)), *[httpx.ConnectError("refused")] * 1_000]
    events = client.stream_events()
    next(events)
    with pytest.raises(errors.QueueUnreachable):
        next(events)
    assert 20 < clock.now() - start < 35
