"""How long tasks wait and run, by queue, from committed turns. A view: it decides nothing."""

from collections.abc import Iterable

from msgspec import Struct, field

from task_queue.core.status import Status
from task_queue.core.task import Report, Task
from task_queue.histogram import Exemplar, Histogram

#: Callers make queue names up where a pool serves "*": what comes later is counted as OTHER.
MOST_QUEUES = 100
OTHER = "other"


class QueueLatencies(Struct):
    """Of one queue, since the scheduler started."""

    wait: Histogram = field(default_factory=Histogram)  #: could run -> last attempt started
    processing: Histogram = field(default_factory=Histogram)  #: each attempt that ran
    end_to_end: Histogram = field(default_factory=Histogram)  #: accepted -> completed


class LatencyBook:
    """Counts what `Changes.ended` tells."""

    def __init__(self) -> None:
        self.queues: dict[str, QueueLatencies] = {}

    def take(self, ended: Iterable[tuple[Task, Report]], now: float) -> None:
        """Count attempts of a committed turn; wait and end to end of the completed ones."""
        for task, report in ended:
            if not report.started_at:
                continue  # it never ran
            spec = task.spec
            book = self.queues.get(spec.queue) or self._book(spec.queue)
            trace = spec.traceparent
            seen = [(book.processing, report.duration_seconds)]
            if task.status is Status.COMPLETED and task.finished_at is not None:
                ready_at = max(task.submitted_at, task.due_at)
                # Workers have clocks of their own, which may be a little behind.
                seen.append((book.wait, max(0.0, report.started_at - ready_at)))
                seen.append((book.end_to_end, max(0.0, task.finished_at - task.submitted_at)))
            for histogram, value in seen:
                bucket = histogram.add(value)
                if trace is not None and _is_sampled(trace):
                    histogram.exemplars[bucket] = Exemplar(trace[3:35], value, now)

    def _book(self, queue: str) -> QueueLatencies:
        name = queue if len(self.queues) < MOST_QUEUES else OTHER
        return self.queues.setdefault(name, QueueLatencies())


def _is_sampled(traceparent: str) -> bool:
    """The last bit of a W3C traceparent (version-trace-span-flags, checked at the door)."""
    return int(traceparent[-2:], 16) & 1 == 1
