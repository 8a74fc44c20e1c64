"""A real cluster of one test session, in a folder and on ports of its own."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from cluster.free_ports import free_ports
from cluster.local_ray import cluster_processes, end_cluster_processes
from cluster.record import HeadRecord, read_record, record_path
from task_queue.client.client import Client

ROOT = Path(__file__).resolve().parents[2]
_COMMAND_SECONDS = 150


class OwnCluster:
    """`python -m cluster up|down` in a folder of its own."""

    def __init__(self, folder: Path, **changes: dict[str, Any]) -> None:
        self.folder = folder
        self.http_port, gcs_port, dashboard_port = free_ports(3)
        self.config = folder / "config.yaml"
        self.environment: dict[str, str] = {}  #: laid over that of the next `up`
        # Ray's sockets need a short path; pytest's own folders are too deep.
        self.ray_folder = tempfile.mkdtemp(prefix="tq-ray-")
        self._document: dict[str, Any] = {
            "http": {"port": self.http_port},
            "ray": {
                "temp_dir": self.ray_folder, "gcs_port": gcs_port, "num_cpus": 4,
                "dashboard": False, "dashboard_port": dashboard_port,
            },
            "pools": {
                "default": {
                    "task_modules": ["ledger_tasks"],
                    "python_path": [str(ROOT / "tests" / "faults")],
                    "min_workers": 2, "max_workers": 2, "slots": 2, "num_cpus": 0.5,
                    "drain_seconds": 10.0,
                }
            },
        }  # fmt: skip
        self.configure(**changes)

    def configure(self, **changes: dict[str, Any]) -> None:
        """Lay `changes` over the config, section by section; the next `up` reads it."""
        for section, fields in changes.items():
            self._document[section] = {**self._document.get(section, {}), **fields}
        self.config.write_text(yaml.safe_dump(self._document))

    def replace_pools(self, **pools: dict[str, Any]) -> None:
        """Have these pools and no other."""
        self._document["pools"] = pools
        self.configure()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    def client(self) -> Client:
        return Client(self.url, retry_seconds=60.0)

    def run(self, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`python -m cluster COMMAND CONFIG [OPTIONS]`, as a person types it."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        environment |= {"PYTHONPATH": str(ROOT), **self.environment}
        return subprocess.run(
            [sys.executable, "-m", "cluster", command, str(self.config), *options],
            cwd=self.folder, env=environment, capture_output=True, text=True,
            timeout=_COMMAND_SECONDS, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def up(self) -> str:
        done = self.run("up")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def end(self) -> None:
        """Kill all there is; `down`, which takes ten seconds more, has a test of its own."""
        record = self.record()
        if record is not None:
            self._send_kill(self.processes())
            end_cluster_processes(record.cluster_id, record.session_folder)
        shutil.rmtree(self.ray_folder, ignore_errors=True)

    def record(self) -> HeadRecord | None:
        """What `up` has noted; None if nothing is up."""
        return read_record(self.folder / ".task-queue" / record_path(self.http_port).name)

    def processes(self, title: str = "") -> list[psutil.Process]:
        """The cluster's processes whose title contains `title`."""
        found: list[psutil.Process] = []
        record = self.record()
        if record is None:
            return found
        for process in cluster_processes(record.cluster_id, record.session_folder):
            try:
                if title in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue
        return found

    def kill(self, processes: list[psutil.Process]) -> None:
        """kill -9, all at once."""
        assert processes, "there is no such process"
        self._send_kill(processes)

    def _send_kill(self, processes: list[psutil.Process]) -> None:
        for process in processes:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue


Killer = Callable[[OwnCluster], None]
