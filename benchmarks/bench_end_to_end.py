"""No-op tasks through the Python client and HTTP, and the latency of one task at idle.

    python -m benchmarks.bench_end_to_end

A cluster of its own: one worker with one slot, SQLite with fsync, everything on this machine.
Throughput: from the first batch that the client sends to the moment at which the store has the last
task as COMPLETED, submits by `Client.submit_many` in batches of 1,000. Latency: `submit` and
`result` of one task after the other. Medians of five runs.
"""

import statistics
import time
from typing import Any

from benchmarks.own_cluster import own_cluster
from benchmarks.report import report, spread
from task_queue.client.client import Client

_TASKS = 50_000
_RUNS = 5
_LATENCIES = 300
_POLL_SECONDS = 0.01
_PAUSE_SECONDS = 0.005


def throughput(client: Client) -> tuple[float, float]:
    """(tasks submitted per second, tasks done per second)."""
    before = _completed(client)
    began = time.perf_counter()
    client.submit_many("task_queue.noop", ((),) * _TASKS)
    submitted = time.perf_counter() - began
    while _completed(client) < before + _TASKS:
        time.sleep(_POLL_SECONDS)
    return _TASKS / submitted, _TASKS / (time.perf_counter() - began)


def latencies(client: Client) -> list[float]:
    """Seconds from `submit` to its result, one task at a time."""
    seconds = []
    for _ in range(_LATENCIES):
        time.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        client.submit("task_queue.noop").result(timeout=10)
        seconds.append(time.perf_counter() - began)
    return seconds


def _completed(client: Client) -> int:
    return int(client.stats()["totals"]["completed"])


def main() -> None:
    figures: dict[str, Any] = {}
    with own_cluster() as url, Client(url) as client:
        latencies(client)  # warm
        idle = latencies(client)
        runs = [throughput(client) for _ in range(_RUNS)]
    for name, value in spread(idle, "ms", 1e3).items():
        figures[f"submit to result over HTTP at idle, {name}"] = value
    submitted, done = zip(*runs, strict=True)
    figures["no-op tasks submitted per second, median"] = statistics.median(submitted)
    figures["no-op tasks end to end per second, median"] = statistics.median(done)
    figures["no-op tasks end to end per second, lowest"] = min(done)
    figures["no-op tasks end to end per second, highest"] = max(done)
    report("bench_end_to_end", figures)


if __name__ == "__main__":
    main()
