"""Which tasks to list: from query parameters, or a filter in a body, to a question to the store."""

from http import HTTPStatus
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType, field

from serve_app.instants import instant
from serve_app.nearest import hint, shown
from serve_app.page_cursor import seq_of
from serve_app.problems import ApiProblem
from task_queue.core.status import Status
from task_queue.store.query import TaskQuery
from task_queue.wire import TaskFilter

_BLOCKED = "BLOCKED"  #: a status of the contract that no task has yet
_KNOWN = (*(status.value for status in Status), _BLOCKED)

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Limit = Annotated[int, Meta(ge=1, le=1000)]


class ListQuery(Struct, forbid_unknown_fields=True, kw_only=True):
    """Query parameters of a list of tasks."""

    status: list[Text] = []
    queue: Text | None = None
    name: Text | None = None
    in_dlq: bool | UnsetType = UNSET
    limit: Limit = 50
    cursor: Text | None = None


class SearchQuery(ListQuery, forbid_unknown_fields=True, kw_only=True):
    """Query parameters of a search."""

    q: Text | None = None
    worker_id: Text | None = None
    tag: Text | None = None
    error: Text | None = None
    submitted_from: Text | None = field(name="from", default=None)
    submitted_to: Text | None = field(name="to", default=None)


def list_question(query: ListQuery) -> TaskQuery | None:
    """The question to the store; None if nothing can match.

    Raises:
        ApiProblem: 422, a value is not what it should be.
    """
    statuses = _statuses(query.status, "query parameter status")
    if statuses is None:
        return None
    found = TaskQuery(
        statuses=statuses,
        queue=query.queue,
        name=query.name,
        in_dlq=None if query.in_dlq is UNSET else query.in_dlq,
        before_seq=None if query.cursor is None else seq_of(query.cursor),
    )
    return _searched(query, found) if isinstance(query, SearchQuery) else found


def dlq_question(wanted: TaskFilter) -> TaskQuery:
    """The question for dead letters that match.

    Raises:
        ApiProblem: 422, a value is not what it should be, or excludes every dead letter.
    """
    given = [] if wanted.status is None else [part.strip() for part in wanted.status.split(",")]
    statuses = _statuses(given, "filter.status")
    if wanted.in_dlq is False:
        raise _refuse("filter.in_dlq: dead letters are in the queue: give true, or leave it out")
    if statuses is None or (statuses and Status.FAILED not in statuses):
        raise _refuse("filter.status: every dead letter is FAILED: leave it out")
    return TaskQuery(
        queue=wanted.queue,
        name=wanted.name,
        in_dlq=True,
        worker_id=wanted.worker_id,
        tag=wanted.tag,
        error=wanted.error,
        text=wanted.q,
        submitted_from=_time("filter.submitted_from", wanted.submitted_from),
        submitted_to=_time("filter.submitted_to", wanted.submitted_to),
    )


def _searched(query: SearchQuery, found: TaskQuery) -> TaskQuery:
    return TaskQuery(
        statuses=found.statuses,
        queue=found.queue,
        name=found.name,
        in_dlq=found.in_dlq,
        before_seq=found.before_seq,
        worker_id=query.worker_id,
        tag=query.tag,
        error=query.error,
        text=query.q,
        submitted_from=_time("query parameter from", query.submitted_from),
        submitted_to=_time("query parameter to", query.submitted_to),
    )


def _statuses(words: list[str], where: str) -> tuple[Status, ...] | None:
    """The statuses that the words name; empty: any; None: only such as no task has."""
    named: list[Status] = []
    for word in words:
        upper = word.upper()
        if upper not in _KNOWN:
            raise _refuse(f"{where}: {shown(word)} is none; {hint(word, _KNOWN, 'statuses')}")
        if upper != _BLOCKED:
            named.append(Status(upper))
    return None if words and not named else tuple(dict.fromkeys(named))


def _time(where: str, text: str | None) -> float | None:
    try:
        # A plus sign that was not escaped in a query string arrives as a space.
        return None if text is None else instant(text.replace(" ", "+"))
    except ValueError as error:
        raise _refuse(f"{where}: {error}") from None


def _refuse(detail: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
