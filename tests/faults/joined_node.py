"""A second machine for a cluster of a test: a raylet of its own, on the same host."""

import subprocess
import sys
from pathlib import Path

import psutil

from cluster.free_ports import free_ports
from tests.faults.own_cluster import OwnCluster
from tests.until import until

_JOIN_SECONDS = 60.0
_COMMAND_SECONDS = 60
_START = Path(__file__).with_name("start_node.py")


class JoinedNode:
    """`ray start --address=... --block`, as a pod or a systemd unit runs it."""

    def __init__(self, cluster: OwnCluster, num_cpus: int, drain_seconds: float) -> None:
        """
        Args:
            drain_seconds: how long Ray waits after a SIGTERM before it ends all there is.
        """
        record = cluster.record()
        assert record is not None
        head = _raylets(cluster)
        assert len(head) == 1
        self._cluster, self._address = cluster, record.address
        self._environment = head[0].environ()  # with what proves that it may join
        self._environment["RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S"] = str(drain_seconds)
        agent_port, metrics_port = free_ports(2)
        self.process = subprocess.Popen(
            [
                sys.executable, str(_START), "start", f"--address={self._address}", "--block",
                f"--num-cpus={num_cpus}", "--object-store-memory=80000000", "--disable-usage-stats",
                f"--dashboard-agent-listen-port={agent_port}",
                f"--metrics-export-port={metrics_port}",
            ],
            env=self._environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until(lambda: len(_raylets(cluster)) == 2, _JOIN_SECONDS, "the node to join")
        self.raylet = next(p for p in _raylets(cluster) if p.pid != head[0].pid)

    def workers(self) -> list[psutil.Process]:
        """Our workers on it."""
        own = {child.pid for child in self.raylet.children()}
        return [p for p in self._cluster.processes("ray::WorkerActor") if p.pid in own]

    def drain(self, seconds: int) -> None:
        """`ray drain-node`, with so much time until the machine is taken away."""
        done = subprocess.run(
            [
                sys.executable, "-m", "ray.scripts.scripts", "drain-node",
                "--address", self._address, "--node-id", self._node_id(),
                "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "notice",
                "--deadline-remaining-seconds", str(seconds),
            ],
            env=self._environment, capture_output=True, text=True, timeout=_COMMAND_SECONDS,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _node_id(self) -> str:
        """As Ray wrote it into the command line of the raylet."""
        line = " ".join(self.raylet.cmdline())
        return line.split("--node_id=")[1].split()[0]

    def end(self) -> None:
        """Whatever is left of it; it is waited for, or Ray's workers would take it for alive."""
        for process in (self.raylet, psutil.Process(self.process.pid)):
            for one in [*_descendants(process), process]:
                _kill(one)
        self.process.wait()


def _raylets(cluster: OwnCluster) -> list[psutil.Process]:
    return [p for p in cluster.processes() if p.name() == "raylet"]


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
