"""`monitoring` and `monitoring-stop` with a real Prometheus and Alertmanager; the queue is a page.

tests/operations has them beside a real queue.
"""

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from cluster.free_ports import free_ports
from cluster.monitoring_files import missing_secrets, write_monitoring_files
from cluster.monitoring_servers import (
    SHIPPED_FILES,
    MonitoringFailed,
    monitoring_folder,
    start_monitoring,
    stop_monitoring,
)
from task_queue.errors import ConfigError
from task_queue.settings import Settings, load_settings

_KEY = "a-key"


class _Page(BaseHTTPRequestHandler):
    """Has no workers, and wants a key."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {_KEY}"
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TASK_QUEUE_API_KEY", _KEY)
    http, prometheus, alertmanager = free_ports(3)
    config = tmp_path / "config.yaml"
    ports = {"prometheus_port": prometheus, "alertmanager_port": alertmanager}
    document = {"http": {"port": http}, "monitoring": ports, "pools": {"default": {}}}
    config.write_text(yaml.safe_dump(document))
    return load_settings(config, {})


@pytest.fixture
def queue(settings: Settings) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", settings.http.port), _Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.fixture
def installed() -> None:
    for name in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(name) is None:
            if os.environ.get("CI") == "true":
                pytest.fail(f"{name} is not installed, and CI has to have it")
            pytest.skip(f"{name} is not installed")


def test_it_is_started_once_and_ended_alone(
    settings: Settings, queue: None, installed: None
) -> None:
    try:
        first = start_monitoring(settings, SHIPPED_FILES)
        again = start_monitoring(settings, SHIPPED_FILES)
        assert [server.pid for server in again] == [server.pid for server in first]
    finally:
        ended = stop_monitoring(settings)
    assert ended == ["prometheus", "alertmanager"]
    assert not any(psutil.pid_exists(server.pid) for server in first)
    assert stop_monitoring(settings) == []


def test_without_a_queue_nothing_is_started(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"no queue answers at .*: start it first"):
        start_monitoring(settings, SHIPPED_FILES)
    assert not monitoring_folder(settings).exists()


def test_a_key_is_asked_for(
    settings: Settings, queue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASK_QUEUE_API_KEY")
    with pytest.raises(ConfigError, match="set TASK_QUEUE_API_KEY"):
        start_monitoring(settings, SHIPPED_FILES)


def test_a_port_of_somebody_else_is_named(settings: Settings, queue: None, installed: None) -> None:
    taken = socket.create_server(("127.0.0.1", settings.monitoring.prometheus_port))
    with taken, pytest.raises(ConfigError, match=r"monitoring\.prometheus_port: something else"):
        start_monitoring(settings, SHIPPED_FILES)
    assert stop_monitoring(settings) == []


def test_a_server_that_is_not_installed_is_named(
    settings: Settings, queue: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MonitoringFailed, match="apt-get install prometheus"):
        start_monitoring(settings, SHIPPED_FILES)


def test_a_server_that_refuses_its_files_says_why(
    settings: Settings, queue: None, installed: None, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    shutil.copytree(SHIPPED_FILES / "prometheus", files / "prometheus")
    shutil.copytree(SHIPPED_FILES / "alertmanager", files / "alertmanager")
    (files / "prometheus" / "alert_rules.yml").write_text("groups: [{name: a, rules: [{}]}]")
    try:
        with pytest.raises(MonitoringFailed, match="prometheus did not get ready"):
            start_monitoring(settings, files)
    finally:
        stop_monitoring(settings)


def test_the_files_have_the_addresses_and_the_key_of_the_queue(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "made"
    write_monitoring_files(settings, SHIPPED_FILES, folder, _KEY)
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    queue = f"127.0.0.1:{settings.http.port}"
    authorization = {"credentials_file": str(folder / "api_key")}
    assert jobs["task-queue"]["static_configs"] == [{"targets": [queue]}]
    (discovery,) = jobs["workers"]["http_sd_configs"]
    assert discovery["url"] == f"http://{queue}/api/v1/prometheus/targets"
    assert discovery["authorization"] == jobs["workers"]["authorization"] == authorization
    assert jobs["ray"]["file_sd_configs"][0]["files"][0].startswith(settings.ray.temp_dir)
    assert (folder / "api_key").read_text() == _KEY
    assert (folder / "api_key").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in folder.glob("*_rules.yml")} == {
        path.name for path in (SHIPPED_FILES / "prometheus").glob("*_rules.yml")
    }
    secrets = SHIPPED_FILES / "alertmanager"
    expected = [secrets / "slack_url", secrets / "webhook_token"]
    assert missing_secrets(folder) == [path for path in expected if not path.exists()]
