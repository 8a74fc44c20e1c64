"""Sums over replicas that come, die and outlive the scheduler."""

from task_queue.histogram import Histogram
from task_queue.replica_book import ReplicaBook, ReplicaCounts, ReplicaReport


def told(replica: str, answers: int, started_at: float = 20.0) -> ReplicaReport:
    seconds = Histogram()
    for _ in range(answers):
        seconds.add(0.01)
    counts = ReplicaCounts({"200": answers}, {"/health": seconds}, seconds)
    return ReplicaReport(replica, started_at, counts, 1, 2)


def test_whole_counts_told_again_and_again_are_counted_once() -> None:
    book = ReplicaBook(10.0)
    for answers in (3, 3, 5):
        book.take(told("a", answers), 21.0)
    assert book.sums.answers == {"200": 5}
    assert sum(book.sums.routes["/health"].counts) == sum(book.sums.query_seconds.counts) == 5


def test_the_counts_of_a_dead_replica_stay() -> None:
    book = ReplicaBook(10.0)
    book.take(told("a", 3), 21.0)
    book.take(told("b", 4), 100.0)
    assert book.sums.answers == {"200": 7}
    assert book.connections(100.0) == (1, 2)


def test_a_new_scheduler_begins_at_zero_so_that_rates_show_no_jump() -> None:
    book = ReplicaBook(10.0)
    book.take(told("older", 1_000, started_at=5.0), 21.0)
    assert book.sums.answers == {"200": 0}
    book.take(told("older", 1_002, started_at=5.0), 22.0)
    assert book.sums.answers == {"200": 2}


def test_few_reports_are_kept_and_none_is_added_twice() -> None:
    book = ReplicaBook(10.0)
    for number in range(3_000):
        book.take(told(f"r{number}", 1, started_at=20.0 + number), 21.0 + number)
    assert len(book._last) == 1_000
    assert book.sums.answers == {"200": 3_000}
    book.take(told("r0", 5, started_at=20.0), 4_000.0)
    assert book.sums.answers == {"200": 3_000}
    book.take(told("r0", 7, started_at=20.0), 4_001.0)
    assert book.sums.answers == {"200": 3_002}


def test_a_report_that_was_overtaken_adds_nothing() -> None:
    book = ReplicaBook(10.0)
    book.take(told("a", 5), 21.0)
    book.take(told("a", 3), 22.0)
    book.take(told("a", 6), 23.0)
    assert book.sums.answers == {"200": 6}
