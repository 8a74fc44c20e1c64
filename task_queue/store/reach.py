"""How far down a search has to look: the same question for both databases.

A search without an answer looks at every task that its status allows, and a million of them take
long. So whoever must answer soon looks at the newest first, so many at a time: `reach_parts` finds
where that many end, from the keys alone.
"""

from collections.abc import Collection, Iterator, Mapping

from task_queue.core.status import Status
from task_queue.store.query import TaskQuery

_NO_SEQ = 2**62  #: no task has one that high

_TABLES = {
    "settled_tasks": "states",
    "completed_tasks": "completed",
    "waiting_tasks": "waiting",
    "leased_tasks": "leased",
}
#: Whoever looks for an error need not look here.
WITHOUT_ERRORS = ("completed_tasks", "waiting_tasks")


def reach_parts(
    views: Mapping[str, frozenset[Status]],
    statuses: Collection[Status],
    query: TaskQuery,
    mark: str,
) -> list[str]:
    """One SELECT for each run of rows that a search looks at: the seq of the first one beyond.

    Args:
        views: which statuses a task can have in each view.
        statuses: only these, as the query's conditions have it; empty: any.
        mark: what stands for a value: the lowest seq, the seq before which, how many rows.
    """
    wanted = set(statuses) or set(Status)
    return [
        f"SELECT seq FROM {_TABLES[view]} WHERE {condition}seq >= {mark} AND seq < {mark} "
        f"ORDER BY seq DESC LIMIT 1 OFFSET {mark}"
        for view, held in views.items()
        if query.error is None or view not in WITHOUT_ERRORS  # the databases skip them, too
        for condition in _runs(wanted, held)
    ]


def before_seq_of(query: TaskQuery) -> int:
    """The seq before which to look."""
    return _NO_SEQ if query.before_seq is None else query.before_seq


def _runs(wanted: set[Status], held: frozenset[Status]) -> Iterator[str]:
    here = wanted & held
    if here and (held <= wanted or Status.COMPLETED in here):
        yield ""  # the search reads the table itself, not an index on the status
    else:
        for status in sorted(here):
            yield f"status <> 'COMPLETED' AND status = '{status.value}' AND "
