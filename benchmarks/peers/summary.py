"""One line of the table: medians over the runs."""

from statistics import median

from msgspec import Struct

from benchmarks.peers.figures import Figures
from benchmarks.report import spread


class Summary(Struct, frozen=True):
    """What the table says of one queue."""

    queue: str
    version: str
    durability: str
    tasks: int
    enqueued_per_second: float
    done_per_second: float
    slowest_run: float  #: tasks done per second
    fastest_run: float
    p50_ms: float | None  #: None: it has no results
    p99_ms: float | None

    @classmethod
    def of(cls, queue: str, figures: Figures) -> "Summary":
        """Percentiles are taken within each run, then their median."""
        spreads = [spread(run, "ms", 1e3) for run in figures.latencies_seconds]
        return cls(
            queue,
            figures.version,
            figures.durability,
            figures.tasks,
            median(figures.enqueued_per_second),
            median(figures.done_per_second),
            min(figures.done_per_second),
            max(figures.done_per_second),
            median(one["p50 ms"] for one in spreads) if spreads else None,
            median(one["p99 ms"] for one in spreads) if spreads else None,
        )
