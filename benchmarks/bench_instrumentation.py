"""What do metrics, logs and traces cost of the throughput?

    python -m benchmarks.bench_instrumentation [--short]

Two clusters side by side, each as in bench_end_to_end: one as `on` (JSON log lines at INFO, tracing
of 0.1 of the requests to a receiver on this machine, a scrape of /metrics in each run), one as
`off` (log lines at ERROR and none of tasks, no tracing, no scrape). No-op tasks through the Python
client, to one and then the other, the first of a pair by turns; only one works at a time. The ratio
is the median over the pairs of on / off. Latencies are counted in both: nothing turns that off.
"""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from msgspec import Struct

from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report
from benchmarks.short_flag import short_flag
from benchmarks.throughput import Run, Throughput, microseconds_per_task
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_TASKS = 50_000
_PAIRS = 9
_SAMPLE_RATE = 0.1
_OFF = {"logging": {"level": "ERROR", "task_lines_per_second": 0}}


class Side(Struct):
    """One of the two clusters."""

    cluster: RunningCluster
    throughput: Throughput
    scraped: bool
    runs: list[Run] = []

    def run(self, tasks: int) -> float:
        """Tasks done a second."""
        if self.scraped:
            httpx.get(f"{self.cluster.url}/metrics", timeout=30.0).raise_for_status()
        done = self.throughput.run(_NOOP, ((),) * tasks)
        self.runs.append(done)
        return done.done_per_second


@contextmanager
def span_sink() -> Iterator[str]:
    """A receiver of spans; its endpoint."""
    sink = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.span_sink"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert sink.stdin is not None and sink.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(sink.stdout.readline())}"
    finally:
        sink.stdin.close()
        sink.wait()


def spans_exported(cluster: RunningCluster) -> float:
    """How many the receiver has taken, of all processes."""
    text = httpx.get(f"{cluster.url}/metrics", timeout=30.0).text
    start = 'task_queue_spans_total{outcome="exported"} '
    return next(float(ln.removeprefix(start)) for ln in text.splitlines() if ln.startswith(start))


def measure(on: Side, off: Side, tasks: int, pairs: int) -> dict[str, float]:
    """Runs in pairs, after one of each that does not count."""
    for side in (on, off):
        side.run(tasks // 2)
        side.runs.clear()
    ratios = []
    for pair in range(pairs):
        first, second = (on, off) if pair % 2 else (off, on)
        rates = {id(side): side.run(tasks) for side in (first, second)}
        ratios.append(rates[id(on)] / rates[id(off)])
    figures = {
        "on / off, median of pairs": statistics.median(ratios),
        "on / off, lowest": min(ratios),
        "on / off, highest": max(ratios),
    }
    for name, side in (("off", off), ("on", on)):
        rates_of = [run.done_per_second for run in side.runs]
        figures[f"{name}: done per second, median"] = statistics.median(rates_of)
        used = microseconds_per_task(side.runs)
        figures[f"{name}: CPU microseconds per task"] = sum(used.values())
        figures |= {f"{name}: CPU microseconds per task, {role}": us for role, us in used.items()}
    figures["on: spans exported"] = spans_exported(on.cluster)
    return figures


def main() -> None:
    short = short_flag(__doc__)
    with span_sink() as endpoint:
        tracing = {"enabled": True, "endpoint": endpoint, "sample_rate": _SAMPLE_RATE}
        with (
            running_cluster(sections={"tracing": tracing}) as on,
            running_cluster(sections=_OFF) as off,
            Client(on.url) as to_on,
            Client(off.url) as to_off,
        ):
            figures = measure(
                Side(on, Throughput(on, to_on), scraped=True),
                Side(off, Throughput(off, to_off), scraped=False),
                _TASKS // 2 if short else _TASKS,
                5 if short else _PAIRS,
            )
    report("bench_instrumentation", figures)


if __name__ == "__main__":
    main()
