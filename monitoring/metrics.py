"""The text of /metrics: figures that others counted, under the names of the monitoring guide.

Nothing is counted here. Growing counts come from the store's tallies and so survive every restart;
gauges are read from the scheduler at the moment of the scrape, and so are the same from every
replica of the API. The guide's names have colons and no `_total`, so the families are put together
by hand instead of with the usual Counter and Gauge.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct
from prometheus_client import exposition, openmetrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import ALLOWUTF8

from monitoring.latency_families import latency_families
from monitoring.part_families import api_families, database_families, system_families
from monitoring.plain_counter import mark_counters
from monitoring.queue_families import queue_families
from monitoring.task_families import task_families
from task_queue.core.status import WorkerStatus
from task_queue.scheduler_api import QueueState, SchedulerReading, WorkerReading
from task_queue.store.query import Tally
from task_queue.tracing.span_counts import SpanCounts


class MetricsSource(Struct, frozen=True):
    """What is known at the moment of a scrape."""

    reading: SchedulerReading
    tallies: Sequence[Tally]
    lost_workers: int
    queues: Sequence[QueueState]  #: all that are known, by name; empty ones too
    tasks: Sequence[tuple[str, str]]  #: (queue, task) that may be submitted
    redis: Sequence[Metric] = ()  #: families of Redis, if it is configured


def render_metrics(source: MetricsSource, accept: str) -> tuple[bytes, str]:
    """The whole /metrics.

    Args:
        accept: the scraper's Accept header; it chooses between OpenMetrics and the older text.

    Returns:
        The text and its content type.
    """
    reading = source.reading
    families = [
        *task_families(source.tallies, source.tasks),
        *latency_families(reading, [state.queue for state in source.queues]),
        *queue_families(source.queues, reading.at),
        *_fleet_families(reading, source.lost_workers),
        *_worker_families(reading.workers, reading),
        *_worker_counters(reading.workers),
        *_scheduler_families(reading),
        *system_families(reading.nodes),
        *database_families(reading.store),
        *api_families(reading.replicas),
        _span_family(reading),
        *source.redis,
    ]
    return _text(families, accept)


def render_worker_metrics(
    worker: WorkerReading, reading: SchedulerReading, accept: str
) -> tuple[bytes, str]:
    """The figures of one worker, as its own target."""
    return _text(_worker_families([worker], reading), accept)


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


def _worker_counters(workers: Iterable[WorkerReading]) -> Iterator[Metric]:
    """What workers did, for `rate()`: the guide's figures are averages over a whole life."""
    attempts = CounterMetricFamily(
        "task_queue_worker_attempts",
        "Attempts that a worker ended",
        labels=("worker_id", "outcome"),
    )
    busy = CounterMetricFamily(
        "task_queue_worker_busy_seconds", "Time that its ended attempts ran", labels=("worker_id",)
    )
    for worker in workers:
        worker_id = worker.info.worker_id
        attempts.add_metric((worker_id, "succeeded"), worker.ended - worker.failed)
        attempts.add_metric((worker_id, "failed"), worker.failed)
        busy.add_metric((worker_id,), worker.busy_seconds)
    yield from (attempts, busy)


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
    failures = CounterMetricFamily(
        "task_queue_chore_failures",
        "Faults in what the scheduler does beside tasks, since it started: see its log",
        labels=("chore",),
    )
    for chore, count in reading.chore_failures.items():
        failures.add_metric((chore,), count)
    yield failures


def _span_family(reading: SchedulerReading) -> Metric:
    """What became of spans, in all processes."""
    spans = CounterMetricFamily(
        "task_queue_spans", "What became of spans of tracing", labels=("outcome",)
    )
    sums = SpanCounts()
    sums.add(reading.spans)
    sums.add(reading.replicas.spans)
    for outcome in SpanCounts.__struct_fields__:
        spans.add_metric((outcome,), getattr(sums, outcome))
    return spans


class _Families:
    """As much of a registry as an encoder needs."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


def _text(families: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    _, content_type = exposition.choose_encoder(accept)
    families = list(families)
    registry: Any = _Families(families)
    # Colons are allowed everywhere, but with the escaping that Prometheus asks for the encoders
    # would turn those of OpenMetrics samples into underscores. No name here needs any escaping.
    if content_type.startswith("application/openmetrics-text"):
        encode: Any = openmetrics.exposition.generate_latest  # it has no types
        return encode(registry, ALLOWUTF8), content_type
    text = exposition.generate_latest(registry, ALLOWUTF8)
    return mark_counters(text, families), content_type
