"""The log line of a worker's heartbeat, as the monitoring guide shows it."""

import io
import json

import pytest

from monitoring.logs import configure_logs
from task_queue.scheduler import Scheduler
from task_queue.testing import FakeClock
from tests.actors.fake_executors import FakeExecutors, until
from tests.actors.test_worker import submit, working

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
async def test_a_heartbeat_has_the_fields_of_the_guide_and_is_for_debugging(
    scheduler: Scheduler, clock: FakeClock, level: str
) -> None:
    stream = io.StringIO()
    configure_logs(level, "json", stream)
    executors = FakeExecutors(slots=5)
    async with working(scheduler, executors, clock):
        await submit(scheduler, 3)
        await until(lambda: len(executors.running) == 3)
        clock.advance(60)
        executors.finish(next(iter(executors.running)))
        await until(lambda: len(executors.running) == 2)
        lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    beats = [line for line in lines if line["event"] == "worker_heartbeat"]
    assert bool(beats) == (level == "DEBUG")
    for beat in beats:
        assert str(beat.pop("timestamp")).endswith("Z")
        assert 0 <= beat.pop("current_load") <= 5
        assert beat.pop("uptime_seconds") in (0, 60)
        assert beat == {
            "level": "DEBUG", "logger": "worker_service", "event": "worker_heartbeat",
            "worker_id": "w-1", "capacity": 5,
        }  # fmt: skip
