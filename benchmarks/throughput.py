"""Many tasks through the Python client and HTTP, until the store has the last one as COMPLETED."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from benchmarks.cpu_by_process import CpuByProcess
from benchmarks.own_cluster import RunningCluster
from task_queue.client.client import Client

_POLL_SECONDS = 0.01
_MOST_SECONDS = 300


class Run(Struct, frozen=True):
    """What came of it."""

    tasks: int
    submitted_per_second: float
    done_per_second: float
    cpu_seconds: dict[str, float]  #: by what the process is for


class Throughput:
    """Sends tasks through a client and waits for them."""

    def __init__(self, cluster: RunningCluster, client: Client) -> None:
        self._cluster_id = cluster.cluster_id
        self._client = client
        self._reader = cluster.reader()

    def run(self, name: str, arguments: Sequence[tuple[Any, ...]]) -> Run:
        """One task for each tuple, from the first batch that is sent to the last completion."""
        count, before = len(arguments), self.completed()
        cpu = CpuByProcess(self._cluster_id)
        began = time.perf_counter()
        self._client.submit_many(name, arguments)
        submitted = time.perf_counter() - began
        self.wait_for(before + count)
        done = time.perf_counter() - began
        return Run(count, count / submitted, count / done, cpu.roles())

    def completed(self) -> int:
        """How many tasks of this queue have succeeded so far."""
        return sum(one.count for one in self._reader.tallies() if one.kind == "completed")

    def wait_for(self, completed: int) -> None:
        """Until so many have succeeded.

        Raises:
            TimeoutError: that takes minutes.
        """
        deadline = time.perf_counter() + _MOST_SECONDS
        while self.completed() < completed:
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{self.completed()} of {completed} tasks are done")
            time.sleep(_POLL_SECONDS)


def microseconds_per_task(runs: Sequence[Run]) -> dict[str, float]:
    """Processor time of one task by what it was used for, in the mean over all runs."""
    seconds: Counter[str] = Counter()
    for run in runs:
        seconds.update(run.cpu_seconds)
    tasks = sum(run.tasks for run in runs)
    return {role: used / tasks * 1e6 for role, used in seconds.items()}
