"""How to start a Grafana with the dashboards, and a Jaeger, beside a queue on this machine."""

import shlex
from pathlib import Path

from task_queue.settings import Settings


def docker_commands(settings: Settings, files: Path) -> str:
    """Two commands of a shell, and where their pages are.

    Args:
        files: the folder with grafana/, ours or a copy.
    """
    grafana = files.absolute() / "grafana"
    mounts = {
        grafana / "provisioning": "/etc/grafana/provisioning",
        grafana / "dashboards": "/etc/task-queue/dashboards",
    }
    rays = Path(settings.ray.temp_dir) / "session_latest" / "metrics" / "grafana" / "dashboards"
    if settings.ray.address is None and rays.is_dir():
        mounts[rays.resolve()] = "/etc/ray/dashboards"
    # On the host's network, so that it reaches a Prometheus that listens on loopback only.
    lines = [
        "docker run -d --name grafana --network host -e GF_SERVER_HTTP_ADDR=127.0.0.1",
        "-e GF_SECURITY_ALLOW_EMBEDDING=true -e GF_AUTH_ANONYMOUS_ENABLED=true",
        f"-e RAY_PROMETHEUS_HOST=http://127.0.0.1:{settings.monitoring.prometheus_port}",
        *(f"-v {shlex.quote(f'{folder}:{place}:ro')}" for folder, place in mounts.items()),
        "grafana/grafana:latest",
    ]
    jaeger = [
        "docker run -d --name jaeger -e COLLECTOR_OTLP_ENABLED=true",
        "-p 127.0.0.1:4318:4318 -p 127.0.0.1:16686:16686 jaegertracing/all-in-one:latest",
    ]
    pages = "Grafana (http://127.0.0.1:3000) and Jaeger (http://127.0.0.1:16686):"
    return "\n  ".join([pages, *(" \\\n    ".join(command) for command in (lines, jaeger))])
