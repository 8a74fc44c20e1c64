"""Does anything grow under a steady load: memory, the database file, or the time a task takes?

    python -m benchmarks.bench_soak [--minutes 10] [--per-second 1000] [--short]

A cluster of its own with a SQLite store that keeps finished tasks for 60 s and deletes every 5 s.
The tasks return the 200 bytes that they are given. Every 5 s: the resident memory of each of our
processes, and the size of the database with its write-ahead log. Five times a second: the
milliseconds from the submission of a single task to its result, over HTTP. The first fifth, two
minutes at most, fills what may be full; of the rest the first and the last third are compared. A
curve of memory and disk, one point a minute, is printed. --short: one minute, to try it out.
"""

import statistics
import threading
import time
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from benchmarks.background_load import background_load
from benchmarks.cpu_by_process import memory_by_role
from benchmarks.flags import flags
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report
from task_queue.client.client import Client

_RETENTION = {"retention": {"finished_seconds": 60, "prune_interval_seconds": 5}}
_SAMPLE_SECONDS, _PROBE_SECONDS = 5.0, 0.2
_WARM_SHARE, _WARM_SECONDS = 0.2, 120.0


class Samples(Struct):
    """What was seen, each with the seconds since the start."""

    memory: list[tuple[float, dict[str, int]]] = field(default_factory=list)  #: bytes by role
    disk: list[tuple[float, int]] = field(default_factory=list)  #: bytes
    latency: list[tuple[float, float]] = field(default_factory=list)  #: ms


def soak(cluster: RunningCluster, seconds: float, per_second: float) -> Samples:
    """Load it, and look at it."""
    samples, began, stop = Samples(), time.perf_counter(), threading.Event()
    probe = threading.Thread(target=_probe, args=(cluster, samples, began, stop))
    load = "benchmarks.busy_tasks.give_back", ("x" * 200,)
    with background_load(cluster.url, per_second, *load):
        probe.start()
        try:
            while (at := time.perf_counter() - began) < seconds:
                samples.memory.append((at, memory_by_role(cluster.cluster_id)))
                samples.disk.append((at, _disk(cluster.folder / ".task-queue")))
                time.sleep(_SAMPLE_SECONDS)
        finally:
            stop.set()
            probe.join()
    return samples


def _probe(cluster: RunningCluster, samples: Samples, began: float, stop: threading.Event) -> None:
    with Client(cluster.url) as client:
        while not stop.wait(_PROBE_SECONDS):
            sent = time.perf_counter()
            client.submit("task_queue.noop", priority=9).result(timeout=60)
            samples.latency.append((sent - began, (time.perf_counter() - sent) * 1e3))


def _disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("queue.db*"))


def compared(samples: Samples, warm: float, end: float) -> dict[str, Any]:
    """First and last third of the time after `warm`."""
    third = (end - warm) / 3
    figures: dict[str, Any] = {}
    for name, since, until in (("first", warm, warm + third), ("last", end - third, end + 1e9)):
        memory = [roles for at, roles in samples.memory if since <= at < until]
        disk = [size for at, size in samples.disk if since <= at < until]
        latency = [ms for at, ms in samples.latency if since <= at < until]
        for role in memory[0]:
            figures[f"{name} third: {role}, MB"] = statistics.median(m[role] for m in memory) / 1e6
        figures[f"{name} third: database, MB"] = max(disk) / 1e6
        cuts = statistics.quantiles(latency, n=100)
        for percent in (50, 95, 99):
            figures[f"{name} third: latency p{percent}, ms"] = cuts[percent - 1]
        figures[f"{name} third: latency max, ms"] = max(latency)
    return figures


def _curve(samples: Samples) -> str:
    """One point a minute, for people."""
    every = round(60 / _SAMPLE_SECONDS)
    points = zip(samples.memory[::every], samples.disk[::every], strict=True)
    return "  ".join(
        f"{at / 60:.0f}: {roles['scheduler'] / 1e6:.0f} {size / 1e6:.0f}"
        for (at, roles), (_, size) in points
    )


def main() -> None:
    options = flags(__doc__, {"minutes": 10.0, "per-second": 1_000.0})
    seconds = 60.0 if options.short else options.minutes * 60
    with running_cluster(sections=_RETENTION) as cluster:
        samples = soak(cluster, seconds, options.per_second)
        tallies = cluster.reader().tallies()
    done = sum(one.count for one in tallies if one.kind == "completed")
    warm = min(_WARM_SECONDS, seconds * _WARM_SHARE)
    figures = {"seconds": seconds, "tasks done per second": done / seconds}
    figures |= compared(samples, warm, seconds)
    figures["minute, scheduler MB, database MB"] = _curve(samples)
    report("bench_soak", figures)


if __name__ == "__main__":
    main()
