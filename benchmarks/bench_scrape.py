"""What does a scrape of the metrics cost, and how long does it take?

    python -m benchmarks.bench_scrape [--short]

A cluster of its own, with the tallies and workers that a no-op load leaves. GET /metrics every
0.6 s, which is more than the answer is kept for: milliseconds of a scrape at idle, and beside
no-op tasks at half of the throughput. Processor time of a scrape at idle: milliseconds in the
replica and in the scheduler beyond what these take without scrapes. And, without a cluster, the
text of the largest scrape that labels allow: each of 50 tasks was submitted to each of 100 queues.
"""

import time
from typing import get_args

import httpx

from benchmarks.background_load import background_load
from benchmarks.cpu_by_process import CpuByProcess
from benchmarks.flags import flags
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report, spread
from benchmarks.throughput import Throughput
from monitoring.metrics import MetricsSource, render_metrics
from task_queue.client.client import Client
from task_queue.core.effects import TallyKind
from task_queue.latency_book import MOST_QUEUES, QueueLatencies
from task_queue.scheduler_api import QueueState, SchedulerReading
from task_queue.store.query import Tally

_NOOP = "task_queue.noop"
_TASKS = 30_000
_SCRAPES = 100
_MANY_TASKS = 50
_PERIOD_SECONDS = 0.6
_LOAD = 0.5
_ROLES = ("replica", "scheduler")


def scrapes(http: httpx.Client, count: int) -> list[float]:
    """Seconds of each."""
    seconds = []
    for _ in range(count):
        time.sleep(_PERIOD_SECONDS)
        began = time.perf_counter()
        http.get("/metrics").raise_for_status()
        seconds.append(time.perf_counter() - began)
    return seconds


def at_idle(cluster: RunningCluster, http: httpx.Client, count: int) -> dict[str, float]:
    """Latency, size and processor time."""
    nothing = CpuByProcess(cluster.cluster_id)
    time.sleep(count * _PERIOD_SECONDS / 2)
    without, without_seconds = nothing.roles(), nothing.elapsed()
    scraping = CpuByProcess(cluster.cluster_id)
    figures = _named("at idle", scrapes(http, count))
    used, seconds = scraping.roles(), scraping.elapsed()
    for role in _ROLES:
        beyond = used[role] - without[role] / without_seconds * seconds
        figures[f"{role}, CPU ms per scrape"] = beyond / count * 1e3
    figures["answer, bytes"] = len(http.get("/metrics").content)
    return figures


def under_load(
    cluster: RunningCluster, http: httpx.Client, most: float, count: int
) -> dict[str, float]:
    """Latency beside tasks at half of `most` a second."""
    with background_load(cluster.url, most * _LOAD):
        return _named("at 50 % load", scrapes(http, count))


def largest() -> dict[str, float]:
    """Processor time of putting the largest text together."""
    queues = [QueueState(f"queue{n:03}", False, [0] * 10, 0, 0, None) for n in range(MOST_QUEUES)]
    tallies = [
        Tally(state.queue, f"task{n}", kind, 1)
        for state in queues for n in range(_MANY_TASKS) for kind in get_args(TallyKind)
    ]  # fmt: skip
    latencies = {state.queue: QueueLatencies() for state in queues}
    reading = SchedulerReading(1.0, 0.0, 1, queues, [], 0, 0, 0.0, 0.0, latencies)
    source = MetricsSource(reading, tallies, 0, queues, [])
    began = time.process_time()
    text, _ = render_metrics(source, "")
    took = time.process_time() - began
    return {"largest text, lines": text.count(b"\n"), "largest text, CPU ms": took * 1e3}


def _named(name: str, seconds: list[float]) -> dict[str, float]:
    return {f"scrape {name}, {part}": value for part, value in spread(seconds, "ms", 1e3).items()}


def main() -> None:
    count = _SCRAPES // 10 if flags(__doc__).short else _SCRAPES
    with running_cluster() as cluster, httpx.Client(base_url=cluster.url, timeout=30) as http:
        with Client(cluster.url) as client:
            throughput = Throughput(cluster, client)
            throughput.run(_NOOP, ((),) * _TASKS)  # warm
            most = throughput.run(_NOOP, ((),) * _TASKS).done_per_second
        figures = at_idle(cluster, http, count)
        figures |= under_load(cluster, http, most, count)
    report("bench_scrape", figures | largest())


if __name__ == "__main__":
    main()
