"""The supervisor actor: a `Supervisor` as Ray starts it, and starts it again after a crash.

It takes no calls: its event loop has the main thread to itself, for ever. In an actor that waits
for calls Ray wakes that thread a hundred times a second to look for signals, which costs 0.4 % of a
core while nothing happens (`docs/performance.md`). Whoever wants it gone ends its process.
"""

import asyncio
import os
import time
from typing import NoReturn

from actors.handles import SchedulerHandle, call_own_start
from actors.outlive_sigterm import outlive_sigterm
from cluster.node_watch import NodeWatch
from cluster.ray_nodes import RayNodes
from cluster.ray_workers import RayWorkers
from cluster.supervisor import Supervisor
from monitoring.logs import configure_logs, get_logger
from task_queue.clock import SystemClock
from task_queue.settings import settings_from_json

_AGAIN_SECONDS = 1.0


class SupervisorActor:
    """What `ray.remote` wraps. No method is a coroutine: Ray would run them all in a thread."""

    def __init__(self, settings_json: bytes, generation: str) -> None:
        self._settings_json = settings_json
        self._generation = generation
        call_own_start()  # after a crash Ray makes this actor anew, and nobody else would call

    def start(self) -> NoReturn:
        """Look after the pools. If that cannot go on, Ray makes this actor anew."""
        outlive_sigterm()
        try:
            asyncio.run(_supervise(self._settings_json, self._generation))
        except BaseException:  # noqa: BLE001  a process without its one call would do nothing
            get_logger("supervisor").exception("supervisor_ended")
        time.sleep(_AGAIN_SECONDS)  # Ray would make it anew at once, again and again
        os._exit(1)


async def _supervise(settings_json: bytes, generation: str) -> None:
    settings = settings_from_json(settings_json)
    configure_logs(settings.logging.level, settings.logging.format)
    clock, nodes = SystemClock(), RayNodes()
    scheduler = SchedulerHandle(settings.ray.namespace)
    supervisor = Supervisor(settings, scheduler, clock, RayWorkers(settings), nodes, generation)
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run_for_ever())
        group.create_task(NodeWatch(nodes, supervisor, clock).run_for_ever())
