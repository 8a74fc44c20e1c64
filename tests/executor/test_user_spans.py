"""Spans that a task's own code records belong to the trace of its attempt."""

from collections.abc import Callable, Iterator

import pytest

from cluster.free_ports import free_ports
from task_queue.tracing.span_counts import SpanCounts
from task_queue.tracing.span_ids import attempt_span_id
from tests.executor.conftest import Driver
from tests.tracing.otlp_receiver import OtlpReceiver, otlp_receiver

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
_TASKS = {"task_modules": ["traced_tasks"]}
_CALLER = f"00-{_TRACE}-00f067aa0ba902b7"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


@pytest.mark.parametrize("name", ["traced", "async_traced"])
def test_a_span_of_user_code_is_a_child_of_its_attempt(
    play: Callable[..., None], receiver: OtlpReceiver, name: str
) -> None:
    async def story(driver: Driver) -> None:
        # Claimed three times, given back unstarted once: for people this is the second attempt.
        first = driver.lease(name, "a", traceparent=f"{_CALLER}-01", attempt=3, unstarted=1)
        second = driver.lease(name, "b", traceparent=f"{_CALLER}-01")
        driver.pool.run([first, second])
        for lease in (first, second):
            assert (await driver.report(lease.task_id)).result == f'"{_TRACE}"'.encode()
        for lease, label, attempt in ((first, "a", 2), (second, "b", 1)):
            outer = receiver.one("outer", label=label)
            assert int(outer.parent, 16) == attempt_span_id(lease.task_id, attempt)
            assert (outer.trace_id, outer.part) == (_TRACE, "executor")
        await driver.until(lambda: driver.pool.span_counts == SpanCounts(exported=4), "counts")
        outers = {span.span_id for span in receiver.named("outer")}
        assert {span.parent for span in receiver.named("inner")} == outers

    play(story, slots=2, span_endpoint=receiver.endpoint, **_TASKS)


@pytest.mark.parametrize("name", ["traced", "async_traced"])
def test_outside_a_sampled_trace_nothing_is_recorded(
    play: Callable[..., None], receiver: OtlpReceiver, name: str
) -> None:
    async def story(driver: Driver) -> None:
        # One after the other in the same child: a trace does not leak into the next task.
        await driver.run(name, "sampled", traceparent=f"{_CALLER}-01")
        await driver.run(name, "no trace")
        not_sampled = await driver.run(name, "not sampled", traceparent=f"{_CALLER}-00")
        await driver.run(name, "last", traceparent=f"{_CALLER}-01")
        receiver.one("outer", label="last")
        labels = [span.attributes["label"] for span in receiver.named("outer")]
        assert labels == ["sampled", "last"]
        assert not_sampled.result == f'"{_TRACE}"'.encode()  # for calls that it may make itself

    play(story, span_endpoint=receiver.endpoint, **_TASKS)


def test_an_attribute_of_a_megabyte_is_cut(
    play: Callable[..., None], receiver: OtlpReceiver
) -> None:
    async def story(driver: Driver) -> None:
        await driver.run("traced", "x" * 1_000_000, traceparent=f"{_CALLER}-01")
        assert receiver.one("outer").attributes["label"] == "x" * 16_384

    play(story, span_endpoint=receiver.endpoint, **_TASKS)


def test_spans_of_a_child_that_ends_in_order_are_sent_before(
    play: Callable[..., None], receiver: OtlpReceiver
) -> None:
    async def story(driver: Driver) -> None:
        await driver.run("traced", "a", traceparent=f"{_CALLER}-01")
        await driver.pool.stop(5.0)
        assert receiver.named("outer", label="a")

    play(story, span_endpoint=receiver.endpoint, kill_grace_seconds=60.0, **_TASKS)


def test_a_receiver_that_is_away_costs_the_task_nothing_and_is_not_in_its_output(
    play: Callable[..., None],
) -> None:
    (port,) = free_ports(1)  # nobody listens there
    endpoint = f"http://127.0.0.1:{port}"

    async def story(driver: Driver) -> None:
        report = await driver.run("traced", "a", traceparent=f"{_CALLER}-01")
        assert (report.outcome, report.logs) == ("succeeded", "")
        await driver.until(lambda: driver.pool.span_counts == SpanCounts(failed=2), "counts")
        assert (await driver.run("traced", "b")).logs == ""

    play(story, span_endpoint=endpoint, **_TASKS)
