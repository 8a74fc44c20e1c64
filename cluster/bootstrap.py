"""Brings a cluster up, takes it down, says how it is: the steps, in order.

Every step can be repeated: it finds what is there and makes only what is missing.
"""

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

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
from cluster.describe_pools import describe_pools
from cluster.local_ray import (
    CLUSTER_ID,
    end_cluster_processes,
    haproxy_folder,
    head_environment,
    port_is_taken,
    start_head,
)
from cluster.record import ClusterRecord, read_record, record_path, state_folder, write_record
from cluster.supervisor_actor import SupervisorActor
from serve_app.app import APP_NAME, build_app
from task_queue.errors import ConfigError, TaskQueueError
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.settings import Settings, settings_to_json
from task_queue.store.query import Pool
from task_queue.tasks import TaskType

_HEALTHY_SECONDS = 90.0
_POLL_SECONDS = 0.2

Say = Callable[[str], None]


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
        RayDidNotStart, ClusterUnhealthy: what was started is left for a look; `down` ends it.
    """
    began = time.monotonic()
    _check_store(settings)
    pools, task_types = asyncio.run(describe_pools(settings))
    say(f"{len(task_types)} tasks known to {len(pools)} pool(s)")
    record = _connect(settings, say)
    asyncio.run(_start_actors(settings, pools, task_types, say))
    _start_serve(settings, say)
    workers = _wait_until_healthy(settings, say)
    dashboard = None
    if record.owns_ray and settings.ray.dashboard:
        dashboard = f"http://127.0.0.1:{settings.ray.dashboard_port}"
    return Running(api_url(settings), dashboard, workers, time.monotonic() - began)


def down(settings: Settings, say: Say) -> bool:
    """Drain the workers, then end what `up` started. Returns whether there was anything."""
    path = record_path(settings.http.port)
    record = read_record(path)
    if record is None:
        return False
    if _try_connect(record):
        grace = max(pool.drain_seconds for pool in settings.pools.values())
        asyncio.run(_stop_actors(record.namespace, grace, say))
        if record.owns_ray:
            serve.shutdown()  # type: ignore[no-untyped-call]  # Ray has no types here
        else:
            serve.delete(APP_NAME)
        ray.shutdown()
    if record.owns_ray:
        say(f"ended {_end_head(record)} processes of Ray")
    path.unlink()
    return True


def api_url(settings: Settings) -> str:
    """Where the HTTP API is."""
    host = "127.0.0.1" if settings.http.host == "0.0.0.0" else settings.http.host
    return f"http://{host}:{settings.http.port}"


# ---- Ray ---------------------------------------------------------------------------------------


def _connect(settings: Settings, say: Say) -> ClusterRecord:
    """Join the cluster of an earlier `up`, or the one of the settings, or start a head."""
    path = record_path(settings.http.port)
    record = read_record(path)
    if record is not None:
        if _try_connect(record):
            say(f"joined the running cluster at {record.address}")
            return record
        say("the cluster of the last 'up' is gone: starting it again")
        if record.owns_ray:
            _end_head(record)
    record = _start_or_join(settings, path, say)
    if not _try_connect(record):
        raise ClusterUnhealthy(f"Ray at {record.address} does not answer")
    return record


def _start_or_join(settings: Settings, path: Path, say: Say) -> ClusterRecord:
    wanted = settings.ray
    if wanted.address is not None:
        record = ClusterRecord("", wanted.address, False, wanted.temp_dir, wanted.namespace)
        write_record(path, record)
        return record
    for name, port in (("http.port", settings.http.port), ("ray.gcs_port", wanted.gcs_port)):
        if port_is_taken("127.0.0.1", port):
            raise ConfigError(
                f"{name}: something else listens on port {port}: end it, or choose another port"
            )
    cluster_id = secrets.token_hex(8)
    # Written first: if `ray start` hangs or this process is killed, `down` can still clean up.
    write_record(path, ClusterRecord(cluster_id, "", True, wanted.temp_dir, wanted.namespace))
    say("starting Ray ...")
    address = start_head(settings, head_environment(settings, cluster_id, state_folder()))
    record = ClusterRecord(cluster_id, address, True, wanted.temp_dir, wanted.namespace)
    write_record(path, record)
    say(f"Ray runs at {address}")
    return record


def _end_head(record: ClusterRecord) -> int:
    """End every process of a head that was started here, and what would confuse the next one."""
    count = end_cluster_processes(record.cluster_id)
    # Ray refuses to start beside the address of a head that it takes for alive.
    (Path(record.temp_dir) / "ray_current_cluster").unlink(missing_ok=True)
    shutil.rmtree(haproxy_folder(record.cluster_id), ignore_errors=True)
    return count


def _try_connect(record: ClusterRecord) -> bool:
    if ray.is_initialized():
        return True
    if record.owns_ray:
        if not record.address or not port_is_taken(*_host_port(record.address)):
            return False
        os.environ[CLUSTER_ID] = record.cluster_id
    try:
        ray.init(
            record.address, namespace=record.namespace, log_to_driver=False,
            logging_level=logging.ERROR, configure_logging=False,
        )  # fmt: skip
    except ConnectionError:
        return False
    return True


def _host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


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


async def _stop_actors(namespace: str, grace_seconds: float, say: Say) -> None:
    supervisor = await SupervisorHandle.find(namespace)
    if supervisor is not None:
        say(f"drained {await supervisor.stop(grace_seconds)} worker(s)")
        await end_actor(SUPERVISOR_NAME, namespace)
    try:
        await SchedulerHandle(namespace, patience_seconds=2.0).stop()
    except SchedulerUnavailable as error:
        say(f"the scheduler did not answer: {error}")
    await end_actor(SCHEDULER_NAME, namespace)


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
