"""How long from submit to result, one task at a time?

    python -m benchmarks.bench_latency [--short]

A cluster of its own: one worker with one slot, SQLite with fsync. No-op tasks, milliseconds:
  - over HTTP at idle: `run` of the Python client, which submits and waits in one request, 5 ms
    between two tasks;
  - over HTTP at idle, two requests: `submit` and `result`;
  - over HTTP at 50 % load: `run`, while another process submits half as many no-op tasks as the
    cluster has just been seen to do;
  - inside the cluster at idle: a driver that joined Ray, with the scheduler's own handle.
"""

import json
import time
from collections.abc import Callable

from benchmarks.background_load import background_load
from benchmarks.flags import flags
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report, spread
from benchmarks.throughput import Throughput
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_TASKS = 1_000
_WARM_UP_TASKS = 200
_PAUSE_SECONDS = 0.005
_THROUGHPUT_TASKS = 30_000
_LOAD = 0.5


def run_one(client: Client) -> None:
    """One request."""
    client.run(_NOOP)


def submit_one(client: Client) -> None:
    """Two requests."""
    client.submit(_NOOP).result(timeout=30)


def over_http(client: Client, count: int, one: Callable[[Client], None] = run_one) -> list[float]:
    """Seconds from the submit to the result."""
    seconds = []
    for _ in range(count):
        time.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        one(client)
        seconds.append(time.perf_counter() - began)
    return seconds


def inside(cluster: RunningCluster, count: int) -> list[float]:
    """Seconds from `submit` to the result in the store, from a driver."""
    said = cluster.run_driver("benchmarks.inside_cluster", "config.yaml", str(count))
    return [float(value) for value in json.loads(said)]


def under_load(cluster: RunningCluster, client: Client, count: int) -> dict[str, float]:
    """Latency at half of the throughput, and whether it was half."""
    throughput = Throughput(cluster, client)
    throughput.run(_NOOP, ((),) * _THROUGHPUT_TASKS)  # warm
    most = throughput.run(_NOOP, ((),) * _THROUGHPUT_TASKS).done_per_second
    with background_load(cluster.url, most * _LOAD):
        before, began = throughput.completed(), time.perf_counter()
        seconds = over_http(client, count)
        rate = (throughput.completed() - before) / (time.perf_counter() - began)
    return {
        **_named("over HTTP at 50 % load", seconds),
        "over HTTP at 50 % load, tasks per second beside": rate,
        "over HTTP at 50 % load, % of the throughput": rate / most * 100,
    }


def _named(name: str, seconds: list[float]) -> dict[str, float]:
    return {f"{name}, {part}": value for part, value in spread(seconds, "ms", 1e3).items()}


def main() -> None:
    count = _TASKS // 4 if flags(__doc__).short else _TASKS
    with running_cluster() as cluster, Client(cluster.url) as client:
        over_http(client, _WARM_UP_TASKS)
        figures = _named("over HTTP at idle", over_http(client, count))
        figures |= _named("over HTTP at idle, two requests", over_http(client, count, submit_one))
        figures |= _named("inside the cluster at idle", inside(cluster, count))
        figures |= under_load(cluster, client, count)
    report("bench_latency", figures)


if __name__ == "__main__":
    main()
