"""What ends, as it ends: server-sent events, resumable by Last-Event-ID.

The store is asked for what ended after the last event, four times a second while somebody listens.
The id of an event is its place in the order of endings, so any replica can go on where another
stopped, and nothing is missed in between. An answer lasts half a minute at most; a client that
wants more comes again.
"""

import math
from collections.abc import AsyncIterator, Iterable
from functools import partial
from http import HTTPStatus

import msgspec
from fastapi import Request, Response
from msgspec import Struct
from starlette.responses import StreamingResponse

from monitoring.logs import get_logger
from serve_app.api_context import ApiContext
from serve_app.decoding import decode_query
from serve_app.operation import Operation
from serve_app.problems import ApiProblem
from serve_app.task_filters import Text
from task_queue.clock import to_rfc3339
from task_queue.core.task import Task
from task_queue.store.protocol import Cursor, Reader, StoreError

_LONGEST_SECONDS = 30.0
_POLL_SECONDS = 0.25
_HEARTBEAT_SECONDS = 10.0
_MOST_AT_ONCE = 500

_log = get_logger("api")


class EventsQuery(Struct, forbid_unknown_fields=True):
    """Query parameters of the stream."""

    queue: Text | None = None
    name: Text | None = None


class TaskEnded(Struct):
    """The data of an event."""

    task_id: str
    name: str
    queue: str
    status: str
    at: str


class EventRoutes:
    """The handler of the stream."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        yield Operation(
            method="GET", path="/api/v1/events", handler=self.stream_events, tag="events",
            summary="Tasks that end, as server-sent events; resumable by Last-Event-ID",
            query=EventsQuery, media_type="text/event-stream", answer_example=_EXAMPLE,
            problems=(422, 503),
        )  # fmt: skip

    async def stream_events(self, request: Request) -> Response:
        query = decode_query(request, EventsQuery)
        given = request.headers.get("last-event-id", "")
        cursor = (
            _cursor(given)
            if given
            else await self._context.readers.point(lambda reader: reader.last_ended())
        )
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            self._events(cursor, query), headers=headers, media_type="text/event-stream"
        )

    async def _events(self, cursor: Cursor, query: EventsQuery) -> AsyncIterator[bytes]:
        clock, sleep = self._context.clock, self._context.sleep
        begun = said = clock.monotonic()
        yield _place(cursor, "retry: 1000\n")  # whoever resumes has a place from the first moment
        while clock.monotonic() - begun < _LONGEST_SECONDS:
            try:
                tasks = await self._context.readers.point(partial(_ended_after, cursor))
            except StoreError as error:
                _log.warning("event_stream_ended", reason=str(error))
                return  # the client comes again, from its last event
            for task in tasks:
                assert task.finished_at is not None  # it ended
                cursor = (task.finished_at, task.seq)
                if query.queue in (None, task.spec.queue) and query.name in (None, task.spec.name):
                    said = clock.monotonic()
                    yield _event(task, cursor)
            if clock.monotonic() - said >= _HEARTBEAT_SECONDS:
                said = clock.monotonic()
                yield _place(cursor, ": heartbeat\n")
            await sleep(0.0 if len(tasks) == _MOST_AT_ONCE else _POLL_SECONDS)


def _ended_after(cursor: Cursor, reader: Reader) -> list[Task]:
    return reader.ended_after(cursor, _MOST_AT_ONCE)


def _event(task: Task, cursor: Cursor) -> bytes:
    spec, at = task.spec, to_rfc3339(cursor[0])
    data = msgspec.json.encode(TaskEnded(spec.id, spec.name, spec.queue, task.status.value, at))
    return b"event: task\nid: " + _word(cursor) + b"\ndata: " + data + b"\n\n"


def _place(cursor: Cursor, before: str) -> bytes:
    """No event, but the place in the stream, which goes on past events that are filtered out."""
    return before.encode() + b"id: " + _word(cursor) + b"\n\n"


def _word(cursor: Cursor) -> bytes:
    return f"{cursor[0]!r}-{cursor[1]}".encode()


def _cursor(word: str) -> Cursor:
    """The place that a Last-Event-ID names.

    Raises:
        ApiProblem: 422, it is none of ours.
    """
    at, _, seq = word.rpartition("-")
    try:
        cursor = (float(at), int(seq))
    except ValueError:
        cursor = (math.nan, 0)
    if not math.isfinite(cursor[0]) or not 0 <= cursor[1] < 2**63:
        raise ApiProblem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "header Last-Event-ID: send the id of the last event unchanged, or leave it out to "
            "begin now",
        )
    return cursor


_EXAMPLE = (
    'event: task\nid: 1769349600.25-42\ndata: {"task_id":"019b2c3d-4e5f-7a6b-8c9d-0e1f2a3b4c5d",'
    '"name":"image_job.thumbnail","queue":"images","status":"COMPLETED",'
    '"at":"2026-01-25T14:00:00.250Z"}\n\n'
)
