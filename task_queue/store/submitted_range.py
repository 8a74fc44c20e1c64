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


def with_seq_bounds(
    query: TaskQuery, last_seq: int, submitted_from_seq: Callable[[int], float | None]
) -> TaskQuery:
    """The query with `from_seq` and `before_seq` set, wherever its times of submission allow it.

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

    before = query.before_seq
    if query.submitted_to is not None:
        bound = first_at(query.submitted_to + CLOCK_STEP_SECONDS)
        before = bound if before is None else min(before, bound)
    start = query.from_seq
    if query.submitted_from is not None:
        start = max(start or 0, first_at(query.submitted_from - CLOCK_STEP_SECONDS))
    return msgspec.structs.replace(query, from_seq=start, before_seq=before)
