"""`ray job submit --working-dir . -- python -m cluster up|down CONFIG` on a running Ray."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from cluster.free_ports import free_ports
from cluster.local_ray import end_cluster_processes, head_environment, start_head
from task_queue.client.client import Client
from task_queue.settings import load_settings
from tests.faults.own_cluster import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_CLUSTER_ID = f"ray-job-test-{os.getpid()}"
_SHIPPED = ("task_queue", "actors", "cluster", "serve_app", "monitoring", "configs")


class RunningRay:
    """A Ray head that this queue did not start, and a copy of our folders beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ray_folder = tempfile.mkdtemp(prefix="tq-job-")
        self.http_port, gcs_port, self.dashboard_port = free_ports(3)
        ray = {
            "temp_dir": self.ray_folder, "gcs_port": gcs_port,
            "dashboard_port": self.dashboard_port, "num_cpus": 4,
        }  # fmt: skip
        head = folder / "head.yaml"
        head.write_text(yaml.safe_dump({"ray": ray, "pools": {"default": {}}}))
        settings = load_settings(head, {})
        self.environment = head_environment(settings, _CLUSTER_ID, folder)
        self.environment["PYTHONPATH"] = ""  # our code must come with the job, not from here
        start_head(settings, self.environment)

    def ship(self) -> Path:
        """What `--working-dir .` uploads: a copy of the repository's folders, with a config."""
        root = self.folder / "checkout"
        root.mkdir()
        for name in _SHIPPED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, root / name, ignore=ignored)
        config = {
            "store": {"url": f"sqlite:///{self.folder}/queue.db"},
            "http": {"port": self.http_port},
            "ray": {"address": "auto"},
            "pools": {"default": {"num_cpus": 0.5, "max_workers": 1}},
        }
        (root / "job.yaml").write_text(yaml.safe_dump(config))
        return root

    def submit(self, root: Path, *command: str) -> str:
        """Submit a job and wait for it; returns what it printed."""
        keep = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        done = subprocess.run(
            [sys.executable, "-m", "ray.scripts.scripts", "job", "submit",
             "--address", f"http://127.0.0.1:{self.dashboard_port}", "--working-dir", str(root),
             "--runtime-env", str(root / "configs" / "runtime_env.yaml"), "--", *command],
            env={**keep, **self.environment}, cwd=root, capture_output=True, text=True,
            timeout=150, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def running_ray(tmp_path: Path) -> Iterator[RunningRay]:
    try:
        yield RunningRay(tmp_path)
    finally:
        end_cluster_processes(_CLUSTER_ID)


def test_a_job_starts_the_queue_and_another_one_ends_it(running_ray: RunningRay) -> None:
    root = running_ray.ship()
    url = f"http://127.0.0.1:{running_ray.http_port}"
    assert "The task queue is up" in running_ray.submit(
        root, "python", "-m", "cluster", "up", "job.yaml"
    )
    with Client(url) as client:
        # The job is over and the queue goes on: its actors are detached.
        assert client.submit("task_queue.echo", "hello").result(timeout=90) == "hello"
        assert "joined the running Ray" in running_ray.submit(
            root, "python", "-m", "cluster", "up", "job.yaml"
        )
        assert client.submit("task_queue.echo", "again").result(timeout=90) == "again"
    assert "The task queue is down" in running_ray.submit(
        root, "python", "-m", "cluster", "down", "job.yaml"
    )
    assert not _answers(url)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
