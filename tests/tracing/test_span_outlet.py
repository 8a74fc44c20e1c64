"""Spans leave a process in the background; a receiver that is away is told of once."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, TraceFlags

from cluster.free_ports import free_ports
from task_queue.tracing.span_counts import SpanCounts
from task_queue.tracing.span_outlet import SpanOutlet, resource_of
from tests.tracing.otlp_receiver import otlp_receiver
from tests.until import until

_RESOURCE = resource_of("test")


def span(number: int, flags: int = 1) -> ReadableSpan:
    context = SpanContext(1, number + 1, is_remote=False, trace_flags=TraceFlags(flags))
    return ReadableSpan(f"span {number}", context, resource=_RESOURCE, start_time=1, end_time=2)


@contextmanager
def outlet(
    endpoint: str, on_away: Callable[[str], None] = lambda _url: None, most_waiting: int = 4_096
) -> Iterator[SpanOutlet]:
    made = SpanOutlet(endpoint, on_away, most_waiting=most_waiting)
    try:
        yield made
    finally:
        made.shutdown()


def closed_endpoint() -> str:
    """Nobody listens there."""
    (port,) = free_ports(1)
    return f"http://127.0.0.1:{port}"


def test_what_is_sampled_arrives_and_is_counted() -> None:
    with otlp_receiver() as receiver:
        with outlet(receiver.endpoint) as out:
            for number in range(1_000):
                out.on_end(span(number, flags=number % 2))
        assert len(receiver.spans) == 500
    assert out.counts == SpanCounts(exported=500)


def test_one_warning_for_an_outage_and_one_for_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    away: list[str] = []
    endpoint = closed_endpoint()
    port = int(endpoint.rpartition(":")[2])
    with caplog.at_level(logging.DEBUG, "opentelemetry"), outlet(endpoint, away.append) as out:
        for failed in (1, 2):
            out.on_end(span(failed))
            out.force_flush()
            assert out.counts.failed == failed
        assert away == [f"{endpoint}/v1/traces"]
        with otlp_receiver(port) as receiver:
            out.on_end(span(3))
            out.force_flush()
            assert [seen.name for seen in receiver.spans] == ["span 3"]
        out.on_end(span(4))
        out.force_flush()
    assert away == [f"{endpoint}/v1/traces"] * 2
    assert out.counts == SpanCounts(exported=1, failed=3)
    assert caplog.messages == []


def test_more_than_may_wait_are_dropped_and_counted_without_waiting() -> None:
    with outlet(closed_endpoint(), most_waiting=100) as out:
        began = time.process_time()
        for number in range(20_000):
            out.on_end(span(number))
        assert time.process_time() - began < 5  # no try at a connection is among it
        assert out.counts.dropped >= 20_000 - 100 - 512 * 4
        until(lambda: out.counts.failed >= 100, 20.0, "the failed exports")
    assert out.counts.dropped + out.counts.failed == 20_000


def test_the_end_of_a_process_is_not_held_up() -> None:
    with outlet(closed_endpoint()) as out:
        for number in range(4_000):
            out.on_end(span(number))
        began = time.monotonic()
        out.shutdown()
        assert time.monotonic() - began < 10
    assert out.counts == SpanCounts(failed=4_000)
