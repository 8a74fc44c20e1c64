"""How long tasks wait and run, as families."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric

from monitoring.histogram_family import histogram_family
from task_queue.histogram import sum_of
from task_queue.latency_book import MOST_QUEUES, QueueLatencies
from task_queue.scheduler_api import SchedulerReading


def latency_families(reading: SchedulerReading, known: Iterable[str]) -> Iterator[Metric]:
    """The guide's histogram over all queues, and three by queue.

    Args:
        known: queues, also those of which nothing has ended yet.
    """
    queues = _from_zero(reading.latencies, known)
    everything = sum_of(each.processing for each in queues.values())
    yield histogram_family(
        "task_queue:processing_time_seconds", "Time an attempt ran", "", {"": everything}
    )
    yield histogram_family(
        "task_queue_wait_seconds", "From when a completed task could run to its start", "queue",
        {queue: each.wait for queue, each in queues.items()},
    )  # fmt: skip
    yield histogram_family(
        "task_queue_processing_seconds", "Time an attempt ran, by queue", "queue",
        {queue: each.processing for queue, each in queues.items()},
    )  # fmt: skip
    yield histogram_family(
        "task_queue_end_to_end_seconds", "From acceptance to the end of a completed task", "queue",
        {queue: each.end_to_end for queue, each in queues.items()},
    )  # fmt: skip


def _from_zero(seen: dict[str, QueueLatencies], known: Iterable[str]) -> dict[str, QueueLatencies]:
    """With the known queues at zero, as long as what ends first in one would have its name."""
    new = [queue for queue in known if queue not in seen][: max(0, MOST_QUEUES - len(seen))]
    return {**seen, **{queue: QueueLatencies() for queue in new}}
