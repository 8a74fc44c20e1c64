"""Our own queue, by the definitions that the peers are measured by.

One worker with two executor processes, over HTTP, with all instrumentation: the settings that users
get, with SQLite as by default or with PostgreSQL. The store says when the last task is COMPLETED.
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


def ours(runs: int, store_url: str | None = None) -> Figures:
    """Measure it on a cluster of its own; `store_url`: of a PostgreSQL, else SQLite."""
    with running_cluster(store_url, slots=2) as cluster, Client(cluster.url) as client:

        async def result() -> None:
            client.run(_NOOP)

        throughput = Throughput(cluster, client)
        throughput.run(_NOOP, ((),) * _WARM_UP_TASKS)
        latencies = asyncio.run(idle_latencies(result, runs))
        done = [throughput.run(_NOOP, ((),) * _TASKS) for _ in range(runs)]
    return Figures(
        version("ray-task-queue"),
        f"{'PostgreSQL' if store_url else 'SQLite'}, fsync; redelivered",
        _TASKS,
        [run.submitted_per_second for run in done],
        [run.done_per_second for run in done],
        latencies,
    )
