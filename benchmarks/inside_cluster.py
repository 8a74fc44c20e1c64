"""Submit and wait from a driver that joined the cluster. Started by bench_latency.py, in the
folder of a running cluster and with what is needed to join its Ray.

    python -m benchmarks.inside_cluster config.yaml 300

Prints, as JSON, the seconds of so many tasks, one after the other, from `submit` of the scheduler's
handle to the result: what the API does for a request that submits and waits.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from actors.handles import SchedulerHandle
from cluster import ray_connection
from serve_app.submit_and_wait import submit_and_wait
from serve_app.submit_coalescer import SubmitCoalescer
from task_queue.clock import SystemClock
from task_queue.scheduler_api import SchedulerApi
from task_queue.settings import load_settings
from task_queue.testing import task_spec

_WAIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.005


async def _latencies(scheduler: SchedulerApi, count: int) -> list[float]:
    await scheduler.submit([])  # it connects
    coalescer = SubmitCoalescer(scheduler.submit)
    await _result(coalescer, scheduler)
    seconds = []
    for _ in range(count):
        await asyncio.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        await _result(coalescer, scheduler)
        seconds.append(time.perf_counter() - began)
    return seconds


async def _result(coalescer: SubmitCoalescer, scheduler: SchedulerApi) -> bytes:
    """What one no-op task returned."""
    spec = task_spec("task_queue.noop", now=SystemClock().now())
    run = await submit_and_wait(coalescer, scheduler, spec, _WAIT_SECONDS)
    assert run.end is not None and run.end.result is not None
    return run.end.result


def main() -> None:
    config, count = Path(sys.argv[1]), int(sys.argv[2])
    settings = load_settings(config, os.environ)
    if not ray_connection.find(settings):
        raise SystemExit(f"no cluster of {config} runs here")
    scheduler = SchedulerHandle(settings.ray.namespace)
    print(json.dumps(asyncio.run(_latencies(scheduler, count))))


if __name__ == "__main__":
    main()
