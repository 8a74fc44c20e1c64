"""A worker's life as spans, from a real worker and a real scheduler."""

import asyncio

import pytest

from actors.traced_calls import TracedCalls
from actors.worker import Worker
from monitoring.spans import Spans
from task_queue.core.events import WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler import Scheduler
from task_queue.settings import TracingSettings
from task_queue.testing import FakeClock
from tests.actors.fake_executors import FakeExecutors
from tests.scheduler.hall import quiet
from tests.tracing.otlp_receiver import SeenSpan, otlp_receiver

pytestmark = pytest.mark.anyio


async def drained(scheduler: Scheduler, clock: FakeClock, sample_rate: float) -> list[SeenSpan]:
    """The spans of a worker that comes, says nothing for two polls, and is drained."""
    with otlp_receiver() as receiver:
        spans = Spans(
            TracingSettings(enabled=True, endpoint=receiver.endpoint, sample_rate=sample_rate),
            "worker",
        )
        info = WorkerInfo("w-1", "one", "images", ("*",), 2, hostname="host-7")
        executors = FakeExecutors(slots=2)
        worker = Worker(info, TracedCalls(scheduler, spans, info, clock), executors, clock)
        executors.on_change = worker.on_change
        running = asyncio.ensure_future(worker.run())
        async with asyncio.timeout(30):
            while not (await scheduler.read()).workers:
                await asyncio.sleep(0)
        for _ in range(2):
            await quiet()
            clock.advance(5)
            scheduler.tick()
        await quiet()
        clock.advance(1)  # or its answer would be too soon after the last for another heartbeat
        await scheduler.request(WorkerStatusWanted("w-1", WorkerStatus.DRAINING))
        clock.advance(5)
        scheduler.tick()
        assert await running == "drained"
        await asyncio.to_thread(spans.close)
        return sorted(receiver.spans, key=lambda span: span.begun)


async def test_register_heartbeats_and_deregister(scheduler: Scheduler, clock: FakeClock) -> None:
    spans = await drained(scheduler, clock, sample_rate=1.0)
    names = [span.name for span in spans]
    assert (names[0], names[-1]) == ("worker:register", "worker:deregister")
    assert set(names[1:-1]) == {"worker:heartbeat"}
    assert spans[0].attributes == {
        "worker.id": "w-1", "worker.hostname": "host-7", "worker.status": "active",
        "worker.pool": "images",
    }  # fmt: skip
    assert spans[-2].attributes["worker.status"] == "draining"
    assert spans[-1].attributes["worker.status"] == "ended"
    assert len({span.trace_id for span in spans}) == len(spans)


async def test_only_heartbeats_are_sampled(scheduler: Scheduler, clock: FakeClock) -> None:
    spans = await drained(scheduler, clock, sample_rate=0.0)
    assert [span.name for span in spans] == ["worker:register", "worker:deregister"]
