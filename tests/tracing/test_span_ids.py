"""Ids follow from the task, and traceparents are read as the standard says."""

import pytest

from task_queue.tracing.span_book import SpanBook, SpanReport
from task_queue.tracing.span_counts import SpanCounts
from task_queue.tracing.span_ids import attempt_span_id, submit_span_id, wait_span_id
from task_queue.tracing.traceparent import is_sampled, read_traceparent, unsampled

_TRACE, _SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def test_ids_are_alike_everywhere_and_different_for_all_else() -> None:
    # Processes of two releases meet while a cluster is upgraded: the ids must not change.
    assert attempt_span_id("019b2c3d", 1) == 0x4FD6FEDB1D1FC0FA
    assert submit_span_id("019b2c3d") == 0x274D347F62BC1AAA
    ids = [
        make
        for task_id in ("a", "b")
        for make in (
            submit_span_id(task_id),
            *(wait_span_id(task_id, n) for n in range(1, 4)),
            *(attempt_span_id(task_id, n) for n in range(1, 4)),
        )
    ]
    assert len(set(ids)) == 14
    assert all(0 < one < 2**64 for one in ids)


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "ff"])
def test_the_last_bit_of_the_flags_says_whether_it_is_sampled(flags: str) -> None:
    text = f"00-{_TRACE}-{_SPAN}-{flags}"
    read = read_traceparent(text)
    assert read is not None
    assert str(read) == text
    assert read.sampled is is_sampled(text) is (flags in ("01", "03", "ff"))
    assert not is_sampled(unsampled(text))


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    read = read_traceparent(f"cc-{_TRACE}-{_SPAN}-01-what-comes-later")
    assert str(read) == f"00-{_TRACE}-{_SPAN}-01"


def test_counts_told_again_and_again_are_counted_once_and_those_of_the_dead_stay() -> None:
    book = SpanBook(10.0)
    for exported in (3, 3, 5):
        book.take(SpanReport("a", 20.0, SpanCounts(exported)))
    book.take(SpanReport("b", 30.0, SpanCounts(1, failed=2)))
    assert book.sums == SpanCounts(6, failed=2)


def test_what_a_process_told_an_earlier_scheduler_is_not_counted_again() -> None:
    book = SpanBook(10.0)
    book.take(SpanReport("a", 5.0, SpanCounts(100)))
    book.take(SpanReport("a", 5.0, SpanCounts(103)))
    assert book.sums == SpanCounts(3)


def test_of_processes_that_are_gone_not_all_are_remembered_but_their_sums_are() -> None:
    book = SpanBook(10.0)
    for number in range(20_000):
        book.take(SpanReport(f"worker-{number}", 20.0 + number, SpanCounts(exported=1)))
        book.take(SpanReport("lives on", 20.0, SpanCounts(exported=number)))
    assert book.sums == SpanCounts(exported=20_000 + 19_999)
    assert len(book._last) <= 10_000
