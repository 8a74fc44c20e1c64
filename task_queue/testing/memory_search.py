"""Which tasks a test asks for: from the client's filters to a question to the store."""

from typing import Any

from task_queue.client.endpoints import ListFilters
from task_queue.client.submission import time_text
from task_queue.clock import from_rfc3339
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.errors import InvalidRequest
from task_queue.store.memory import MemoryStore
from task_queue.store.query import TaskQuery
from task_queue.wire import TaskFilter


def memory_search(
    store: MemoryStore, q: str | None, filters: ListFilters, limit: int, cursor: str | None
) -> tuple[list[Task], str | None]:
    """One page of a list, newest first, and the cursor of the next one if there is more.

    Raises:
        InvalidRequest: there is no such status.
    """
    conditions: dict[str, Any] = {**filters}
    for name in ("submitted_from", "submitted_to"):
        if (moment := conditions.get(name)) is not None:
            conditions[name] = time_text(moment, name)
    found = store.search(_question(TaskFilter(q=q, **conditions), cursor), limit + 1)
    return found[:limit], str(found[limit - 1].seq) if len(found) > limit else None


def dead_letters(store: MemoryStore, wanted: TaskFilter, limit: int) -> list[Task]:
    """The newest dead letters that match, with their arguments, oldest first."""
    conditions = {name: getattr(wanted, name) for name in TaskFilter.__struct_fields__}
    found = store.search(_question(TaskFilter(**{**conditions, "in_dlq": True}), None), limit)
    whole = (store.get(task.spec.id) for task in reversed(found))
    return [task for task in whole if task is not None]


def _question(wanted: TaskFilter, cursor: str | None) -> TaskQuery:
    return TaskQuery(
        statuses=_statuses(wanted.status),
        queue=wanted.queue,
        name=wanted.name,
        in_dlq=wanted.in_dlq,
        worker_id=wanted.worker_id,
        tag=wanted.tag,
        error=wanted.error,
        text=wanted.q,
        submitted_from=_seconds(wanted.submitted_from),
        submitted_to=_seconds(wanted.submitted_to),
        before_seq=None if cursor is None else int(cursor),
    )


def _seconds(text: str | None) -> float | None:
    return None if text is None else from_rfc3339(text)


def _statuses(given: str | None) -> tuple[Status, ...]:
    try:
        return tuple(Status(word.strip().upper()) for word in given.split(",")) if given else ()
    except ValueError:
        known = ", ".join(Status)
        raise InvalidRequest(422, f"status: '{given}' is none: give one of {known}") from None
