"""Following the endings of tasks: server-sent events, resumed where they broke off.

The server ends each answer after at most 30 seconds, so a stream is many requests; each starts
after the last event that was seen. Sans-IO: it is fed lines and told when a request ended.
"""

from msgspec import Struct

from task_queue.client.http import Exchange, HttpFailure, HttpRequest, HttpResponse, backoff_seconds
from task_queue.clock import Clock

#: Longer than the server holds an answer, and than its keep-alive comments are apart.
_READ_SECONDS = 40.0
_QUICK_SECONDS = 1.0


class TaskEvent(Struct):
    """A task ended: it COMPLETED, FAILED, EXPIRED or was CANCELLED."""

    task_id: str
    name: str
    queue: str
    status: str
    at: str
    cursor: str = ""  #: give it as `last_event_id` to go on after this event


class EventStream:
    """One reader's place in the stream."""

    def __init__(
        self, exchange: Exchange, clock: Clock, retry_seconds: float, last_event_id: str | None
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._retry_seconds = retry_seconds
        self._last_event_id = last_event_id
        self._fields: dict[str, str] = {}
        self._failures = 0
        self._failing_since: float | None = None
        self._asked_at = 0.0

    def request(self) -> HttpRequest:
        """The next request to open and to read line by line."""
        self._fields = {}  # an event that was cut off is sent again
        self._asked_at = self._clock.monotonic()
        headers = {"Accept": "text/event-stream"}
        if self._last_event_id is not None:
            headers["Last-Event-ID"] = self._last_event_id
        return HttpRequest(
            method="GET",
            path="/api/v1/events",
            headers=headers,
            repeatable=True,
            wait_seconds=_READ_SECONDS,
        )

    def feed(self, line: str) -> TaskEvent | None:
        """Take one line; an event if the line completes one."""
        self._failing_since, self._failures = None, 0
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if name == "data" and "data" in self._fields:
                value = f"{self._fields['data']}\n{value}"
            self._fields[name] = value  # a comment has the name "", which nobody reads
            return None
        fields, self._fields = self._fields, {}
        self._last_event_id = fields.get("id", self._last_event_id)
        if fields.get("event") != "task" or "data" not in fields:
            return None
        event = self._exchange.decode(fields["data"].encode(), TaskEvent)
        event.cursor = self._last_event_id or ""
        return event

    def ended(self) -> float:
        """The answer came to its end: seconds to wait before the next request."""
        quick = self._clock.monotonic() - self._asked_at < _QUICK_SECONDS
        return _QUICK_SECONDS if quick else 0.0  # never a tight loop, whatever the server does

    def failed(self, request: HttpRequest, reply: HttpResponse | HttpFailure) -> float:
        """There was no answer, or not a good one: seconds to wait before the next request.

        Raises:
            RequestRefused, QueueUnreachable: asking again is of no use, or was for too long.
        """
        now = self._clock.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        pause = backoff_seconds(self._failures, reply)
        self._failures += 1
        hopeless = isinstance(reply, HttpResponse) and reply.status not in (429, 502, 503, 504)
        if hopeless or now + pause > self._failing_since + self._retry_seconds:
            self._exchange.refuse(request, reply)
        return pause
