"""Our own queue, by the definitions that the peers are measured by.

One worker with two executor processes, over HTTP, with SQLite and all instrumentation: the settings
that users get. The store says when the last task is COMPLETED.
"""

import asyncio
from importlib.metadata import version

from benchmarks.own_cluster import running_cluster
from benchmarks.peers.figures import Figures
from benchmarks.peers.idle_latencies import idle_latencies
from benchmarks.throughput import Throughput
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_TASKS = 100_000
_WARM_UP_TASKS = 200


def ours(runs: int) -> Figures:
    """Measure it on a cluster of its own."""
    with running_cluster(slots=2) as cluster, Client(cluster.url) as client:

        async def result() -> None:
            client.submit(_NOOP).result(timeout=10)

        throughput = Throughput(cluster, client)
        throughput.run(_NOOP, ((),) * _WARM_UP_TASKS)
        latencies = asyncio.run(idle_latencies(result, runs))
        done = [throughput.run(_NOOP, ((),) * _TASKS) for _ in range(runs)]
    return Figures(
        version("ray-task-queue"),
        "SQLite, fsync; redelivered",
        _TASKS,
        [run.submitted_per_second for run in done],
        [run.done_per_second for run in done],
        latencies,
    )
