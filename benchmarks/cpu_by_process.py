"""Processor time and memory of a cluster, by what its processes are for."""

import time

import psutil
from msgspec import Struct

from cluster.local_ray import cluster_processes

CLIENT, EXECUTORS, REST = "client", "executors", "the rest of Ray"
#: What a process is for, by a part of its command line. Ray titles its actors.
_ROLES = {
    "ray::SchedulerActor": "scheduler",
    "ray::SupervisorActor": "supervisor",
    "ray::WorkerActor": "worker",
    "ray::ServeReplica:": "replica",
    "task_queue/executor/": EXECUTORS,
    "haproxy": "HAProxy",
}
OURS = ("scheduler", "supervisor", "worker", EXECUTORS, "replica")


class ProcessTime(Struct, frozen=True):
    """What one process used."""

    pid: int
    role: str
    seconds: float


class CpuByProcess:
    """Processor time since this was made. The calling process is the client.

    Of a process that has ended meanwhile nothing is known. The kernel counts in steps of 10 ms.
    """

    def __init__(self, cluster_id: str) -> None:
        self._cluster_id = cluster_id
        self._before = {one.pid: one.seconds for one in self._read()}
        self._began = time.perf_counter()
        self._client = time.process_time()

    def elapsed(self) -> float:
        """Wall seconds."""
        return time.perf_counter() - self._began

    def processes(self) -> list[ProcessTime]:
        """Each process of the cluster, the busiest first."""
        used = [
            ProcessTime(one.pid, one.role, one.seconds - self._before.get(one.pid, 0.0))
            for one in self._read()
        ]
        return sorted(used, key=lambda one: -one.seconds)

    def roles(self) -> dict[str, float]:
        """Seconds by what they were used for."""
        seconds = dict.fromkeys((CLIENT, "HAProxy", *OURS, REST), 0.0)
        seconds[CLIENT] = time.process_time() - self._client
        for one in self.processes():
            seconds[one.role] += one.seconds
        return seconds

    def _read(self) -> list[ProcessTime]:
        found = []
        for process in cluster_processes(self._cluster_id):
            try:
                times, role = process.cpu_times(), role_of(process)
            except psutil.NoSuchProcess:
                continue  # ended since it was found
            found.append(ProcessTime(process.pid, role, times.user + times.system))
        return found


def memory_by_role(cluster_id: str) -> dict[str, int]:
    """Resident bytes of our processes, in sum over those of one role."""
    found = dict.fromkeys(OURS, 0)
    for process in cluster_processes(cluster_id):
        try:
            role = role_of(process)
            if role in OURS:
                found[role] += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # ended since it was found
    return found


def role_of(process: psutil.Process) -> str:
    """What a process of the cluster is for."""
    command = " ".join(process.cmdline())
    return next((role for part, role in _ROLES.items() if part in command), REST)
