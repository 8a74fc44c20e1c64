"""A queue watched by a real Prometheus and Alertmanager, and a receiver that Alertmanager tells.

They are started as an operator starts them, with the shipped files. Only the times in these are
shorter (scrapes, evaluations, `for:`, Alertmanager's waits: one second each), and the webhook is
the test's own.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import yaml
from msgspec import Struct

from cluster.free_ports import free_ports
from task_queue.clock import SystemClock
from tests.operations.operated_queue import OperatedQueue

_SHIPPED = Path(__file__).parent.parent.parent / "monitoring"


class _Receiver(ThreadingHTTPServer):
    """What Alertmanager calls."""

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Calls)
        self.told: list[dict[str, Any]] = []  #: each alert received
        self.slack: list[dict[str, Any]] = []  #: each message to Slack


class _Calls(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/alerts" and self.headers["Authorization"] == "Bearer a-token":
            self.server.told += body["alerts"]
        if self.path == "/slack":
            self.server.slack.append(body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


class Monitored(Struct):
    """A queue and who watches it."""

    queue: OperatedQueue
    alerts: list[dict[str, Any]]  #: each that the receiver was told of
    slack: list[dict[str, Any]]  #: each message to Slack

    def told(self, status: str, name: str) -> bool:
        return any((a["status"], a["labels"]["alertname"]) == (status, name) for a in self.alerts)

    def value(self, query: str) -> str:
        """What Prometheus has for a query of one number; "" if there is none."""
        url = f"http://127.0.0.1:{self.queue.ports()[9090]}/api/v1/query"
        answer = httpx.get(url, params={"query": query}, timeout=30).json()
        return next((result["value"][1] for result in answer["data"]["result"]), "")

    def exemplars(self, query: str) -> set[str]:
        """The trace ids that Prometheus has for a query of the last minutes."""
        url = f"http://127.0.0.1:{self.queue.ports()[9090]}/api/v1/query_exemplars"
        end = SystemClock().now() + 60
        asked: dict[str, str | float] = {"query": query, "start": end - 900, "end": end}
        data = httpx.get(url, params=asked, timeout=30).json()["data"]
        return {found["labels"]["trace_id"] for series in data for found in series["exemplars"]}


@contextmanager
def monitoring(queue: OperatedQueue, folder: Path) -> Iterator[Monitored]:
    """`python -m cluster monitoring`, and `monitoring-stop` at the end."""
    (port,) = free_ports(1)
    _copy_with_short_times(folder, port)
    with _receiving(port) as receiver:
        try:
            done = queue.run("monitoring", "--files", str(folder))
            if "is not installed" in done.stderr:
                queue.lacks(done.stderr)
            assert done.returncode == 0, done.stdout + done.stderr
            assert "before you write" not in done.stdout  # no secret is missing
            yield Monitored(queue, receiver.told, receiver.slack)
        finally:
            done = queue.run("monitoring-stop")
            assert done.returncode == 0, done.stderr


def _copy_with_short_times(folder: Path, receiver_port: int) -> None:
    for part in ("prometheus", "alertmanager"):
        shutil.copytree(_SHIPPED / part, folder / part)
    for path in (folder / "prometheus").glob("*_rules.yml"):
        with _edited(path) as rules:
            for group in rules["groups"]:
                group["interval"] = "1s"
                for rule in group["rules"]:
                    if "for" in rule:
                        rule["for"] = "1s"
    with _edited(folder / "prometheus" / "prometheus.yml") as config:
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            for discovery in job.get("http_sd_configs", ()):
                discovery["refresh_interval"] = "1s"
    with _edited(folder / "alertmanager" / "alertmanager.yml") as config:
        config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        for receiver in config["receivers"]:
            for webhook in receiver.get("webhook_configs", ()):
                webhook["url"] = f"http://127.0.0.1:{receiver_port}/alerts"
    secrets = folder / "alertmanager"
    (secrets / "slack_url").write_text(f"http://127.0.0.1:{receiver_port}/slack\n")
    (secrets / "webhook_token").write_text("a-token\n")


@contextmanager
def _edited(path: Path) -> Iterator[Any]:
    document = yaml.safe_load(path.read_text())
    yield document
    path.write_text(yaml.safe_dump(document))


@contextmanager
def _receiving(port: int) -> Iterator[_Receiver]:
    with _Receiver(port) as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
