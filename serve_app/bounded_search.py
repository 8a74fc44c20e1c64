"""A search that answers soon, whatever it is asked: it may stop before it has looked at all.

It looks at the newest tasks first, in parts. When its time is up it says down to which task it has
looked, and the next page goes on from there. So no search holds up the others for long, and nothing
has to be written with each task for it.
"""

from typing import NamedTuple

from msgspec.structs import replace

from task_queue.clock import Clock
from task_queue.core.task import Task
from task_queue.store.protocol import Reader
from task_queue.store.query import TaskQuery

SEARCH_SECONDS = 0.03  #: after which no further part is begun
FIRST_PART, _LARGEST_PART = 2_000, 64_000  #: tasks to be looked at
_PART_SECONDS = 0.01  #: about so long a part may take


class Found(NamedTuple):
    """One page, newest first."""

    tasks: list[Task]
    next_seq: int | None  #: where the next page begins, as its `before_seq`; None: that was all
    #: If the time was up: what was submitted after it was looked at. Seconds since the epoch.
    searched_until: float | None = None


def bounded_search(reader: Reader, query: TaskQuery, limit: int, clock: Clock) -> Found:
    """At most `limit` tasks; fewer, or none, if the time is up or there are no more."""
    query = reader.bounded(query)
    tasks: list[Task] = []
    most, until = FIRST_PART, clock.monotonic() + SEARCH_SECONDS
    while True:
        began = clock.monotonic()
        start = reader.reach(query, most)
        tasks += reader.search(replace(query, from_seq=start), limit + 1 - len(tasks))
        if len(tasks) > limit:
            return Found(tasks[:limit], tasks[limit - 1].seq)
        if start == (query.from_seq or 0):
            return Found(tasks, None)
        query = replace(query, before_seq=start)
        now = clock.monotonic()
        if now >= until:
            return _unfinished(reader, tasks, start)
        most = _fitting(most, now - began)


def _unfinished(reader: Reader, tasks: list[Task], before_seq: int) -> Found:
    older = reader.search(TaskQuery(before_seq=before_seq), 1)
    return Found(tasks, before_seq, older[0].submitted_at) if older else Found(tasks, None)


def _fitting(most: int, took: float) -> int:
    if took > _PART_SECONDS:
        return max(FIRST_PART, most // 2)
    return min(_LARGEST_PART, most * 4) if took < _PART_SECONDS / 4 else most
