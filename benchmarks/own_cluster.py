"""A cluster for one benchmark: a folder and ports of its own, ended afterwards."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from benchmarks.own_folder import ROOT, own_folder
from cluster.free_ports import free_ports
from cluster.local_ray import ON_LOOPBACK, auth_environment
from cluster.record import HeadRecord, read_record
from task_queue.settings import load_settings
from task_queue.store import open_reader
from task_queue.store.protocol import Reader


class RunningCluster(Struct, frozen=True):
    """Where a cluster is, seen from the same machine."""

    url: str  #: of the HTTP API
    cluster_id: str  #: in the environment of all its processes
    folder: Path  #: in which it was started
    store_url: str

    def reader(self) -> Reader:
        """Reads its store, past the API: for what would disturb, or be disturbed by, requests."""
        return open_reader(self.store_url)

    def run_driver(self, module: str, *arguments: str) -> str:
        """Run one of our modules, which may join the cluster's Ray. Returns what it printed."""
        settings = load_settings(self.folder / "config.yaml", {})
        joining = {**ON_LOOPBACK, **auth_environment(settings, self.folder / ".task-queue")}
        return _run(self.folder, module, *arguments, stdout=subprocess.PIPE, environment=joining)


@contextmanager
def running_cluster(
    store_url: str | None = None, sections: Mapping[str, Any] = {}, **pool: Any
) -> Iterator[RunningCluster]:
    """A queue with one pool that knows benchmarks/busy_tasks.py.

    Args:
        store_url: where it keeps its tasks, if not in SQLite.
        sections: further sections of the settings.
        pool: changes settings of the pool.
    """
    http_port, gcs_port, dashboard_port = free_ports(3)
    with (
        own_folder() as folder,
        tempfile.TemporaryDirectory(prefix="tq-", ignore_cleanup_errors=True) as ray_folder,
    ):
        ray = {
            "temp_dir": ray_folder, "gcs_port": gcs_port, "dashboard": False,
            "dashboard_port": dashboard_port, "num_cpus": 4,
        }  # fmt: skip
        default = {
            "min_workers": 1, "max_workers": 1, "slots": 1, "num_cpus": 0.5,
            "task_modules": ["benchmarks.busy_tasks"], "python_path": [str(ROOT)], **pool,
        }  # fmt: skip
        store_url = store_url or f"sqlite:///{folder}/.task-queue/queue.db"
        document = {
            "store": {"url": store_url},
            "http": {"port": http_port},
            "ray": ray,
            "pools": {"default": default},
            **sections,
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(document))
        try:
            _run(folder, "cluster", "up", "config.yaml", stdout=sys.stderr)
            record = read_record(folder / ".task-queue" / f"cluster-{http_port}.json")
            assert isinstance(record, HeadRecord)
            yield RunningCluster(
                f"http://127.0.0.1:{http_port}", record.cluster_id, folder, store_url
            )
        finally:
            _run(folder, "cluster", "down", "config.yaml", stdout=sys.stderr)


def _run(
    folder: Path, module: str, *arguments: str, stdout: Any, environment: Mapping[str, str] = {}
) -> str:
    """Run one of our modules in a cluster's folder. Returns what it printed, if into a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, check=True,
        stdout=stdout, text=True,
    )  # fmt: skip
    return done.stdout or ""
