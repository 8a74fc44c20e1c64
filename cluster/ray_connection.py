"""Which Ray a command works on: one that it joins, or a head of its own that it starts and ends."""

import logging
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

import ray

from cluster.local_ray import (
    CLUSTER_ID,
    end_cluster_processes,
    haproxy_folder,
    has_raylet,
    head_environment,
    port_is_taken,
    start_head,
)
from cluster.record import HeadRecord, read_record, record_path, state_folder, write_record
from task_queue.errors import ConfigError, TaskQueueError
from task_queue.settings import Settings

Say = Callable[[str], None]


class RayUnreachable(TaskQueueError):
    """The Ray cluster that was to be used does not answer."""


def connect(settings: Settings, say: Say) -> None:
    """Join the Ray of the settings, or the head of an earlier `up`, or start a head.

    Raises:
        ConfigError: a port that the head needs is taken.
        RayDidNotStart, RayUnreachable: there is no Ray to work with.
    """
    if find(settings):
        say(f"joined the running Ray at {ray.get_runtime_context().gcs_address}")
        return
    if settings.ray.address is not None:
        raise RayUnreachable(
            f"ray.address: no Ray answers at '{settings.ray.address}': start it first, or set "
            "ray.address to null to have one started here"
        )
    if end_own_head(settings) is not None:
        say("the Ray of the last 'up' is gone: starting it again")
    address = _start(settings, say)
    if not _init(address, settings):
        raise RayUnreachable(f"Ray was started at {address} and does not answer")


def find(settings: Settings) -> bool:
    """Join what runs already. Returns whether there was anything to join."""
    if settings.ray.address is not None:
        return _init(settings.ray.address, settings)
    record = read_record(record_path(settings.http.port))
    if record is None or not record.address or not port_is_taken(*_host_port(record.address)):
        return False
    if not has_raylet(record.cluster_id, record.session_folder):
        return False  # a GCS alone lets whoever joins wait for a minute
    os.environ[CLUSTER_ID] = record.cluster_id
    return _init(record.address, settings)


def end_own_head(settings: Settings) -> int | None:
    """End every process of the head that `up` started here. How many; None if there is no head."""
    path = record_path(settings.http.port)
    record = read_record(path)
    if record is None or settings.ray.address is not None:
        return None
    count = end_cluster_processes(record.cluster_id, record.session_folder)
    # Ray refuses to start beside the address of a head that it takes for alive.
    (Path(record.temp_dir) / "ray_current_cluster").unlink(missing_ok=True)
    shutil.rmtree(haproxy_folder(record.cluster_id), ignore_errors=True)
    path.unlink()
    return count


def _start(settings: Settings, say: Say) -> str:
    for name, port in (("http.port", settings.http.port), ("ray.gcs_port", settings.ray.gcs_port)):
        if port_is_taken("127.0.0.1", port):
            raise ConfigError(
                f"{name}: something else listens on port {port}: end it, or choose another port"
            )
    path, temp_dir = record_path(settings.http.port), settings.ray.temp_dir
    cluster_id = secrets.token_hex(8)
    # Written first: if `ray start` hangs or this process is killed, `down` can still clean up.
    write_record(path, HeadRecord(cluster_id, "", temp_dir))
    say("starting Ray ...")
    address = start_head(settings, head_environment(settings, cluster_id, state_folder()))
    session = str((Path(temp_dir) / "session_latest").resolve())
    write_record(path, HeadRecord(cluster_id, address, temp_dir, session))
    os.environ[CLUSTER_ID] = cluster_id
    say(f"Ray runs at {address}")
    return address


def _init(address: str, settings: Settings) -> bool:
    try:
        ray.init(
            address, namespace=settings.ray.namespace, log_to_driver=False,
            logging_level=logging.ERROR, configure_logging=False,
        )  # fmt: skip
    except ConnectionError:
        return False
    return True


def _host_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
