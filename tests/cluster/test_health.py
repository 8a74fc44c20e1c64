"""`status` has an answer in words for whatever it meets at the port."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cluster.api_url import api_url
from cluster.health import NoHealth, read_health
from task_queue.settings import Settings


@contextmanager
def _answering(status: int, body: str) -> Iterator[Settings]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield _settings(port=server.server_port)
        server.shutdown()
        thread.join()


def _settings(**http: Any) -> Settings:
    return Settings.model_validate({"http": http, "pools": {"a": {}}})


def test_what_is_not_known_is_left_out() -> None:
    body = (
        '{"status":"degraded","checks":{'
        '"redis":{"status":"not_configured","response_time_ms":null},'
        '"workers":{"status":"degraded","active_count":0,"detail":""}}}'
    )
    with _answering(200, body) as settings:
        lines, healthy = read_health(settings, "c.yaml")
    assert not healthy
    assert lines == [
        f"{api_url(settings)}  degraded",
        "  redis      not_configured",
        "  workers    degraded        active_count 0",
    ]


@pytest.mark.parametrize(
    ("status", "body"), [(200, "<html>"), (404, "{}"), (200, "[1]"), (200, '{"status": "ok"}')]
)
def test_something_else_at_the_port_is_called_so(status: int, body: str) -> None:
    with _answering(status, body) as settings, pytest.raises(NoHealth, match="not a task queue"):
        read_health(settings, "c.yaml")


@pytest.mark.parametrize(
    ("key", "cure"), [(None, "set TASK_QUEUE_API_KEY"), ("wrong", "not one that it knows")]
)
def test_a_key_that_is_missing_or_wrong_is_asked_for(
    key: str | None, cure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TASK_QUEUE_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("TASK_QUEUE_API_KEY", key)
    with _answering(401, "") as settings, pytest.raises(NoHealth, match=cure):
        read_health(settings, "c.yaml")


def test_nothing_at_the_port() -> None:
    with _answering(200, "") as settings:
        pass
    with pytest.raises(NoHealth, match=r"python -m cluster up c\.yaml"):
        read_health(settings, "c.yaml")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_the_url_is_one_that_a_client_can_use(host: str, url: str) -> None:
    assert api_url(_settings(host=host)) == url
