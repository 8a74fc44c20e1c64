"""A worker's target goes away and comes back: a real Prometheus and Alertmanager tell a receiver.

Their files are the shipped ones, with other addresses and shorter times. The worker is a mere page.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.free_ports import free_ports
from tests.until import until

_FILES = Path(__file__).parent.parent.parent / "monitoring"


class _Site(ThreadingHTTPServer):
    """The queue's pages that Prometheus reads, and the receiver that Alertmanager calls."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Pages)
        self.worker_lives = True
        self.scraped = 0
        self.told: list[tuple[str, str]] = []  #: status and name of each alert received


class _Pages(BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self) -> None:
        if self.path == "/worker" and not self.server.worker_lives:
            self._answer(503, b"", "text/plain")
        elif self.path == "/worker":
            self.server.scraped += 1
            self._answer(200, b"alive 1\n", "text/plain")
        else:
            labels = {"job": "workers", "instance": "w1", "__metrics_path__": "/worker"}
            target = {"targets": [f"127.0.0.1:{self.server.server_port}"], "labels": labels}
            self._answer(200, json.dumps([target]).encode(), "application/json")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/alerts" and self.headers["Authorization"] == "Bearer a-token":
            alerts = body["alerts"]
            self.server.told += [(one["status"], one["labels"]["alertname"]) for one in alerts]
        self._answer(200, b"", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


def test_a_lost_worker_is_told_to_the_webhook_and_so_is_its_return(tmp_path: Path) -> None:
    site_port, prometheus_port, alertmanager_port = free_ports(3)
    _write_prometheus(tmp_path, site_port, alertmanager_port)
    _write_alertmanager(tmp_path, site_port)
    with ExitStack() as stack:
        site = stack.enter_context(_serving(site_port))
        alertmanager = (
            _binary("prometheus-alertmanager", "alertmanager"),
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'alerts'}",
            f"--web.listen-address=127.0.0.1:{alertmanager_port}",
            "--cluster.listen-address=",
        )
        prometheus = (
            _binary("prometheus"),
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'series'}",
            f"--web.listen-address=127.0.0.1:{prometheus_port}",
        )
        for name, command in (("alertmanager", alertmanager), ("prometheus", prometheus)):
            stack.enter_context(_running(command, tmp_path / f"{name}.log"))
        until(lambda: site.scraped > 0, 40, "a scrape of the worker")
        site.worker_lives = False
        until(lambda: ("firing", "NoActiveWorkers") in site.told, 40, "the alert")
        site.worker_lives = True
        until(lambda: ("resolved", "NoActiveWorkers") in site.told, 40, "the alert's end")


def _write_prometheus(folder: Path, site_port: int, alertmanager_port: int) -> None:
    shipped = _FILES / "prometheus"
    for path in shipped.glob("*_rules.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            group["interval"] = "1s"
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "1s"
        (folder / path.name).write_text(yaml.safe_dump(rules))
    config = yaml.safe_load((shipped / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["scrape_configs"] = [c for c in config["scrape_configs"] if c["job_name"] == "workers"]
    (discovery,) = config["scrape_configs"][0]["http_sd_configs"]
    discovery["url"] = discovery["url"].replace("localhost:8000", f"127.0.0.1:{site_port}")
    discovery["refresh_interval"] = "1s"
    (alertmanagers,) = config["alerting"]["alertmanagers"]
    alertmanagers["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))


def _write_alertmanager(folder: Path, site_port: int) -> None:
    config = yaml.safe_load((_FILES / "alertmanager" / "alertmanager.yml").read_text())
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    for receiver in config["receivers"]:
        for slack in receiver.get("slack_configs", ()):
            slack["api_url_file"] = str(folder / "slack_url")
        for webhook in receiver.get("webhook_configs", ()):
            webhook["url"] = f"http://127.0.0.1:{site_port}/alerts"
            webhook["http_config"]["authorization"]["credentials_file"] = str(folder / "token")
    (folder / "slack_url").write_text(f"http://127.0.0.1:{site_port}/slack\n")
    (folder / "token").write_text("a-token\n")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))


def _binary(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    if os.environ.get("CI") == "true":
        pytest.fail(f"{names[0]} is not installed, and CI has to have it")
    pytest.skip(f"{names[0]} is not installed")


@contextmanager
def _serving(port: int) -> Iterator[_Site]:
    with _Site(port) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            site.shutdown()
            thread.join()


@contextmanager
def _running(command: tuple[str, ...], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)
