"""The HTTP API as plans: a method for each endpoint, with its path, its shapes, and whether it may
be repeated.

Both clients are made of these; nothing is sent here. The shapes are those of wire.py.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from task_queue import wire
from task_queue.client.http import Exchange, HttpRequest, HttpResponse, Plan, decoded
from task_queue.client.outcome import Outcome, OutcomesAnswer
from task_queue.client.submission import (
    check_finite,
    checked_requests,
    submit_request,
    time_text,
)
from task_queue.errors import NotJsonError
from task_queue.tasks import TaskFunction

T = TypeVar("T")

_API = "/api/v1"
_RUN_WAIT_SECONDS = 30.0  #: the server's, unless it is told otherwise


class ListFilters(TypedDict, total=False):
    """Which tasks to list: all that are given must hold."""

    status: str
    queue: str
    name: str
    in_dlq: bool


class SearchFilters(ListFilters, total=False):
    """Further conditions that a search takes."""

    worker_id: str
    tag: str
    error: str  #: part of the error's type or message
    submitted_from: datetime | str  #: aware or RFC 3339, inclusive
    submitted_to: datetime | str  #: aware or RFC 3339, exclusive


class ScheduleOptions(TypedDict, total=False):
    """When a schedule submits: exactly one of cron and interval_seconds."""

    id: str
    cron: str
    interval_seconds: float
    timezone: str
    overlap: str
    missed: str


class SubmitAnswer(Struct):
    """The part of the answer to a submit that every server gives."""

    task_id: str
    status: str


class Endpoints:
    """Plans for every endpoint. All raise RequestRefused and QueueUnreachable."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    # --- tasks

    def submit(self, request: wire.SubmitRequest) -> Plan[SubmitAnswer]:
        safe = request.idempotency_key is not None
        return self._post("/tasks", SubmitAnswer, request, repeatable=safe)

    def run(self, request: wire.SubmitRequest) -> Plan[Outcome]:
        """Submit, and how the task ended, or where it is if that takes longer than 30 s."""
        safe = request.idempotency_key is not None
        return self._post(
            "/tasks/run", Outcome, request, repeatable=safe, wait_seconds=_RUN_WAIT_SECONDS
        )

    def submit_batch(self, requests: Sequence[wire.SubmitRequest]) -> Plan[list[str]]:
        """The ids, in order. All are accepted or none."""
        safe = all(request.idempotency_key is not None for request in requests)
        batch = wire.BatchRequest(list(requests))
        answer = yield from self._post("/tasks/batch", wire.BatchAnswer, batch, repeatable=safe)
        if len(answer.task_ids) != len(requests):
            raise self._exchange.stranger(f"{len(answer.task_ids)} ids for {len(requests)} tasks")
        return answer.task_ids

    def task(self, task_id: str) -> Plan[wire.TaskView]:
        return self._get(f"/tasks/{_part(task_id)}", wire.TaskView)

    def outcomes(self, task_ids: Sequence[str], wait_seconds: float) -> Plan[OutcomesAnswer]:
        """Those that are over; held for up to `wait_seconds` (0..30) until one is."""
        question = wire.ResultsRequest(list(task_ids), wait_seconds)
        answer = yield from self._post(
            "/tasks/results", OutcomesAnswer, question, repeatable=True, wait_seconds=wait_seconds
        )
        asked = set(task_ids)
        if not all(outcome.over and outcome.task_id in asked for outcome in answer.results):
            raise self._exchange.stranger("results of other tasks, or of some that are not over")
        return answer

    def events(self, task_id: str) -> Plan[list[wire.TimelineView]]:
        return (yield from self._get(f"/tasks/{_part(task_id)}/events", wire.TimelineAnswer)).events

    def logs(self, task_id: str) -> Plan[list[wire.LogView]]:
        return (yield from self._get(f"/tasks/{_part(task_id)}/logs", wire.LogsAnswer)).logs

    def cancel(self, task_id: str) -> Plan[wire.TaskView]:
        return self._post(f"/tasks/{_part(task_id)}/cancel", wire.TaskView)

    def retry(self, task_id: str) -> Plan[wire.TaskView]:
        return self._post(f"/tasks/{_part(task_id)}/retry", wire.TaskView)

    def list_page(
        self, filters: ListFilters, limit: int, cursor: str | None
    ) -> Plan[wire.TaskPage]:
        return self._page("/tasks", dict(filters), limit, cursor)

    def search_page(
        self, q: str | None, filters: SearchFilters, limit: int, cursor: str | None
    ) -> Plan[wire.TaskPage]:
        conditions: dict[str, Any] = {"q": q, **filters}
        for name, parameter in (("submitted_from", "from"), ("submitted_to", "to")):
            if (moment := conditions.pop(name, None)) is not None:
                conditions[parameter] = time_text(moment, name)
        return self._page("/search/tasks", conditions, limit, cursor)

    # --- dead letters

    def dlq_replay(self, request: wire.DlqReplayRequest) -> Plan[wire.CountAnswer]:
        return self._post("/dlq/replay", wire.CountAnswer, request, repeatable=request.dry_run)

    def dlq_purge(self, request: wire.DlqPurgeRequest) -> Plan[wire.CountAnswer]:
        return self._post("/dlq/purge", wire.CountAnswer, request)

    # --- queues, workers, schedules, task types

    def queues(self) -> Plan[list[wire.QueueView]]:
        return (yield from self._get("/queues", wire.QueuesAnswer)).queues

    def pause_queue(self, queue: str) -> Plan[wire.QueuePausedView]:
        return self._post(f"/queues/{_part(queue)}/pause", wire.QueuePausedView)

    def resume_queue(self, queue: str) -> Plan[wire.QueuePausedView]:
        return self._post(f"/queues/{_part(queue)}/resume", wire.QueuePausedView)

    def purge_queue(self, queue: str) -> Plan[wire.CountAnswer]:
        return self._post(f"/queues/{_part(queue)}/purge", wire.CountAnswer)

    def workers(self) -> Plan[list[wire.WorkerView]]:
        return (yield from self._get("/workers", wire.WorkersAnswer)).workers

    def worker(self, worker_id: str) -> Plan[wire.WorkerView]:
        return self._get(f"/workers/{_part(worker_id)}/status", wire.WorkerView)

    def pause_worker(self, worker_id: str) -> Plan[wire.WorkerStatusView]:
        return self._post(f"/workers/{_part(worker_id)}/pause", wire.WorkerStatusView)

    def resume_worker(self, worker_id: str) -> Plan[wire.WorkerStatusView]:
        return self._post(f"/workers/{_part(worker_id)}/resume", wire.WorkerStatusView)

    def drain_worker(self, worker_id: str) -> Plan[wire.WorkerStatusView]:
        return self._post(f"/workers/{_part(worker_id)}/drain", wire.WorkerStatusView)

    def schedules(self) -> Plan[list[wire.ScheduleView]]:
        return (yield from self._get("/schedules", wire.SchedulesAnswer)).schedules

    def save_schedule(self, request: wire.ScheduleRequest) -> Plan[wire.ScheduleView]:
        return self._post("/schedules", wire.ScheduleView, request)

    def delete_schedule(self, schedule_id: str) -> Plan[None]:
        path = f"{_API}/schedules/{_part(schedule_id)}"
        yield from self._exchange.answer(HttpRequest(method="DELETE", path=path))

    def task_types(self) -> Plan[list[wire.TaskTypeView]]:
        return (yield from self._get("/task-types", wire.TaskTypesAnswer)).task_types

    # --- figures and health

    def stats(self) -> Plan[dict[str, Any]]:
        return self._get("/dashboard/stats", dict[str, Any])

    def queue_depth(self) -> Plan[dict[str, Any]]:
        return self._get("/dashboard/queue-depth", dict[str, Any])

    def trends(self, window: str | None) -> Plan[dict[str, Any]]:
        return self._get("/analytics/trends", dict[str, Any], {"window": window})

    def health(self, component: str | None) -> Plan[dict[str, Any]]:
        """Asked once: an unhealthy queue answers 503 with its report, which is the answer."""
        path = f"{_API}/health/{_part(component)}" if component else "/health"
        request = HttpRequest(method="GET", path=path, repeatable=True)
        reply = yield request
        assert reply is not None  # only a Pause has no reply
        if isinstance(reply, HttpResponse) and _is_health_report(reply):
            return self._exchange.decode(reply.body, dict[str, Any])
        self._exchange.refuse(request, reply)

    # --- how

    def _page(
        self, path: str, conditions: dict[str, Any], limit: int, cursor: str | None
    ) -> Plan[wire.TaskPage]:
        return self._get(path, wire.TaskPage, {**conditions, "limit": limit, "cursor": cursor})

    def _get(self, path: str, shape: type[T], params: dict[str, Any] | None = None) -> Plan[T]:
        given = {name: _query(v) for name, v in (params or {}).items() if v is not None}
        request = HttpRequest(method="GET", path=_API + path, params=given, repeatable=True)
        return self._exchange.decode((yield from self._exchange.answer(request)), shape)

    def _post(
        self,
        path: str,
        shape: type[T],
        body: Struct | None = None,
        *,
        repeatable: bool = False,
        wait_seconds: float = 0.0,
    ) -> Plan[T]:
        request = HttpRequest(
            method="POST",
            path=_API + path,
            body=_body(body) if body is not None else None,
            repeatable=repeatable,
            wait_seconds=wait_seconds,
        )
        return self._exchange.decode((yield from self._exchange.answer(request)), shape)


def check_filters(given: Mapping[str, object], known: type) -> None:
    """Raise TypeError for a filter that a list does not have, as a call does for an argument."""
    for name in given:
        if name not in known.__annotations__:
            filters = ", ".join(known.__annotations__)
            raise TypeError(f"'{name}' is not a filter: use {filters}")


def schedule_request(
    task: wire.SubmitRequest | TaskFunction[..., Any] | str, options: ScheduleOptions
) -> wire.ScheduleRequest:
    """A schedule for a task given as a request, a function or a name.

    Raises:
        ValueError: a number of seconds is NaN or infinite.
    """
    check_finite("interval_seconds", options.get("interval_seconds"))
    request = task if isinstance(task, wire.SubmitRequest) else submit_request(task)
    checked_requests([request])
    return wire.ScheduleRequest(request, **options)


def _body(body: Struct) -> bytes:
    """The body as JSON. Arguments are JSON already; options and names of arguments are not.

    Raises:
        NotJsonError: one of them is not Unicode text, or nothing that JSON has.
    """
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError as error:
        raise NotJsonError(
            f"the request has a lone surrogate in the text {error.object[:100]!a}, which JSON "
            "cannot carry: use .encode(errors='replace').decode()"
        ) from None
    except TypeError as error:
        raise NotJsonError(
            f"an option of the request is of a type that JSON does not have ({error}): give "
            "numbers, text and lists of text"
        ) from None


def _part(text: str) -> str:
    """Text as one segment of a path.

    Raises:
        ValueError: no path can have it.
    """
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise ValueError(
            f"{text[:100]!a} has a lone surrogate: give the id or name that the queue knows"
        ) from None


def _query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _is_health_report(reply: HttpResponse) -> bool:
    """Whether it is a report and not problem details, whose status is a number."""
    if reply.status not in (200, 503):
        return False
    try:
        report = decoded(reply.body, dict[str, Any])
    except msgspec.DecodeError:
        return False
    return isinstance(report.get("status"), str)
