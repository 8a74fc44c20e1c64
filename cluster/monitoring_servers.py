"""A Prometheus and an Alertmanager beside the queue of some settings: started, reloaded, ended.

What was started is written down with its pid and its start time, so that no other process that got
the same pid is ever ended.
"""

import os
import shutil
import signal
import time
from pathlib import Path

import httpx
import msgspec
import psutil

from cluster.api_url import api_url
from cluster.local_ray import port_is_taken
from cluster.monitoring_files import write_monitoring_files
from cluster.record import state_folder
from task_queue.errors import ConfigError, TaskQueueError
from task_queue.settings import Settings

SHIPPED_FILES = Path(__file__).resolve().parent.parent / "monitoring"
_READY_SECONDS = 30.0
_END_SECONDS = 10.0
_LOOK_SECONDS = 0.1


class MonitoringFailed(TaskQueueError):
    """A server is not installed or did not start; the message says which and where its log is."""


class Server(msgspec.Struct):
    """A server that was started here."""

    name: str
    command: list[str]
    port: int
    pid: int = 0
    started_at: float = 0.0  #: of the process, as the system counts it

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def monitoring_folder(settings: Settings) -> Path:
    """Where files, data, logs and the record of the servers are."""
    return state_folder() / f"monitoring-{settings.http.port}"


def start_monitoring(settings: Settings, shipped: Path) -> list[Server]:
    """Start both servers, or have those that run read their files again; ready when it returns.

    Args:
        shipped: the folder with prometheus/ and alertmanager/.

    Raises:
        ConfigError: the queue is not up, wants a key, or a port is taken; nothing was started.
        MonitoringFailed: a server is not installed, or does not take its files.
    """
    key = os.environ.get("TASK_QUEUE_API_KEY", "")
    _check_queue(settings, key)
    folder = monitoring_folder(settings)
    wanted = [_prometheus(settings, folder), _alertmanager(settings, folder)]
    running = {server.name: server for server in _recorded(folder) if _process(server)}
    for server in wanted:
        old = running.get(server.name)
        if (old is None or old.port != server.port) and port_is_taken("127.0.0.1", server.port):
            raise ConfigError(
                f"monitoring.{server.name}_port: something else listens on port {server.port}: "
                "end it, or choose another port"
            )
    write_monitoring_files(settings, shipped, folder, key)
    for server in wanted:
        running[server.name] = _started(server, running.get(server.name), folder)
        _write_record(folder, list(running.values()))
    for server in running.values():
        _wait_until_ready(server, folder)
    return list(running.values())


def stop_monitoring(settings: Settings) -> list[str]:
    """End what was started, and nothing else. Names of what was ended; the data is kept."""
    folder = monitoring_folder(settings)
    ended = [server.name for server in _recorded(folder) if _end(server)]
    (folder / "servers.json").unlink(missing_ok=True)
    return ended


def _prometheus(settings: Settings, folder: Path) -> Server:
    port = settings.monitoring.prometheus_port
    command = [
        _binary("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",  # else it drops what leads from a latency to its trace
    ]
    return Server("prometheus", command, port)


def _alertmanager(settings: Settings, folder: Path) -> Server:
    port = settings.monitoring.alertmanager_port
    command = [
        _binary("prometheus-alertmanager", "alertmanager"),
        f"--config.file={folder / 'alertmanager.yml'}",
        f"--storage.path={folder / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",  # one alone
    ]
    return Server("alertmanager", command, port)


def _binary(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise MonitoringFailed(f"{names[0]} is not installed: apt-get install {names[0]}")


def _check_queue(settings: Settings, key: str) -> None:
    url = f"{api_url(settings)}/api/v1/prometheus/targets"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(url, headers=headers, timeout=10.0)
    except httpx.TransportError as error:
        raise ConfigError(
            f"http.port: no queue answers at {api_url(settings)} ({type(error).__name__}): "
            "start it first, with make run"
        ) from None
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise ConfigError(
            "http.api_keys: the queue wants a key from Prometheus too: set TASK_QUEUE_API_KEY"
        )


def _started(server: Server, old: Server | None, folder: Path) -> Server:
    """The running server, with the new files."""
    if old is not None and old.command == server.command and (process := _process(old)):
        process.send_signal(signal.SIGHUP)  # both read their files again
        return old
    if old is not None:
        _end(old)
    server.pid = _spawn(server.command, folder / f"{server.name}.log")
    server.started_at = psutil.Process(server.pid).create_time()
    return server


def _spawn(command: list[str], log: Path) -> int:
    """Start a process that outlives this one; its pid."""
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    return os.posix_spawn(command[0], command, os.environ, file_actions=actions, setsid=True)


def _wait_until_ready(server: Server, folder: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not _is_ready(server):
        if _process(server) is None or time.monotonic() > deadline:
            log = folder / f"{server.name}.log"
            told = "\n".join(log.read_text(errors="replace").splitlines()[-5:])
            raise MonitoringFailed(f"{server.name} did not get ready; the end of {log}:\n{told}")
        time.sleep(_LOOK_SECONDS)


def _is_ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/-/ready", timeout=1.0).is_success
    except httpx.TransportError:
        return False


def _process(server: Server) -> psutil.Process | None:
    """The process, if it lives and is the one that was started here."""
    try:
        process = psutil.Process(server.pid)
        alive = process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return None
    return process if alive and process.create_time() == server.started_at else None


def _end(server: Server) -> bool:
    process = _process(server)
    if process is None:
        return False
    process.terminate()
    _, alive = psutil.wait_procs([process], timeout=_END_SECONDS)
    for left in alive:
        left.kill()
    return True


def _recorded(folder: Path) -> list[Server]:
    path = folder / "servers.json"
    return msgspec.json.decode(path.read_bytes(), type=list[Server]) if path.exists() else []


def _write_record(folder: Path, servers: list[Server]) -> None:
    (folder / "servers.json").write_bytes(msgspec.json.format(msgspec.json.encode(servers)))
