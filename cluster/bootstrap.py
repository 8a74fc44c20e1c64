"""Brings a cluster up, takes it down, says how it is: the steps, in order.

Every step can be repeated: it finds what is there and makes only what is missing.
"""

import asyncio
import logging
import time

import httpx
import ray
from msgspec import Struct
from ray import serve

from actors.handles import SchedulerHandle, SupervisorHandle, create_actor, end_actor
from actors.options import (
    SCHEDULER_NAME,
    SUPERVISOR_NAME,
    scheduler_actor,
    supervisor_actor,
)
from actors.scheduler import SchedulerActor
from cluster import ray_connection
from cluster.describe_pools import describe_pools
from cluster.ray_connection import Say
from cluster.supervisor_actor import SupervisorActor
from serve_app.app import APP_NAME, build_app
from task_queue.errors import ConfigError, TaskQueueError
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.settings import Settings, settings_to_json
from task_queue.store.query import Pool
from task_queue.tasks import TaskType

_HEALTHY_SECONDS = 90.0
_POLL_SECONDS = 0.2


class ClusterUnhealthy(TaskQueueError):
    """The cluster did not become healthy in time; the message says what it lacked."""


class Running(Struct):
    """A cluster that is up."""

    api_url: str
    dashboard_url: str | None
    workers: int
    seconds: float  #: that `up` took


def up(settings: Settings, say: Say) -> Running:
    """Start what is missing and wait until it is healthy.

    Raises:
        ConfigError: the settings cannot work here; nothing was started.
        TaskModuleError: a task module cannot be imported; nothing was started.
        RayDidNotStart, RayUnreachable: there is no Ray to work with.
        ClusterUnhealthy: what was started is left for a look; `down` ends it.
    """
    began = time.monotonic()
    _check_store(settings)
    pools, task_types = asyncio.run(describe_pools(settings))
    say(f"{len(task_types)} tasks known to {len(pools)} pool(s)")
    ray_connection.connect(settings, say)
    asyncio.run(_start_actors(settings, pools, task_types, say))
    _start_serve(settings, say)
    workers = _wait_until_healthy(settings, say)
    dashboard = None
    if settings.ray.address is None and settings.ray.dashboard:
        dashboard = f"http://127.0.0.1:{settings.ray.dashboard_port}"
    return Running(api_url(settings), dashboard, workers, time.monotonic() - began)


def down(settings: Settings, say: Say) -> bool:
    """Drain the workers, then end what `up` started. Returns whether there was anything."""
    found = False
    if ray_connection.find(settings):
        grace = max(pool.drain_seconds for pool in settings.pools.values())
        found = asyncio.run(_stop_actors(settings.ray.namespace, grace, say))
        if APP_NAME in serve.status().applications:
            serve.delete(APP_NAME)
        ray.shutdown()
    ended = ray_connection.end_own_head(settings)
    if ended is not None:
        say(f"ended {ended} processes of Ray")
    return found or ended is not None


def api_url(settings: Settings) -> str:
    """Where the HTTP API is."""
    host = "127.0.0.1" if settings.http.host == "0.0.0.0" else settings.http.host
    return f"http://{host}:{settings.http.port}"


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


# ---- actors and Serve --------------------------------------------------------------------------


async def _start_actors(
    settings: Settings, pools: list[Pool], task_types: list[TaskType], say: Say
) -> None:
    namespace = settings.ray.namespace
    blob = settings_to_json(settings)
    create_actor(scheduler_actor(SchedulerActor, namespace, on_head=True), blob)
    scheduler = SchedulerHandle(namespace, patience_seconds=30.0)
    async with asyncio.timeout(_HEALTHY_SECONDS):
        await scheduler.ready()
    await scheduler.declare(pools, task_types)
    say("the scheduler has loaded its store")
    supervisor = SupervisorHandle(create_actor(supervisor_actor(SupervisorActor, namespace), blob))
    await supervisor.start()


async def _stop_actors(namespace: str, grace_seconds: float, say: Say) -> bool:
    supervisor = await SupervisorHandle.find(namespace)
    if supervisor is not None:
        say(f"drained {await supervisor.stop(grace_seconds)} worker(s)")
        await end_actor(SUPERVISOR_NAME, namespace)
    try:
        await SchedulerHandle(namespace, patience_seconds=2.0).stop()
    except SchedulerUnavailable as error:
        say(f"the scheduler did not answer: {error}")
    return await end_actor(SCHEDULER_NAME, namespace) or supervisor is not None


def _start_serve(settings: Settings, say: Say) -> None:
    say("starting the HTTP API ...")
    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # its progress is told by ours
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": settings.http.host, "port": settings.http.port},
        logging_config={"enable_access_log": False, "log_level": "WARNING"},
    )
    if APP_NAME not in serve.status().applications:
        serve.run(build_app(settings), name=APP_NAME, route_prefix="/", blocking=False)


def _wait_until_healthy(settings: Settings, say: Say) -> int:
    """Wait until the API answers and every pool has its smallest number of workers."""
    wanted = sum(pool.min_workers for pool in settings.pools.values())
    deadline = time.monotonic() + _HEALTHY_SECONDS
    lacking = "the HTTP API does not answer"
    with httpx.Client(base_url=api_url(settings), timeout=5.0) as client:
        while time.monotonic() < deadline:
            try:
                answer = client.get("/health")
                workers = answer.json()["checks"]["workers"]["active_count"]
                if answer.status_code == 200 and workers >= wanted:
                    say(f"{workers} worker(s) ready")
                    return int(workers)
                lacking = f"{workers} of {wanted} workers are ready; health: {answer.text}"
            except (httpx.TransportError, ValueError, KeyError) as error:
                lacking = f"the HTTP API does not answer: {error!r}"
            time.sleep(_POLL_SECONDS)
    raise ClusterUnhealthy(f"not healthy after {_HEALTHY_SECONDS:.0f} s: {lacking}")
