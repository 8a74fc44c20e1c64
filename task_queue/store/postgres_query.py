"""A TaskQuery as SQL of PostgreSQL."""

from collections.abc import Collection, Iterator
from typing import Any

from task_queue.core.status import Status
from task_queue.store.postgres_text import SEPARATOR, stored
from task_queue.store.query import TaskQuery
from task_queue.store.reach import WITHOUT_ERRORS
from task_queue.store.task_row import FIXED, MOVING

COLUMNS = ", ".join(FIXED + MOVING)

#: Each task is in one of these views; which statuses it can have there.
VIEWS: dict[str, frozenset[Status]] = {
    "settled_tasks": frozenset(Status),
    "completed_tasks": frozenset({Status.COMPLETED}),
    "waiting_tasks": frozenset({Status.QUEUED}),
    "leased_tasks": frozenset({Status.RUNNING}),
}


def select(statuses: Collection[Status], condition: str, *, arguments: bool = False) -> str:
    """The statement that finds tasks, in whichever tables they are.

    Args:
        statuses: only these; empty: any. Tables that hold none of them are not looked at.
        condition: over the columns of the views; its values are needed once for each view that is
            looked at.
        arguments: whether they come before the other columns.
    """
    columns = f"arguments, {COLUMNS}" if arguments else COLUMNS
    return " UNION ALL ".join(
        f"(SELECT {columns} FROM {view} WHERE {narrowed}{condition})"
        for view, narrowed in _looked_at(statuses)
    )


def search(query: TaskQuery, limit: int) -> tuple[str, list[Any]]:
    """The statement that finds what matches, newest first, and its values."""
    statuses, conditions, values = where(query)
    place, bounds = _place(statuses, query)
    ending = " ORDER BY seq DESC LIMIT %s"
    # OFFSET 0: the place is found first, by its index, and what is there is compared afterwards.
    # Otherwise a condition that is true of few makes PostgreSQL read all of `tasks` for them. The
    # newest of each view first, so that none is sorted as a whole.
    parts = [
        f"(SELECT {COLUMNS} FROM (SELECT * FROM {view} WHERE {narrowed}{place} "
        f"ORDER BY seq DESC OFFSET 0) AS placed WHERE {conditions}{ending})"
        for view, narrowed in _looked_at(statuses)
        if query.error is None or view not in WITHOUT_ERRORS
    ]
    sql = f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS found{ending}"
    return sql, [*(*bounds, *values, limit) * len(parts), limit]


def _looked_at(statuses: Collection[Status]) -> Iterator[tuple[str, str]]:
    """The views to look at for these statuses (empty: any), and the condition on the status."""
    wanted = set(statuses) or set(Status)
    for view, held in VIEWS.items():
        if wanted & held:
            yield view, _narrowed(wanted & held) if held > wanted else ""


def _place(statuses: Collection[Status], query: TaskQuery) -> tuple[str, list[Any]]:
    """The condition on the seq.

    PostgreSQL does not conclude from a range of a table's seq that those of `tasks` are in it, too.
    It is told where most tasks of the range are looked at: it reads both in order, then. Where few
    are, each is better looked up.
    """
    dense = query.error is None and (not statuses or Status.COMPLETED in statuses)
    columns = ("seq", "task_seq") if dense else ("seq",)
    parts, values = ["true"], []
    for sign, seq in ((">=", query.from_seq), ("<", query.before_seq)):
        if seq is not None:
            parts += [f"{column} {sign} %s" for column in columns]
            values += [seq] * len(columns)
    return " AND ".join(parts), values


def _narrowed(statuses: Collection[Status]) -> str:
    """The condition on the status; beside it that of the index, to the letter, if it has them."""
    indexed = "" if Status.COMPLETED in statuses else "status <> 'COMPLETED' AND "
    words = ", ".join(f"'{status.value}'" for status in sorted(statuses))
    return f"{indexed}status IN ({words}) AND "


def where(query: TaskQuery) -> tuple[Collection[Status], str, list[Any]]:
    """The statuses of a query (empty: any), what else is asked of a task, and the values."""
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
