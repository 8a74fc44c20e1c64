"""Brings a cluster up and takes it down: the steps, in order.

Every step can be repeated: it finds what is there and makes only what is missing or different.
"""

import asyncio
import logging
import time

import ray
from msgspec import Struct
from ray import serve

from actors.handles import SchedulerHandle
from actors.options import SCHEDULER_NAME, SUPERVISOR_NAME
from cluster import ray_connection
from cluster.api_url import api_url
from cluster.applied import (
    RELEASE,
    Applied,
    changed_sections,
    forget_applied,
    read_applied,
    refuse_fixed_changes,
    write_applied,
)
from cluster.describe_pools import describe_pools
from cluster.end_workers import end_workers
from cluster.generation import generation_of
from cluster.health import wait_for_api
from cluster.ray_connection import Say
from cluster.ray_workers import RayWorkers
from cluster.rollout import ClusterUnhealthy, Plan, end_for_good, missing_workers, roll_out
from serve_app.app import APP_NAME, build_app, serve_logging
from task_queue.errors import ConfigError
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.settings import Settings, settings_to_json

_HEALTHY_SECONDS = 90.0
_POLL_SECONDS = 0.2


class Running(Struct):
    """A cluster that is up."""

    api_url: str
    dashboard_url: str | None
    workers: int
    seconds: float  #: that `up` took


def up(settings: Settings, say: Say) -> Running:
    """Start what is missing, replace what runs with other settings, wait until it is healthy.

    Raises:
        ConfigError: the settings cannot work here, or not while the queue runs; nothing was done.
        TaskModuleError: a task module cannot be imported; nothing was done.
        RayDidNotStart, RayUnreachable: there is no Ray to work with.
        ClusterUnhealthy: what was started is left for a look; `down` ends it.
    """
    began = time.monotonic()
    _check_store(settings)
    pools, task_types = asyncio.run(describe_pools(settings))
    say(f"{len(task_types)} tasks known to {len(pools)} pool(s)")
    ray_connection.connect(settings, say)
    applied = read_applied(settings)
    if applied is not None:
        refuse_fixed_changes(applied, settings)
    generation = generation_of(settings, pools, task_types)
    new_workers = applied is None or applied.generation != generation
    changed = changed_sections(applied, settings)
    plan = Plan(settings, generation, pools, task_types, changed, new_workers)
    asyncio.run(roll_out(plan, say))
    _start_serve(settings, bool(changed), say)
    workers = asyncio.run(_wait_until_healthy(settings))
    say(f"{workers} worker(s) ready")
    write_applied(settings, Applied(settings_to_json(settings), generation, RELEASE))
    dashboard = None
    if settings.ray.address is None and settings.ray.dashboard:
        dashboard = f"http://127.0.0.1:{settings.ray.dashboard_port}"
    return Running(api_url(settings), dashboard, workers, time.monotonic() - began)


def down(settings: Settings, say: Say) -> bool:
    """Drain the workers, then end what `up` started. Returns whether there was anything."""
    found = False
    if ray_connection.find(settings):
        grace = max(pool.drain_seconds for pool in settings.pools.values())
        found = asyncio.run(_stop_actors(settings, grace, say))
        forget_applied(settings)
        _silence_serve()
        if APP_NAME in serve.status().applications:
            serve.delete(APP_NAME)
        ray.shutdown()
    ended = ray_connection.end_own_head(settings)
    if ended is not None:
        say(f"ended {ended} processes of Ray")
    return found or ended is not None


def _check_store(settings: Settings) -> None:
    url = settings.store.url
    if url == "memory:":
        raise ConfigError(
            "store.url 'memory:' forgets everything and can be read by one process only: "
            "give sqlite:///path/to/queue.db"
        )
    if "/runtime_resources/" in url:
        raise ConfigError(
            f"store.url '{url}' lies in the folder that Ray deletes when this job ends: "
            "give an absolute path, sqlite:////var/lib/task-queue/queue.db"
        )


async def _stop_actors(settings: Settings, grace_seconds: float, say: Say) -> bool:
    namespace = settings.ray.namespace
    found = await end_for_good(SUPERVISOR_NAME, namespace)
    patient = SchedulerHandle(namespace, patience_seconds=15.0)  # it may just be starting again
    workers = await end_workers(RayWorkers(settings), patient, grace_seconds, say)
    if workers:
        say(f"ended {workers} worker(s)")
    try:
        await SchedulerHandle(namespace, patience_seconds=2.0).stop()
    except SchedulerUnavailable as error:
        say(f"the scheduler did not answer: {error}")
    return await end_for_good(SCHEDULER_NAME, namespace) or found or workers > 0


# ---- the HTTP API ------------------------------------------------------------------------------


def _start_serve(settings: Settings, replace: bool, say: Say) -> None:
    _silence_serve()
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": settings.http.host, "port": settings.http.port},
        logging_config=serve_logging(settings),
    )
    if replace or APP_NAME not in serve.status().applications:
        say("starting the HTTP API ...")
        # An application that runs is replaced without a gap: Serve starts the new replicas first.
        serve.run(build_app(settings), name=APP_NAME, route_prefix="/", blocking=False)


def _silence_serve() -> None:
    """Its progress is told by ours."""
    for name in ("ray.serve", "ray._private.worker"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _wait_until_healthy(settings: Settings) -> int:
    """Wait until the API answers and every pool has its smallest number of workers; how many."""
    scheduler = SchedulerHandle(settings.ray.namespace)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _HEALTHY_SECONDS
    while True:
        lacking = await wait_for_api(settings, deadline - loop.time())
        if not lacking:
            reading = await scheduler.read()
            lacking = missing_workers(settings, reading)
        if not lacking:
            return len(reading.workers)
        if loop.time() > deadline:
            raise ClusterUnhealthy(f"not healthy after {_HEALTHY_SECONDS:.0f} s: {lacking}")
        await asyncio.sleep(_POLL_SECONDS)
