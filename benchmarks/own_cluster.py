"""A cluster for one benchmark: a folder and ports of its own, ended afterwards."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

_ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def own_cluster(**pool: Any) -> Iterator[str]:
    """The URL of a running queue with one pool; `pool` changes its settings."""
    http_port, gcs_port, dashboard_port = _free_ports(3)
    with (
        tempfile.TemporaryDirectory(prefix="tq-bench-", dir=_ROOT) as folder,
        tempfile.TemporaryDirectory(prefix="tq-", ignore_cleanup_errors=True) as ray_folder,
    ):
        config = Path(folder) / "config.yaml"
        ray = {
            "temp_dir": ray_folder, "gcs_port": gcs_port, "dashboard": False,
            "dashboard_port": dashboard_port, "num_cpus": 4,
        }  # fmt: skip
        default = {"min_workers": 1, "max_workers": 1, "slots": 1, "num_cpus": 0.5, **pool}
        document = {"http": {"port": http_port}, "ray": ray, "pools": {"default": default}}
        config.write_text(yaml.safe_dump(document))
        try:
            _cluster("up", config, folder)
            yield f"http://127.0.0.1:{http_port}"
        finally:
            _cluster("down", config, folder)


def _cluster(command: str, config: Path, folder: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    subprocess.run(
        [sys.executable, "-m", "cluster", command, str(config)],
        cwd=folder, env=environment, check=True, stdout=sys.stderr,
    )  # fmt: skip


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
