"""What do metrics, logs and traces cost of the throughput, and of the processor?

    python -m benchmarks.bench_instrumentation [--short] [--control]

Pairs of clusters, side by side, each as in bench_end_to_end: one as `on` (JSON log lines at INFO,
tracing of 0.1 of the requests to a receiver on this machine, a scrape of /metrics in each block),
one as `off` (log lines at ERROR and none of tasks, no tracing, no scrape). Latencies are counted in
both: nothing turns that off.

No-op tasks through the Python client, to one and then the other; only one works at a time. What
else the machine does comes and goes in seconds, so the runs are short and stand in blocks of
four, on off off on, the next block the other way round: a steady drift falls on both alike, and a
block is compared with nothing but itself. `on / off` is the median over the blocks of their
ratios. (With the machine's own swings, the ratio of the medians over all runs would spread by a
third more.) The second figure depends less on who else has the processor: CPU microseconds per
task, of all processes of a cluster and the client, by /proc.

Two clusters differ also if both are off: one of them was started first, and what a process is like
for its whole life falls otherwise each time. No number of blocks averages that out, so there are
several pairs, and each is started the other way round than the one before. The 95 % intervals are
bootstrapped: 2,000 times pairs are drawn again, and of each its blocks.

`--control` switches all of it off in both. What then differs from 1 is not the price of anything.

Of log lines and spans there are so many a second at most, and each run begins a new second: with
runs of two to three seconds their cost counts up to a half more than it is in steady traffic.
"""

import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import httpx
from msgspec import Struct

from benchmarks.flags import flags
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report
from benchmarks.throughput import Run, Throughput, microseconds_per_task
from task_queue.client.client import Client

_NOOP = "task_queue.noop"
_TASKS = 100_000
_PAIRS, _PAIRS_SHORT = 4, 2
_BLOCKS, _BLOCKS_SHORT = 5, 3  #: of each pair
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


@contextmanager
def running_pair(
    on: Mapping[str, Any], off: Mapping[str, Any], on_first: bool
) -> Iterator[tuple[Side, Side]]:
    """A cluster with the sections `on` and one with `off`, started in the order that is wished."""
    with (
        running_cluster(sections=on if on_first else off) as first,
        running_cluster(sections=off if on_first else on) as second,
        Client(first.url) as to_first,
        Client(second.url) as to_second,
    ):
        one, other = (
            Side(first, Throughput(first, to_first)),
            Side(second, Throughput(second, to_second)),
        )
        yield (one, other) if on_first else (other, one)


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


def interval(pairs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Bounds between which the median of all ratios is with 95 %; each sequence is of one pair."""
    chance = random.Random(_SEED)
    drawn = []
    for _ in range(_DRAWS):
        drawn_pairs = chance.choices(pairs, k=len(pairs))
        ratios = [ratio for pair in drawn_pairs for ratio in chance.choices(pair, k=len(pair))]
        drawn.append(statistics.median(ratios))
    cuts = statistics.quantiles(drawn, n=40, method="inclusive")
    return cuts[0], cuts[-1]


def figures_of(pairs: Sequence[Sequence[Block]]) -> dict[str, float]:
    """Both ratios with their intervals, and what they are made of."""
    figures: dict[str, float] = {}
    for name, ratio in (("on / off", rate_ratio), ("CPU per task, on / off", cpu_ratio)):
        ratios = [[ratio(block) for block in blocks] for blocks in pairs]
        low, high = interval(ratios)
        middle = statistics.median(chain.from_iterable(ratios))
        figures |= {name: middle, f"{name}, 95 % from": low, f"{name}, 95 % to": high}
    blocks = [block for pair in pairs for block in pair]
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
    asked = flags(__doc__, control="all of it off in both")
    pairs, spans = [], 0.0
    with span_sink() as endpoint:
        tracing = {"enabled": True, "endpoint": endpoint, "sample_rate": _SAMPLE_RATE}
        sections = _OFF if asked.control else {"tracing": tracing}
        for number in range(_PAIRS_SHORT if asked.short else _PAIRS):
            with running_pair(sections, _OFF, on_first=number % 2 == 0) as (on, off):
                pairs.append(run_blocks(on, off, _BLOCKS_SHORT if asked.short else _BLOCKS))
                spans += spans_exported(on)
    figures = figures_of(pairs)
    figures["on: spans exported"] = spans
    report(
        "bench_instrumentation_control" if asked.control else "bench_instrumentation",
        figures,
        _SEED,
    )


if __name__ == "__main__":
    main()
