"""The HTTP API over a store that has its tasks, with a scheduler of its own: for bench_analytics.

    python -m benchmarks.analytics_api STORE_URL PORT NOW

The application that `build_api` makes, as a replica in Ray Serve has it, behind uvicorn on
127.0.0.1; no proxy and no Ray. Its clock begins at NOW, in seconds since the epoch.
"""

import asyncio
import gc
import random
import sys

import uvicorn

from serve_app.api import build_api
from task_queue.clock import SystemClock
from task_queue.core.settings import Rules
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.settings import PoolSettings, Settings, StoreSettings
from task_queue.store import open_reader, open_store


class _ClockFrom(SystemClock):
    """Runs as the machine's, from another time on."""

    def __init__(self, now: float) -> None:
        self._ahead = now - super().now()

    def now(self) -> float:
        return super().now() + self._ahead


async def serve(store_url: str, port: int, now: float) -> None:
    """Answer requests until SIGTERM."""
    clock = _ClockFrom(now)
    parts = SchedulerParts(
        lambda: open_store(store_url), Rules(), clock, new_task_id, random.Random(0).random,
        next_firing,
    )  # fmt: skip
    scheduler = Scheduler(parts)
    await scheduler.started()
    settings = Settings(pools={"default": PoolSettings()}, store=StoreSettings(url=store_url))
    app = build_api(scheduler, lambda: open_reader(store_url), settings, clock, "bench")
    gc.collect()
    gc.freeze()  # as serve_app/app.py
    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()
    scheduler.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
