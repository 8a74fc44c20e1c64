"""The text of /metrics: figures that others counted, under the names of the monitoring guide.

Nothing is counted here. Growing counts come from the store's tallies and so survive every restart;
gauges are read from the scheduler at the moment of the scrape, and so are the same from every
replica of the API. The guide's names have colons and no `_total`, so the families are put together
by hand instead of with the usual Counter and Gauge.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct
from prometheus_client import exposition, openmetrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import ALLOWUTF8

from task_queue.core.effects import TallyKind
from task_queue.core.status import WorkerStatus, priority_band
from task_queue.scheduler_api import SchedulerReading, WorkerReading
from task_queue.store.query import Tally

#: Guide's name to the tally that it counts, and what it means.
_RATES: tuple[tuple[str, TallyKind, str], ...] = (
    ("task_queue:submission_rate", "submitted", "Tasks accepted"),
    ("task_queue:completion_rate", "completed", "Tasks completed"),
    ("task_queue:failure_rate", "failed", "Tasks failed for good"),
    ("task_queue:retry_rate", "retried", "Attempts that will be tried again"),
    ("task_queue:timeout_rate", "timed_out", "Attempts stopped at their time limit"),
)
_REQUESTS = "api:requests"
_BANDS = ("high", "normal", "low")


class MetricsSource(Struct, frozen=True):
    """What is known at the moment of a scrape."""

    reading: SchedulerReading
    tallies: Sequence[Tally]
    lost_workers: int
    answers_by_status: Mapping[int, int]  #: HTTP status to answers of this process


def render_metrics(source: MetricsSource, accept: str) -> tuple[bytes, str]:
    """The whole /metrics.

    Args:
        accept: the scraper's Accept header; it chooses between OpenMetrics and the older text.

    Returns:
        The text and its content type.
    """
    reading = source.reading
    families = [
        *_task_families(source.tallies),
        _queue_depth(reading),
        *_fleet_families(reading, source.lost_workers),
        *_worker_families(reading.workers, reading),
        *_scheduler_families(reading),
        _requests(source.answers_by_status),
    ]
    return _text(families, accept)


def render_worker_metrics(
    worker: WorkerReading, reading: SchedulerReading, accept: str
) -> tuple[bytes, str]:
    """The figures of one worker, as its own target."""
    return _text(_worker_families([worker], reading), accept)


def _task_families(tallies: Iterable[Tally]) -> Iterator[Metric]:
    tallies = list(tallies)
    sums: Counter[str] = Counter()
    for tally in tallies:
        sums[tally.kind] += tally.count
    for name, kind, meaning in _RATES:
        family = Metric(name, f"{meaning} since the store was made: use rate()", "unknown")
        family.add_sample(name, {}, sums[kind])
        yield family
    tasks = CounterMetricFamily(
        "task_queue_tasks", "What happened to tasks", labels=("queue", "task", "event")
    )
    for tally in tallies:
        tasks.add_metric((tally.queue, tally.name, tally.kind), tally.count)
    yield tasks


def _queue_depth(reading: SchedulerReading) -> Metric:
    depth = dict.fromkeys(_BANDS, 0)
    for state in reading.queues:
        for priority, count in enumerate(state.waiting):
            depth[priority_band(priority)] += count
    text = "Tasks waiting for a worker by priority: high 7..9, normal 4..6, low 0..3"
    family = GaugeMetricFamily("task_queue:queue_depth", text, labels=("priority",))
    for band, count in depth.items():
        family.add_metric((band,), count)
    return family


def _fleet_families(reading: SchedulerReading, lost: int) -> Iterator[Metric]:
    by_status = Counter(worker.info.status for worker in reading.workers)
    by_status[WorkerStatus.LOST] = lost
    total = GaugeMetricFamily(
        "workers:total", "Workers by status; lost ones for 15 minutes", labels=("status",)
    )
    for status in WorkerStatus:
        total.add_metric((status.value,), by_status[status])
    yield total
    healthy = GaugeMetricFamily("workers:healthy", "Workers that were heard of within their lease")
    healthy.add_metric((), len(reading.workers))
    yield healthy


def _worker_families(workers: Iterable[WorkerReading], reading: SchedulerReading) -> list[Metric]:
    """Figures by worker. What they ended is counted since the scheduler's start or their own."""
    families = {
        name: GaugeMetricFamily(f"worker:{name}", text, labels=("worker_id",))
        for name, text in _WORKER_FIGURES.items()
    }
    for worker in workers:
        for name, value in _worker_figures(worker, reading).items():
            families[name].add_metric((worker.info.worker_id,), value)
    return list(families.values())


_WORKER_FIGURES = {
    "utilization_percent": "Slots in use, of all that it has",
    "task_rate": "Attempts ended a minute, on average since it or the scheduler started",
    "avg_duration_seconds": "Mean duration of its ended attempts; absent before the first",
    "error_rate": "Attempts that did not succeed, of those ended, 0..1",
    "uptime_seconds": "Time since it registered",
    "restart_count": "Earlier processes with this worker_id",
}


def _worker_figures(worker: WorkerReading, reading: SchedulerReading) -> dict[str, float]:
    info = worker.info
    counted_since = max(info.registered_at, reading.started_at)
    minutes = (reading.at - counted_since) / 60.0
    busy = min(len(worker.holds), info.slots)  # it may hold some more, which do not run yet
    figures = {
        "utilization_percent": 100.0 * busy / info.slots if info.slots else 0.0,
        "task_rate": worker.ended / minutes if minutes > 0 else 0.0,
        "error_rate": worker.failed / worker.ended if worker.ended else 0.0,
        "uptime_seconds": max(0.0, reading.at - info.registered_at),
        "restart_count": float(info.restarts),
    }
    if worker.ended:
        figures["avg_duration_seconds"] = worker.busy_seconds / worker.ended
    return figures


def _scheduler_families(reading: SchedulerReading) -> Iterator[Metric]:
    """How the scheduler does, counted since its start."""
    counts = {
        "task_queue_refused_reports": (
            "Reports of attempts that were no longer current, such as those of a worker that was "
            "lost and came back",
            reading.refused_reports,
        ),
        "task_queue_scheduler_turns": ("Turns of the scheduler's loop", reading.turns),
        "task_queue_commit_seconds": ("Time in commits to the store", reading.commit_seconds_total),
    }
    for name, (text, value) in counts.items():
        yield CounterMetricFamily(name, f"{text}, since the scheduler started", value=value)


def _requests(answers_by_status: Mapping[int, int]) -> Metric:
    family = Metric(_REQUESTS, "HTTP answers of this API process by status", "unknown")
    for status, count in sorted(answers_by_status.items()):
        family.add_sample(_REQUESTS, {"status": str(status)}, count)
    return family


class _Families:
    """As much of a registry as an encoder needs."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def _text(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    _, content_type = exposition.choose_encoder(accept)
    registry: Any = _Families(families)
    # Colons are allowed everywhere, but with the escaping that Prometheus asks for the encoders
    # would turn those of OpenMetrics samples into underscores. No name here needs any escaping.
    if content_type.startswith("application/openmetrics-text"):
        encode: Any = openmetrics.exposition.generate_latest  # it has no types
        return encode(registry, ALLOWUTF8), content_type
    text = exposition.generate_latest(registry, ALLOWUTF8)
    # A counter without _total is fine in this format, but the encoder would add it; in OpenMetrics
    # it is not allowed, and "unknown" is what is left.
    for name in (_REQUESTS, *(rate[0] for rate in _RATES)):
        text = text.replace(f"# TYPE {name} untyped".encode(), f"# TYPE {name} counter".encode())
    return text, content_type
