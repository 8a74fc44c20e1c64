"""Submit and wait from a driver that joined the cluster. Started by bench_latency.py, in the
folder of a running cluster and with what is needed to join its Ray.

    python -m benchmarks.inside_cluster config.yaml 300

Prints, as JSON, the seconds of so many tasks, one after the other: `submit` of the scheduler's
handle, `wait_over`, and the result as the store has it.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from actors.handles import SchedulerHandle
from cluster import ray_connection
from task_queue.clock import SystemClock
from task_queue.core.status import TERMINAL
from task_queue.scheduler_api import SchedulerApi
from task_queue.settings import load_settings
from task_queue.store import open_reader
from task_queue.store.protocol import Reader
from task_queue.testing import task_spec

_WAIT_SECONDS = 10.0
_PAUSE_SECONDS = 0.005


async def _latencies(scheduler: SchedulerApi, reader: Reader, count: int) -> list[float]:
    await _result(scheduler, reader)  # the first one connects
    seconds = []
    for _ in range(count):
        await asyncio.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        await _result(scheduler, reader)
        seconds.append(time.perf_counter() - began)
    return seconds


async def _result(scheduler: SchedulerApi, reader: Reader) -> bytes:
    """What one no-op task returned."""
    spec = task_spec("task_queue.noop", now=SystemClock().now())
    await scheduler.submit([spec])
    while True:
        await scheduler.wait_over([spec.id], _WAIT_SECONDS)
        task = reader.find([spec.id])[spec.id]
        if task.status in TERMINAL:
            return reader.results([task.seq])[task.seq]


def main() -> None:
    config, count = Path(sys.argv[1]), int(sys.argv[2])
    settings = load_settings(config, os.environ)
    if not ray_connection.find(settings):
        raise SystemExit(f"no cluster of {config} runs here")
    scheduler = SchedulerHandle(settings.ray.namespace)
    print(json.dumps(asyncio.run(_latencies(scheduler, open_reader(settings.store.url), count))))


if __name__ == "__main__":
    main()
