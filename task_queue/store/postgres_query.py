"""A TaskQuery as SQL of PostgreSQL."""

from collections.abc import Collection
from typing import Any

from task_queue.core.status import Status
from task_queue.store.postgres_text import SEPARATOR, stored
from task_queue.store.query import TaskQuery
from task_queue.store.task_row import FIXED, MOVING

COLUMNS = ", ".join(FIXED + MOVING)

#: Each task is in one of these views; which statuses it can have there.
VIEWS: dict[str, frozenset[Status]] = {
    "settled_tasks": frozenset(Status),
    "completed_tasks": frozenset({Status.COMPLETED}),
    "waiting_tasks": frozenset({Status.QUEUED}),
    "leased_tasks": frozenset({Status.RUNNING}),
}


def select(
    statuses: Collection[Status], condition: str, *, arguments: bool = False, ending: str = ""
) -> str:
    """The statement that finds tasks, in whichever tables they are.

    Args:
        statuses: only these; empty: any. Tables that hold none of them are not looked at.
        condition: over the columns of the views; its values are needed once for each view that is
            looked at.
        arguments: whether they come before the other columns.
        ending: an order and a limit, for each view.
    """
    wanted = set(statuses) or set(Status)
    columns = f"arguments, {COLUMNS}" if arguments else COLUMNS
    return " UNION ALL ".join(
        f"(SELECT {columns} FROM {view} WHERE "
        f"{_narrowed(wanted & held) if held > wanted else ''}{condition}{ending})"
        for view, held in VIEWS.items()
        if wanted & held
    )


def _narrowed(statuses: Collection[Status]) -> str:
    """The condition on the status; beside it that of the index, to the letter, if it has them."""
    indexed = "" if Status.COMPLETED in statuses else "status <> 'COMPLETED' AND "
    words = ", ".join(f"'{status.value}'" for status in sorted(statuses))
    return f"{indexed}status IN ({words}) AND "


def where(query: TaskQuery) -> tuple[Collection[Status], str, list[Any]]:
    """The statuses of a query (empty: any), its other conditions, and their values."""
    parts: list[tuple[str, list[Any]]] = [("true", [])]
    statuses = set(query.statuses)
    if query.in_dlq:  # only what FAILED is ever in it
        statuses = statuses & {Status.FAILED} if statuses else {Status.FAILED}
        if not query.statuses or Status.FAILED in query.statuses:
            parts.append(("in_dlq", []))
        else:
            parts.append(("false", []))
    elif query.in_dlq is not None:
        parts.append(("NOT in_dlq", []))
    exact = {"queue": query.queue, "name": query.name, "worker_id": query.worker_id}
    parts += [(f"{name} = %s", [stored(text)]) for name, text in exact.items() if text is not None]
    if query.tag is not None:
        parts.append(("strpos(tags, %s) > 0", [SEPARATOR + stored(query.tag) + SEPARATOR]))
    if query.error is not None:
        parts.append(_contains("error_type || ' ' || error_message", query.error))
    if query.text is not None:
        tags = f"coalesce(translate(tags, '{SEPARATOR}', ' '), ' ')"
        error = "coalesce(error_type || ' ' || error_message, '')"
        parts.append(_contains(f"id || ' ' || name || {tags} || {error}", query.text))
    bounds = {
        "submitted_at >= %s": query.submitted_from,
        "submitted_at < %s": query.submitted_to,
        "seq >= %s": query.from_seq,
        "seq < %s": query.before_seq,
    }
    parts += [(text, [value]) for text, value in bounds.items() if value is not None]
    values = [value for _, values in parts for value in values]
    return statuses, " AND ".join(text for text, _ in parts), values


def _contains(expression: str, text: str) -> tuple[str, list[Any]]:
    """Whether `text` is part of a text, any case, whatever the locale of the database."""
    # That of "C" is fast and knows ASCII alone: enough to find text that is ASCII.
    collation = "C" if text.isascii() else "und-x-icu"
    lowered = f'lower(({expression}) COLLATE "{collation}")'
    return f"strpos({lowered}, %s) > 0", [stored(text.lower())]
