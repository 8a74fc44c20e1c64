"""What ended when, how long it took, and what failed most."""

import math

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from task_queue.core.status import Status
from task_queue.core.task import Task, TaskError
from task_queue.store.ended_sum import most_frequent
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Store
from task_queue.store.query import Bucket, FailurePattern
from task_queue.store.sketch import ERROR
from task_queue.store.trends import read_trends
from tests.store.databases import NOW, a_task, dead_letter, inserted


def _completed(seq: int, ended: float, wait: float, run: float) -> Task:
    started = NOW + ended - run
    return a_task(
        seq, Status.COMPLETED, submitted_at=started - wait, started_at=started,
        finished_at=NOW + ended,
    )  # fmt: skip


def _near(found: Bucket, wanted: Bucket) -> None:
    """The counts are the same, and the percentiles nearly are."""
    values = msgspec.structs.astuple(wanted)
    near = [value if value is None else pytest.approx(value, ERROR) for value in values[4:]]
    assert list(msgspec.structs.astuple(found)) == [*values[:4], *near]


def test_buckets_count_what_ended_in_them_and_know_the_percentiles(store: Store) -> None:
    tasks = [_completed(seq, 5, float(seq), float(21 - seq)) for seq in range(1, 21)]
    tasks += [
        dead_letter(21, finished_at=NOW + 6),
        a_task(22, Status.CANCELLED, finished_at=NOW + 7),
        a_task(23, Status.EXPIRED, finished_at=NOW + 8),
        a_task(24, Status.RUNNING, started_at=NOW),
        _completed(25, 20, 4.0, 2.0),
        _completed(26, 30, 1.0, 1.0),  # at the end, which is not part of it
        _completed(27, -0.001, 1.0, 1.0),
    ]
    store.commit(inserted(*tasks))
    trends = read_trends(store, NOW, NOW + 30, 10.0)
    wanted = [
        Bucket(NOW, 20, 1, 2, 10.0, 10.0, 19.0, 20.0),
        Bucket(NOW + 10, 0, 0, 0, None, None, None, None),
        Bucket(NOW + 20, 1, 0, 0, 4.0, 2.0, 2.0, 2.0),
    ]
    for found, expected in zip(trends.buckets, wanted, strict=True):
        _near(found, expected)


def test_the_last_bucket_may_be_short(store: Store) -> None:
    store.commit(inserted(_completed(1, 24, 1.0, 1.0)))
    trends = read_trends(store, NOW, NOW + 25, 10.0)
    assert [bucket.completed for bucket in trends.buckets] == [0, 0, 1]


def test_a_window_in_which_nothing_ended_has_empty_buckets(store: Store) -> None:
    trends = read_trends(store, NOW, NOW + 3, 1.0)
    assert [bucket.start for bucket in trends.buckets] == [NOW, NOW + 1, NOW + 2]
    assert trends.failures == []


def test_failures_are_grouped_by_task_and_error_most_frequent_first(store: Store) -> None:
    def fail(seq: int, name: str, kind: str, message: str, at: float) -> Task:
        return dead_letter(seq, name=name, error=TaskError(kind, message), finished_at=NOW + at)

    tasks = [
        fail(1, "b", "ValueError", "first", 1),
        fail(2, "b", "ValueError", "last", 5),
        fail(3, "b", "ValueError", "between", 3),
        fail(4, "b", "KeyError", "k", 2),
        fail(5, "a", "KeyError", "k", 4),
        a_task(6, Status.FAILED, name="a", finished_at=NOW + 1),
        fail(7, "a", "KeyError", "too late", 10),
    ]
    store.commit(inserted(*tasks))
    assert read_trends(store, NOW, NOW + 10, 10.0).failures == [
        FailurePattern("b", "ValueError", 3, NOW + 5, "last", tasks[1].spec.id),
        FailurePattern("a", "", 1, NOW + 1, "", tasks[5].spec.id),
        FailurePattern("a", "KeyError", 1, NOW + 4, "k", tasks[4].spec.id),
        FailurePattern("b", "KeyError", 1, NOW + 2, "k", tasks[3].spec.id),
    ]


def test_patterns_of_several_slices_are_one_with_the_last_failure() -> None:
    early, late = (
        FailurePattern("n", "OSError", count, NOW + count, f"message {count}", f"t{count}")
        for count in (2, 3)
    )
    other = FailurePattern("n", "KeyError", 4, NOW, "k", "t0")
    one = FailurePattern("n", "OSError", 5, NOW + 3, "message 3", "t3")
    assert most_frequent([early, other, late]) == [one, other]
    assert most_frequent([late, early, other]) == [one, other]


@given(
    since=st.floats(0, 4e9),
    span=st.floats(0.001, 1e6),
    bucket=st.floats(0.001, 1e6),
    places=st.lists(st.floats(0, 1), max_size=5),
)
def test_whatever_the_fractions_every_ending_has_its_bucket(
    since: float, span: float, bucket: float, places: list[float]
) -> None:
    bucket = max(bucket, span / 1_000)
    until = since + span
    last = math.nextafter(until, 0.0)
    assume(last >= since)
    store = MemoryStore()
    store.take_over()
    ends = [min(since + span * place, last) for place in places]
    ended = [a_task(n, Status.COMPLETED, finished_at=at) for n, at in enumerate(ends, 1)]
    store.commit(inserted(*ended))
    trends = read_trends(store, since, until, bucket)
    assert sum(b.completed for b in trends.buckets) == len(ended)
