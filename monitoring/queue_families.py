"""The queues, as families: by priority over all, and one by one."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from task_queue.core.status import priority_band
from task_queue.latency_book import MOST_QUEUES
from task_queue.scheduler_api import QueueState

_BANDS = ("high", "normal", "low")


def queue_families(queues: Sequence[QueueState], at: float) -> Iterator[Metric]:
    """Depth by priority over all queues; by queue the first hundred of them.

    Args:
        queues: in the order of names.
        at: seconds since the epoch at which they were read.
    """
    depth = dict.fromkeys(_BANDS, 0)
    for state in queues:
        for priority, count in enumerate(state.waiting):
            depth[priority_band(priority)] += count
    text = "Tasks waiting for a worker by priority: high 7..9, normal 4..6, low 0..3"
    family = GaugeMetricFamily("task_queue:queue_depth", text, labels=("priority",))
    for band, count in depth.items():
        family.add_metric((band,), count)
    yield family
    yield from _by_queue(queues[:MOST_QUEUES], at)


def _by_queue(queues: Sequence[QueueState], at: float) -> Iterator[Metric]:
    tasks = GaugeMetricFamily(
        "task_queue_queue_tasks", "Tasks that are not over", labels=("queue", "state")
    )
    oldest = GaugeMetricFamily(
        "task_queue_queue_oldest_wait_seconds", "Age of the oldest waiting task", labels=("queue",)
    )
    paused = GaugeMetricFamily("task_queue_queue_paused", "1: paused", labels=("queue",))
    for state in queues:
        queue, since = state.queue, state.oldest_submitted_at
        tasks.add_metric((queue, "waiting"), sum(state.waiting))
        tasks.add_metric((queue, "delayed"), state.delayed)
        tasks.add_metric((queue, "running"), state.running)
        oldest.add_metric((queue,), max(0.0, at - since) if since is not None else 0.0)
        paused.add_metric((queue,), float(state.paused))
    yield from (tasks, oldest, paused)
