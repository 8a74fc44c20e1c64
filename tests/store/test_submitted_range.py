"""Bounds leave out no task of the range, even if clocks are set back, and most of the others."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from task_queue.store.query import TaskQuery
from task_queue.store.submitted_range import CLOCK_STEP_SECONDS, with_seq_bounds


def _bounded(tasks: dict[int, float], query: TaskQuery) -> TaskQuery:
    seqs = sorted(tasks)

    def submitted_from_seq(seq: int) -> float | None:
        place = bisect_left(seqs, seq)
        return tasks[seqs[place]] if place < len(seqs) else None

    return with_seq_bounds(query, max(seqs, default=0), submitted_from_seq)


def _within(seq: int, query: TaskQuery) -> bool:
    return (query.from_seq or 0) <= seq and (query.before_seq is None or seq < query.before_seq)


_TIMES = st.none() | st.floats(0, 1e5)


@given(
    gaps=st.lists(st.integers(1, 4), max_size=40),
    steps=st.lists(st.floats(0, 1e4), min_size=40, max_size=40),
    back=st.lists(st.floats(0, CLOCK_STEP_SECONDS), min_size=40, max_size=40),
    since=_TIMES,
    until=_TIMES,
)
def test_no_task_of_the_range_is_left_out(
    gaps: list[int], steps: list[float], back: list[float],
    since: float | None, until: float | None,
) -> None:  # fmt: skip
    tasks, seq, true_time = {}, 0, 0.0
    for gap, step, set_back in zip(gaps, steps, back, strict=False):
        seq, true_time = seq + gap, true_time + step
        tasks[seq] = true_time - set_back
    query = _bounded(tasks, TaskQuery(submitted_from=since, submitted_to=until))
    for seq, at in tasks.items():
        if (since is None or at >= since) and (until is None or at < until):
            assert _within(seq, query)


def test_what_is_far_from_the_range_is_not_looked_at() -> None:
    tasks = {seq: seq * 3_600.0 for seq in range(1, 1_001)}
    query = TaskQuery(submitted_from=500 * 3_600.0, submitted_to=510 * 3_600.0)
    bounded = _bounded(tasks, query)
    assert (bounded.from_seq, bounded.before_seq) == (499, 511)


def test_the_end_of_a_page_stays_the_bound_if_it_is_lower() -> None:
    tasks = {seq: seq * 3_600.0 for seq in range(1, 1_001)}
    query = TaskQuery(submitted_to=510 * 3_600.0, before_seq=300)
    assert _bounded(tasks, query).before_seq == 300
    query = TaskQuery(submitted_to=510 * 3_600.0, before_seq=900)
    assert _bounded(tasks, query).before_seq == 511
