"""A trace is stored with its task: a new scheduler goes on with it, whatever the store."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.attempt_spans import AttemptSpans
from monitoring.spans import Spans
from task_queue.core.events import WorkerPulled, WorkerRegistered
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Report
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.settings import TracingSettings
from task_queue.testing import FakeClock, task_spec
from task_queue.tracing.span_ids import attempt_span_id, submit_span_id
from tests.scheduler.hall import quiet
from tests.store.conftest import new_postgres
from tests.store.databases import KINDS, Database, NewPostgres
from tests.tracing.otlp_receiver import OtlpReceiver, otlp_receiver

__all__ = ["new_postgres"]
pytestmark = pytest.mark.anyio

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=KINDS)
def database(
    request: pytest.FixtureRequest, tmp_path: Path, new_postgres: NewPostgres
) -> Iterator[Database]:
    made = KINDS[request.param](tmp_path, new_postgres)
    yield made
    made.close()


class Life:
    """A scheduler from its start to its end, and worker w1."""

    def __init__(self, database: Database, clock: FakeClock, spans: Spans) -> None:
        self.clock = clock
        parts = SchedulerParts(
            database.writer, Rules(), clock, new_task_id, random.Random(0).random, next_firing,
            on_turn=AttemptSpans(spans).take,
        )  # fmt: skip
        self.scheduler = Scheduler(parts)

    async def attempt(self, worker: str, outcome: Outcome) -> str:
        """Have a new worker run the one task that waits; the task's id."""
        await self.scheduler.request(
            WorkerRegistered(WorkerInfo(worker, worker, "pool", ("*",), 1))
        )
        grant = await self.scheduler.pull(WorkerPulled(worker, worker, 1, 1))
        (lease,) = grant.leases
        assert lease.traceparent == f"00-{_TRACE}-00f067aa0ba902b7-01"
        report = Report(lease.task_id, lease.attempt, outcome, self.clock.now(), 0.5)
        await self.scheduler.request(WorkerPulled(worker, worker, 2, 0, [report]))
        return lease.task_id


async def test_a_retry_under_a_new_scheduler_links_to_the_attempt_under_the_old_one(
    database: Database,
) -> None:
    clock = FakeClock()
    with otlp_receiver() as receiver:
        spans = Spans(TracingSettings(enabled=True, endpoint=receiver.endpoint), "scheduler")
        try:
            await _two_lives(database, clock, spans, receiver)
        finally:
            spans.close()


async def _two_lives(
    database: Database, clock: FakeClock, spans: Spans, receiver: OtlpReceiver
) -> None:
    before = Life(database, clock, spans)
    await before.scheduler.started()
    traceparent = f"00-{_TRACE}-00f067aa0ba902b7-01"
    await before.scheduler.submit(
        [task_spec(now=clock.now(), max_retries=1, traceparent=traceparent)]
    )
    task_id = await before.attempt("w1", Outcome.FAILED)
    before.scheduler.stop()

    after = Life(database, clock, spans)
    await after.scheduler.started()
    clock.advance(400)
    after.scheduler.tick()
    assert await after.attempt("w2", Outcome.SUCCEEDED) == task_id
    await quiet()
    first = receiver.one("task:execute", task_attempt=1)
    second = receiver.one("task:execute", task_attempt=2)
    assert int(first.span_id, 16) == attempt_span_id(task_id, 1)
    assert second.links == (first.span_id,)
    assert {first.trace_id, second.trace_id} == {_TRACE}
    assert int(second.parent, 16) == int(first.parent, 16) == submit_span_id(task_id)
    assert (first.attributes["worker.id"], second.attributes["worker.id"]) == ("w1", "w2")
    after.scheduler.stop()
