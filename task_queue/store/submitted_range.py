"""From times of submission to sequence numbers, so that a range of time needs no index of its own.

Sequence numbers grow with the time of acceptance, except where the clock was set back. The bounds
are therefore wider than asked for by what a clock may be set back, and the store still compares
the times themselves: the bounds only say where it need not look.
"""

import bisect
from collections.abc import Callable

import msgspec

from task_queue.store.query import TaskQuery

#: Bounds are exact if the scheduler's clock was never set back by more than this.
CLOCK_STEP_SECONDS = 3_600.0


def is_bounded(query: TaskQuery) -> bool:
    """Whether `with_seq_bounds` would add nothing."""
    if query.submitted_from is None and query.submitted_to is None:
        return True
    return query.from_seq is not None and query.before_seq is not None


def with_seq_bounds(
    query: TaskQuery, last_seq: int, submitted_from_seq: Callable[[int], float | None]
) -> TaskQuery:
    """The query with `from_seq` and `before_seq` set, as close as its times of submission allow.

    Args:
        query: what was asked.
        last_seq: no task has a higher number.
        submitted_from_seq: when the first task of at least this number was submitted; None if there
            is none. It is asked about 20 times for each bound, with a million tasks.

    Where the clock was set back there may be several places at which "submitted before X plus
    margin" turns false. Any of them will do: if no step was longer than the margin, nothing after
    it was submitted before X.
    """

    def first_at(moment: float) -> int:
        def is_later(seq: int) -> bool:
            submitted_at = submitted_from_seq(seq)
            return submitted_at is None or submitted_at >= moment

        return bisect.bisect_left(range(last_seq + 2), True, key=is_later)

    before = last_seq + 1 if query.before_seq is None else query.before_seq
    if query.submitted_to is not None:
        before = min(before, first_at(query.submitted_to + CLOCK_STEP_SECONDS))
    start = query.from_seq or 0
    if query.submitted_from is not None:
        start = max(start, first_at(query.submitted_from - CLOCK_STEP_SECONDS))
    return msgspec.structs.replace(query, from_seq=start, before_seq=before)
