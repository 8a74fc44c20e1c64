"""Latencies by queue, and the traces that belong to them."""

import pytest

from task_queue.core.status import Outcome, Status
from task_queue.core.task import Report, Task, TaskSpec
from task_queue.histogram import LATENCY_BOUNDS, Histogram, sum_of
from task_queue.latency_book import MOST_QUEUES, OTHER, LatencyBook

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def ended(queue: str = "images", traceparent: str | None = None, **fields: object) -> Task:
    spec = TaskSpec("id", "shop.add", queue, 5, b"{}", traceparent=traceparent)
    given = {"submitted_at": 100.0, "status": Status.COMPLETED, "finished_at": 103.0, **fields}
    return Task(spec, 1, **given)  # type: ignore[arg-type]  # the fields of each test


def report(started_at: float = 102.0, seconds: float = 1.0) -> Report:
    return Report("id", 1, Outcome.SUCCEEDED, started_at, seconds)


def test_wait_processing_and_end_to_end_of_a_completed_task() -> None:
    book = LatencyBook()
    book.take([(ended(), report())], 103.0)
    of_queue = book.queues()["images"]
    assert (of_queue.wait.total, of_queue.processing.total, of_queue.end_to_end.total) == (2, 1, 3)
    assert of_queue.processing.counts[LATENCY_BOUNDS.index(1.0)] == 1


def test_time_before_a_task_could_run_is_no_wait() -> None:
    book = LatencyBook()
    book.take([(ended(due_at=101.5), report())], 103.0)
    assert book.queues()["images"].wait.total == 0.5


def test_a_failed_attempt_ran_and_one_that_never_started_did_not() -> None:
    book = LatencyBook()
    failed = ended(status=Status.RETRYING, finished_at=None)
    book.take([(failed, report()), (failed, report(started_at=0.0))], 103.0)
    of_queue = book.queues()["images"]
    assert sum(of_queue.processing.counts) == 1
    assert sum(of_queue.wait.counts) == sum(of_queue.end_to_end.counts) == 0


def test_only_sampled_traces_are_exemplars() -> None:
    book = LatencyBook()
    sampled, not_sampled = f"00-{_TRACE}-00f067aa0ba902b7-01", f"00-{_TRACE}-00f067aa0ba902b7-00"
    book.take([(ended("a", not_sampled), report()), (ended("b", sampled), report())], 103.0)
    assert book.queues()["a"].processing.exemplars == {}
    (exemplar,) = book.queues()["b"].processing.exemplars.values()
    assert (exemplar.trace_id, exemplar.value, exemplar.at) == (_TRACE, 1.0, 103.0)


def test_queues_that_callers_make_up_share_one_place() -> None:
    book = LatencyBook()
    many = MOST_QUEUES + 50
    book.take([(ended(f"q{n}"), report()) for n in range(many)], 103.0)
    assert len(book.queues()) == MOST_QUEUES + 1
    assert sum(book.queues()[OTHER].processing.counts) == 50


def test_counting_in_bulk_is_counting_one_by_one() -> None:
    values = [*LATENCY_BOUNDS, 0.0, 0.3, 99_999.0, 0.3]
    single, bulk = Histogram(), Histogram()
    for value in values:
        single.add(value)
    bulk.add_all(list(values))
    assert bulk.counts == single.counts
    assert bulk.total == pytest.approx(single.total)
    bulk.add_all([-0.5])
    assert bulk.counts[0] == single.counts[0] + 1
    assert bulk.total == pytest.approx(single.total)


def test_a_histogram_since_an_earlier_reading_added_to_that_is_the_whole() -> None:
    earlier, later = Histogram(), Histogram()
    for value in (0.001, 7.0):
        earlier.add(value)
        later.add(value)
    later.add(99_999.0)
    difference = later.since(earlier)
    assert (difference.counts[-1], sum(difference.counts), difference.total) == (1, 1, 99_999.0)
    assert sum_of((earlier, difference)).counts == later.counts
