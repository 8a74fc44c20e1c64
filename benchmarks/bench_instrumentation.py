"""What do metrics, logs and traces cost of the throughput, and of the processor?

    python -m benchmarks.bench_instrumentation [--short]

Two clusters side by side, each as in bench_end_to_end: one as `on` (JSON log lines at INFO, tracing
of 0.1 of the requests to a receiver on this machine, a scrape of /metrics in each block), one as
`off` (log lines at ERROR and none of tasks, no tracing, no scrape). Latencies are counted in both:
nothing turns that off.

No-op tasks through the Python client, to one and then the other; only one works at a time. What
else the machine does comes and goes in seconds, so the runs are short and stand in blocks of
four, on off off on, the next block the other way round: a steady drift falls on both alike, and a
block is compared with nothing but itself. `on / off` is the median over the blocks of their
ratios. (With the machine's own swings, the ratio of the medians over all runs would spread by a
third more.) The second figure depends less on who else has the processor: CPU microseconds per
task, of all processes of a cluster and the client, by /proc. The 95 % intervals are bootstrapped:
blocks are drawn again 2,000 times.

Of log lines and spans there are so many a second at most, and each run begins a new second: with
runs of about a second their cost counts up to twice what it is in steady traffic.
"""

import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx
from msgspec import Struct

from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report
from benchmarks.short_flag import short_flag
from benchmarks.throughput import Run, Throughput, microseconds_per_task
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_TASKS = 25_000
_BLOCKS, _BLOCKS_SHORT = 20, 6
_SAMPLE_RATE = 0.1
_OFF = {"logging": {"level": "ERROR", "task_lines_per_second": 0}}
_SEED, _DRAWS = 1, 2_000


class Side(Struct):
    """One of the two clusters."""

    cluster: RunningCluster
    throughput: Throughput

    def run(self) -> Run:
        return self.throughput.run(_NOOP, ((),) * _TASKS)

    def scrape(self) -> str:
        return httpx.get(f"{self.cluster.url}/metrics", timeout=30.0).raise_for_status().text


class Block(Struct):
    """Two runs of each."""

    on: list[Run]
    off: list[Run]


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


def spans_exported(on: Side) -> float:
    """How many the receiver has taken, of all processes."""
    start = 'task_queue_spans_total{outcome="exported"} '
    lines = on.scrape().splitlines()
    return next(float(ln.removeprefix(start)) for ln in lines if ln.startswith(start))


def run_blocks(on: Side, off: Side, count: int) -> list[Block]:
    """Blocks of runs, after one of each that does not count."""
    for side in (on, off):
        side.run()
    blocks = []
    for number in range(count):
        block = Block([], [])
        on_first = number % 2 == 0
        for is_on in (on_first, not on_first, not on_first, on_first):
            if is_on and not block.on:
                on.scrape()
            (block.on if is_on else block.off).append((on if is_on else off).run())
        blocks.append(block)
    return blocks


def rate_ratio(block: Block) -> float:
    """Tasks a second with all of it on, of those with all of it off."""
    return _seconds(block.off) / _seconds(block.on)


def cpu_ratio(block: Block) -> float:
    """Likewise processor time per task."""
    on, off = (sum(microseconds_per_task(runs).values()) for runs in (block.on, block.off))
    return on / off


def interval(ratios: Sequence[float]) -> tuple[float, float]:
    """Bounds between which the median is with 95 %."""
    chance = random.Random(_SEED)
    drawn = [statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(_DRAWS)]
    cuts = statistics.quantiles(drawn, n=40, method="inclusive")
    return cuts[0], cuts[-1]


def figures_of(blocks: Sequence[Block]) -> dict[str, float]:
    """Both ratios with their intervals, and what they are made of."""
    figures: dict[str, float] = {}
    for name, ratio in (("on / off", rate_ratio), ("CPU per task, on / off", cpu_ratio)):
        ratios = [ratio(block) for block in blocks]
        low, high = interval(ratios)
        middle = statistics.median(ratios)
        figures |= {name: middle, f"{name}, 95 % from": low, f"{name}, 95 % to": high}
    on, off = [r for b in blocks for r in b.on], [r for b in blocks for r in b.off]
    for name, runs in (("on", on), ("off", off)):
        rates = [run.done_per_second for run in runs]
        used = microseconds_per_task(runs)
        figures |= {
            f"{name}: done per second, median": statistics.median(rates),
            f"{name}: done per second, lowest": min(rates),
            f"{name}: done per second, highest": max(rates),
            f"{name}: CPU microseconds per task": sum(used.values()),
        }
        figures |= {f"{name}: CPU microseconds per task, {role}": us for role, us in used.items()}
    return figures


def _seconds(runs: Sequence[Run]) -> float:
    return sum(run.tasks / run.done_per_second for run in runs)


def main() -> None:
    short = short_flag(__doc__)
    with span_sink() as endpoint:
        tracing = {"enabled": True, "endpoint": endpoint, "sample_rate": _SAMPLE_RATE}
        with (
            running_cluster(sections={"tracing": tracing}) as of_on,
            running_cluster(sections=_OFF) as of_off,
            Client(of_on.url) as to_on,
            Client(of_off.url) as to_off,
        ):
            on = Side(of_on, Throughput(of_on, to_on))
            off = Side(of_off, Throughput(of_off, to_off))
            figures = figures_of(run_blocks(on, off, _BLOCKS_SHORT if short else _BLOCKS))
            figures["on: spans exported"] = spans_exported(on)
    report("bench_instrumentation", figures, _SEED)


if __name__ == "__main__":
    main()
