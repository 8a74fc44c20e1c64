"""Queues as the API shows them: those with tasks or a pause, and those that pools name."""

from serve_app.catalogue import Catalogue
from task_queue.core.status import PRIORITY_MAX, priority_band
from task_queue.scheduler_api import QueueState, SchedulerReading
from task_queue.wire import QueueView

BANDS = ("high", "normal", "low")


def queue_states(reading: SchedulerReading, catalogue: Catalogue) -> list[QueueState]:
    """Every known queue by name, empty ones included."""
    states = {state.queue: state for state in reading.queues}
    for queue in catalogue.queues():
        if queue not in states:
            states[queue] = QueueState(queue, False, [0] * (PRIORITY_MAX + 1), 0, 0, None)
    return [states[queue] for queue in sorted(states)]


def queue_view(state: QueueState, catalogue: Catalogue, now: float) -> QueueView:
    """One queue."""
    oldest = state.oldest_submitted_at
    return QueueView(
        queue=state.queue,
        paused=state.paused,
        queued=sum(state.waiting),
        delayed=state.delayed,
        running=state.running,
        by_priority={str(p): count for p, count in enumerate(state.waiting) if count},
        oldest_wait_seconds=None if oldest is None else max(0.0, now - oldest),
        pools=[pool.name for pool in catalogue.pools_serving(state.queue)],
    )


def by_band(waiting: list[int]) -> dict[str, int]:
    """Waiting tasks by the three bands of priority; `waiting` is by priority 0..9."""
    bands = dict.fromkeys(BANDS, 0)
    for priority, count in enumerate(waiting):
        bands[priority_band(priority)] += count
    return bands
