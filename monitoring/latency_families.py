"""How long tasks wait and run, as families."""

from collections.abc import Iterator

from prometheus_client.core import Metric

from monitoring.histogram_family import histogram_family
from task_queue.histogram import sum_of
from task_queue.scheduler_api import SchedulerReading


def latency_families(reading: SchedulerReading) -> Iterator[Metric]:
    """The guide's histogram over all queues, and three by queue."""
    queues = reading.latencies
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
