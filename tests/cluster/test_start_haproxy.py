"""What is changed in the file that Serve writes for HAProxy. That real HAProxy takes it, and that
Serve still writes such lines, is seen in tests/faults/test_operation.py."""

import os
import subprocess
from pathlib import Path

_SCRIPT = Path(__file__).resolve().parents[2] / "cluster" / "start_haproxy.sh"
_WRITTEN = """\
defaults
    option httplog   \n\
    option abortonclose
frontend stats
    bind *:8404
frontend prometheus
    bind :9101
frontend http_frontend
    bind *:8000
"""
_PORTS = {"RAY_SERVE_HAPROXY_METRICS_PORT": "9101", "RAY_SERVE_HAPROXY_STATS_PORT": "8404"}


def _started(folder: Path, **environment: str) -> str:
    """The file as HAProxy finds it."""
    config = folder / "haproxy.cfg"
    config.write_text(_WRITTEN)
    inherited = {k: v for k, v in os.environ.items() if k != "RAY_SERVE_HAPROXY_LOG_TARGET"}
    done = subprocess.run(
        [_SCRIPT, "-db", "-f", config],
        env={**inherited, **_PORTS, "TQ_HAPROXY": "echo", **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"-db -f {config}\n"
    return config.read_text()


def test_pages_without_a_password_are_on_loopback_and_the_api_where_it_is_to_be(
    tmp_path: Path,
) -> None:
    binds = [line.strip() for line in _started(tmp_path).splitlines() if "bind" in line]
    assert binds == ["bind 127.0.0.1:8404", "bind 127.0.0.1:9101", "bind *:8000"]


def test_requests_that_went_well_are_not_logged(tmp_path: Path) -> None:
    lines = [line.strip() for line in _started(tmp_path).splitlines()]
    assert lines[1:4] == ["option httplog", "option dontlog-normal", "option abortonclose"]


def test_all_are_logged_where_the_operator_says(tmp_path: Path) -> None:
    text = _started(tmp_path, RAY_SERVE_HAPROXY_LOG_TARGET="/dev/log")
    assert "dontlog" not in text
