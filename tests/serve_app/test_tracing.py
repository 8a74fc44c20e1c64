"""Traces of requests and their tasks, as a real receiver of OTLP sees them."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from monitoring.firing_spans import FiringSpans
from monitoring.logs import configure_logs
from monitoring.spans import Spans
from task_queue.core.status import Outcome
from task_queue.core.task import Report, TaskError
from task_queue.settings import TracingSettings
from task_queue.tracing.span_ids import attempt_span_id
from tests.scheduler.hall import quiet
from tests.serve_app.api_world import TASKS, Between, World
from tests.serve_app.conftest import MakeWorld
from tests.tracing.otlp_receiver import OtlpReceiver, SeenSpan, otlp_receiver
from tests.until import until

pytestmark = pytest.mark.anyio

_TRACE, _CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
_TRACED = {"traceparent": f"00-{_TRACE}-{_CALLER}-01"}
_NOT_SAMPLED = {"traceparent": f"00-{_TRACE}-{_CALLER}-00"}
_COLLECT = {"name": "shop.collect"}


@pytest.fixture
def store_kind() -> str:
    return "memory"


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


def tracing(receiver: OtlpReceiver, **fields: Any) -> TracingSettings:
    return TracingSettings(enabled=True, endpoint=receiver.endpoint, **fields)


async def submit(world: World, headers: dict[str, str], **fields: object) -> str:
    answer = await world.http.post(TASKS, json={**_COLLECT, **fields}, headers=headers)
    assert answer.status_code == 201
    task_id: str = answer.json()["task_id"]
    return task_id


def path(receiver: OtlpReceiver, span: SeenSpan) -> list[str]:
    """Names from a span up to the outermost that arrived."""
    by_id = {one.span_id: one for one in receiver.spans}
    names = [span.name]
    while span.parent in by_id:
        span = by_id[span.parent]
        names.append(span.name)
    return names


async def test_one_trace_from_the_caller_to_each_attempt(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver, sample_rate=0.0))
    await world.worker()
    headers = {**_TRACED, "X-Request-ID": "req-7"}
    task_id = await submit(world, headers, priority=8, max_retries=1)
    world.clock.advance(3)
    (lease,) = await world.claim()
    error = TaskError("OSError", "no such file", "Traceback ...")
    begun = world.clock.now()
    await world.report(Report(task_id, lease.attempt, Outcome.FAILED, begun, 0.5, error=error))
    world.clock.advance(60)
    world.scheduler.tick()
    (lease,) = await world.claim()
    await world.report(Report(task_id, lease.attempt, Outcome.SUCCEEDED, world.clock.now(), 0.25))

    second = receiver.one("task:execute", task_status="COMPLETED")
    first = receiver.one("task:execute", task_status="RETRYING")
    submitted, endpoint = receiver.one("task:submit"), receiver.one("api:endpoint")
    assert path(receiver, first) == ["task:execute", "task:submit", "api:endpoint"]
    assert second.parent == submitted.span_id
    assert endpoint.parent == _CALLER
    assert endpoint.attributes["request.id"] == "req-7"
    assert {span.trace_id for span in receiver.spans} == {_TRACE}
    assert {span.service for span in receiver.spans} == {"task-queue"}
    assert (first.links, second.links) == ((), (first.span_id,))
    assert submitted.attributes == {
        "task.id": task_id, "task.name": "shop.collect", "task.priority": 8,
        "queue.name": "default",
    }  # fmt: skip
    expected = {"task.id": task_id, "worker.id": "w1", "duration_ms": 500.0, "task.attempt": 1}
    assert expected.items() <= first.attributes.items()
    assert (first.failed, first.events, second.failed) == (True, ("exception",), False)
    assert first.ended - first.begun == 500_000_000
    waits = receiver.named("task:wait")
    assert waits[0].ended - waits[0].begun == 3_000_000_000
    assert [wait.parent for wait in waits] == [submitted.span_id] * 2
    # The second wait begins when the back-off was over, not when the task was submitted.
    assert waits[1].begun > first.ended


async def test_the_rate_decides_for_callers_without_a_trace(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver, sample_rate=0.25))
    for _ in range(200):
        await submit(world, {})
    traced = [t for t in world.store.load().tasks if t.spec.traceparent is not None]
    assert 20 <= len(traced) <= 85  # 50 expected, standard deviation 6
    await submit(world, _TRACED)
    receiver.one("task:submit", task_id=(await submit(world, _TRACED)))
    assert len(receiver.named("task:submit")) == len(traced) + 2


async def test_a_caller_who_does_not_sample_is_believed(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver, sample_rate=1.0))
    await world.worker()
    task_id = await submit(world, _NOT_SAMPLED)
    await world.complete(task_id)
    assert world.store.load().tasks == []
    task = world.store.get(task_id)
    assert task is not None and task.spec.traceparent == _NOT_SAMPLED["traceparent"]
    seen = await submit(world, _TRACED)
    receiver.one("task:submit", task_id=seen)
    assert receiver.named("task:submit", task_id=task_id) == []
    assert receiver.named("task:execute") == []


async def test_of_a_flood_some_tasks_are_traced_whole_and_the_rest_counted(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver, tasks_per_second=3))
    await world.worker(slots=10)
    batch = {"tasks": [_COLLECT] * 10}
    answer = await world.http.post(f"{TASKS}/batch", json=batch, headers=_TRACED)
    ids = answer.json()["task_ids"]
    leases = await world.claim(10)
    now = world.clock.now()
    await world.report(*(Report(le.task_id, 1, Outcome.SUCCEEDED, now, 0.1) for le in leases))
    for task_id in ids[:3]:
        receiver.one("task:submit", task_id=task_id)
        receiver.one("task:execute", task_id=task_id)
    assert [span.attributes["task.id"] for span in receiver.named("task:submit")] == ids[:3]
    assert len(receiver.named("task:execute")) == 3
    # Their logs still tell the trace.
    flags = [lease.traceparent[-2:] for lease in leases if lease.traceparent]
    assert sorted(flags) == ["00"] * 7 + ["01"] * 3
    world.clock.advance(1)
    text = (await world.http.get("/metrics")).text
    assert 'task_queue_spans_total{outcome="thinned"} 7.0' in text
    assert 'task_queue_spans_total{outcome="dropped"} 0.0' in text


@pytest.mark.parametrize(
    ("outcome", "retries", "status"),
    [
        (Outcome.SUCCEEDED, 0, "COMPLETED"), (Outcome.FAILED, 1, "RETRYING"),
        (Outcome.FAILED, 0, "FAILED"), (Outcome.TIMED_OUT, 0, "FAILED"),
        (Outcome.DIED, 0, "RETRYING"), (Outcome.RELEASED, 0, "QUEUED"),
        (Outcome.CANCELLED, 0, "CANCELLED"),
    ],
)  # fmt: skip
async def test_each_outcome_is_told(
    make_world: MakeWorld, receiver: OtlpReceiver, outcome: Outcome, retries: int, status: str
) -> None:
    world = await make_world(tracing=tracing(receiver))
    await world.worker()
    task_id = await submit(world, _TRACED, max_retries=retries)
    (lease,) = await world.claim()
    if outcome is Outcome.CANCELLED:
        await world.http.post(f"{TASKS}/{task_id}/cancel")
    error = None if outcome is Outcome.SUCCEEDED else TaskError("Oops", "it is so")
    await world.report(Report(task_id, lease.attempt, outcome, 1.0, 0.5, error=error))
    await quiet()
    execute = receiver.one("task:execute")
    assert execute.attributes["task.status"] == status
    good = outcome is Outcome.SUCCEEDED
    assert (execute.failed, execute.events) == (not good, () if good else ("exception",))


class TestSchedules:
    async def test_a_firing_is_the_root_of_a_trace_down_to_the_attempt(
        self, make_world: MakeWorld, receiver: OtlpReceiver
    ) -> None:
        world = await make_world(tracing=tracing(receiver, sample_rate=1.0))
        await world.worker()
        await save_schedules(world, 1)
        world.clock.advance(60)
        world.scheduler.tick()
        (lease,) = await world.claim()
        begun = world.clock.now()
        await world.report(Report(lease.task_id, lease.attempt, Outcome.SUCCEEDED, begun, 0.5))
        execute = receiver.one("task:execute", task_id=lease.task_id)
        fired = receiver.one("schedule:fire")
        assert path(receiver, execute) == ["task:execute", "task:submit", "schedule:fire"]
        assert fired.parent == ""
        assert fired.attributes == {
            "schedule.id": "s0", "schedule.runs": 1, "task.id": lease.task_id,
            "task.name": "shop.collect", "queue.name": "default",
        }  # fmt: skip
        assert receiver.one("task:submit").attributes["task.priority"] == 5
        assert receiver.one("task:wait").trace_id == fired.trace_id == execute.trace_id
        # Saving the schedule is a request with a trace of its own.
        assert fired.trace_id != receiver.one("api:endpoint").trace_id

    async def test_each_has_a_trace_of_its_own_and_the_rate_decides(
        self, make_world: MakeWorld, receiver: OtlpReceiver
    ) -> None:
        world = await make_world(tracing=tracing(receiver, sample_rate=0.25))
        await save_schedules(world, 200)
        world.clock.advance(60)
        world.scheduler.tick()
        await quiet()
        tasks = world.store.load().tasks
        traced = {t.spec.id: t.spec.traceparent for t in tasks if t.spec.traceparent is not None}
        assert len(tasks) == 200
        assert 20 <= len(traced) <= 85  # 50 expected, standard deviation 6
        until(lambda: len(receiver.named("schedule:fire")) == len(traced), 10, "the spans")
        fired = receiver.named("schedule:fire")
        assert {span.attributes["task.id"] for span in fired} == traced.keys()
        assert len({span.trace_id for span in fired}) == len(traced)
        # Decided again, it is decided alike.
        spans = Spans(tracing(receiver, sample_rate=0.25), "scheduler")
        again = FiringSpans(spans, 1_000, world.clock)
        for task in tasks:
            assert again.begin(task.spec.id, world.clock.now()) == task.spec.traceparent
        spans.close()

    async def test_of_many_at_once_some_are_traced_whole(
        self, make_world: MakeWorld, receiver: OtlpReceiver
    ) -> None:
        settings = tracing(receiver, sample_rate=1.0, tasks_per_second=3)
        world = await make_world(tracing=settings)
        await save_schedules(world, 10)
        world.clock.advance(60)
        world.scheduler.tick()
        await quiet()
        flags = [(t.spec.traceparent or "")[-2:] for t in world.store.load().tasks]
        assert sorted(flags) == ["00"] * 7 + ["01"] * 3
        until(lambda: len(receiver.named("task:submit")) == 3, 10, "the spans")
        assert len(receiver.named("schedule:fire")) == 3

    async def test_without_tracing_a_firing_has_no_trace(self, make_world: MakeWorld) -> None:
        world = await make_world()
        await save_schedules(world, 1)
        world.clock.advance(60)
        world.scheduler.tick()
        assert [task.spec.traceparent for task in world.store.load().tasks] == [None]


async def save_schedules(world: World, count: int) -> None:
    for n in range(count):
        schedule = {"id": f"s{n}", "interval_seconds": 60, "task": _COLLECT}
        answer = await world.http.post("/api/v1/schedules", json=schedule)
        assert answer.status_code == 201


async def test_a_task_that_is_leased_in_the_turn_of_its_acceptance_has_its_wait(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver))
    await world.worker()
    claim = asyncio.ensure_future(world.claim())
    await quiet()
    task_id = await submit(world, _TRACED)
    assert [lease.task_id for lease in await claim] == [task_id]
    await quiet()
    wait = receiver.one("task:wait", task_id=task_id)
    assert wait.ended == wait.begun


async def test_an_attempt_of_a_lost_worker_has_its_span(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver))
    await world.worker()
    task_id = await submit(world, _TRACED)
    await world.claim()
    for _ in range(20):
        world.clock.advance(1)
        world.scheduler.tick()
    lost = receiver.one("task:execute", task_id=task_id)
    assert lost.failed
    assert lost.attributes["worker.id"] == "w1"
    assert int(lost.span_id, 16) == attempt_span_id(task_id, 1)


async def test_a_refused_request_is_a_trace_without_a_task(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    class Away(Between):
        async def submit(self, specs: object) -> object:
            raise RuntimeError("nobody foresaw it")

    world = await make_world(scheduler=Away, tracing=tracing(receiver))
    assert (await world.http.post(TASKS, json=_COLLECT, headers=_TRACED)).status_code == 500
    span = receiver.one("api:endpoint")
    assert span.failed
    assert span.attributes["http.response.status_code"] == 500
    assert span.attributes["http.route"] == TASKS
    assert receiver.named("task:submit") == []


async def test_log_lines_of_a_request_have_its_trace(
    make_world: MakeWorld, receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    class Away(Between):
        async def submit(self, specs: object) -> object:
            raise RuntimeError("nobody foresaw it")

    configure_logs("INFO", "json")
    try:
        world = await make_world(scheduler=Away, tracing=tracing(receiver))
        await world.http.post(TASKS, json=_COLLECT, headers=_TRACED)
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert [line["trace_id"] for line in lines if line["event"] == "request_failed"] == [_TRACE]
    finally:
        structlog.reset_defaults()


async def test_what_monitoring_asks_is_not_traced(
    make_world: MakeWorld, receiver: OtlpReceiver
) -> None:
    world = await make_world(tracing=tracing(receiver, sample_rate=1.0))
    for asked in ("/health", "/metrics", "/api/v1/health/workers", "/api/v1/prometheus/targets"):
        await world.http.get(asked)
    await world.http.get("/api/v1/queues")
    assert receiver.one("api:endpoint").attributes["http.route"] == "/api/v1/queues"


async def test_nothing_is_sent_and_no_more_stored_without_tracing(make_world: MakeWorld) -> None:
    world = await make_world()
    await submit(world, {})
    await submit(world, _TRACED)
    stored = [task.spec.traceparent for task in world.store.load().tasks]
    assert stored == [None, _TRACED["traceparent"]]


@pytest.mark.parametrize(
    "wrong",
    [
        "x", f"00-{_TRACE}-{_CALLER}", f"00-{'0' * 32}-{_CALLER}-01", f"00-{_TRACE}-{'0' * 16}-01",
        f"ff-{_TRACE}-{_CALLER}-01", f"00-{_TRACE}-{_CALLER}-01-more",
        f"00-{_TRACE.upper()}-{_CALLER}-01",
    ],
)  # fmt: skip
async def test_a_traceparent_that_is_not_valid_is_ignored(
    make_world: MakeWorld, wrong: str
) -> None:
    world = await make_world()
    await submit(world, {"traceparent": wrong})
    assert [task.spec.traceparent for task in world.store.load().tasks] == [None]
