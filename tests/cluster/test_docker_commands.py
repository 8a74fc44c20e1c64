"""What `python -m cluster monitoring` prints for docker: folders that exist, the queue's ports."""

import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.docker_commands import docker_commands
from cluster.monitoring_servers import SHIPPED_FILES
from task_queue.settings import PoolSettings, Settings
from task_queue.settings.settings import MonitoringSettings, RaySettings


@pytest.fixture
def ray_folder() -> Iterator[Path]:
    """Short: Ray's sockets would lie below it."""
    with tempfile.TemporaryDirectory(prefix="tq-") as folder:
        yield Path(folder)


def printed(ray_folder: Path) -> list[list[str]]:
    settings = Settings(
        pools={"default": PoolSettings()},
        ray=RaySettings(temp_dir=str(ray_folder)),
        monitoring=MonitoringSettings(prometheus_port=9777),
    )
    _, *commands = docker_commands(settings, SHIPPED_FILES).split("docker run ")
    return [shlex.split(command) for command in commands]


def test_grafana_gets_the_prometheus_of_the_queue_and_every_folder_that_it_is_told_of(
    ray_folder: Path,
) -> None:
    rays = ray_folder / "session_1" / "metrics" / "grafana" / "dashboards"
    rays.mkdir(parents=True)
    (ray_folder / "session_latest").symlink_to("session_1")
    grafana, jaeger = printed(ray_folder)
    assert "RAY_PROMETHEUS_HOST=http://127.0.0.1:9777" in grafana
    assert "GF_SERVER_HTTP_ADDR=127.0.0.1" in grafana
    mounts = [word.split(":") for word in grafana if word.endswith(":ro")]
    places = {place for _, place, _ in mounts}
    assert all(Path(folder).is_dir() for folder, _, _ in mounts)
    providers = SHIPPED_FILES / "grafana" / "provisioning" / "dashboards" / "task-queue.yml"
    wanted = {p["options"]["path"] for p in yaml.safe_load(providers.read_text())["providers"]}
    assert places == {"/etc/grafana/provisioning", *wanted}
    assert "127.0.0.1:4318:4318" in jaeger


def test_without_a_dashboard_of_ray_its_folder_is_left_out(ray_folder: Path) -> None:
    grafana, _ = printed(ray_folder)
    assert not [word for word in grafana if "/etc/ray/dashboards" in word]
