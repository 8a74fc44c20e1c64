"""How long tasks wait and run, by queue, from committed turns. A view: it decides nothing."""

from collections.abc import Iterable

from msgspec import Struct, field

from task_queue.core.effects import OTHER_QUEUES
from task_queue.core.status import Status
from task_queue.core.task import Report, Task
from task_queue.histogram import Exemplar, Histogram
from task_queue.tracing.traceparent import is_sampled

#: Callers make queue names up where a pool serves "*": what comes later is counted as OTHER.
MOST_QUEUES = 100
OTHER = OTHER_QUEUES
#: A turn adds as many as it has; then they are counted, before the next one adds more.
_MOST_NOTED = 4_096
_COMPLETED = Status.COMPLETED  # read once: an enum's members are found slowly


class QueueLatencies(Struct):
    """Of one queue, since the scheduler started."""

    wait: Histogram = field(default_factory=Histogram)  #: could run -> last attempt started
    processing: Histogram = field(default_factory=Histogram)  #: each attempt that ran
    end_to_end: Histogram = field(default_factory=Histogram)  #: accepted -> completed


class _Noted(Struct):
    """Seconds that are not counted yet."""

    counted: QueueLatencies
    wait: list[float] = field(default_factory=list)
    processing: list[float] = field(default_factory=list)
    end_to_end: list[float] = field(default_factory=list)

    def count(self) -> None:
        """Move what was noted into the histograms."""
        for name in ("wait", "processing", "end_to_end"):
            seconds = getattr(self, name)
            getattr(self.counted, name).add_all(seconds)
            seconds.clear()


class LatencyBook:
    """Notes what `Changes.ended` tells; the notes are counted in bulk, or when somebody looks."""

    def __init__(self) -> None:
        self._noted: dict[str, _Noted] = {}

    def take(self, ended: Iterable[tuple[Task, Report]], now: float) -> None:
        """Note attempts of a committed turn; wait and end to end of the completed ones."""
        queue, noted = None, None
        for task, report in ended:
            started = report.started_at
            if not started:
                continue  # it never ran
            spec = task.spec
            if noted is None or spec.queue != queue:  # most of a crowd are alike
                queue = spec.queue
                noted = self._noted.get(queue) or self._open(queue)
                if len(noted.processing) >= _MOST_NOTED:
                    noted.count()
                wait, end_to_end = noted.wait.append, noted.end_to_end.append
                processing = noted.processing.append
            processing(report.duration_seconds)
            finished = task.finished_at if task.status is _COMPLETED else None
            if finished is not None:
                submitted, due = task.submitted_at, task.due_at
                wait(started - (due if due > submitted else submitted))
                end_to_end(finished - submitted)
            if spec.traceparent is not None and is_sampled(spec.traceparent):
                _show(noted, spec.traceparent[3:35], finished is not None, now)

    def queues(self) -> dict[str, QueueLatencies]:
        """All that was taken so far, by queue."""
        for noted in self._noted.values():
            noted.count()
        return {queue: noted.counted for queue, noted in self._noted.items()}

    def _open(self, queue: str) -> _Noted:
        name = queue if len(self._noted) < MOST_QUEUES else OTHER
        return self._noted.setdefault(name, _Noted(QueueLatencies()))


def _show(noted: _Noted, trace_id: str, completed: bool, now: float) -> None:
    """Make the newest observations the exemplars of their buckets."""
    counted = noted.counted
    counted.processing.show(Exemplar(trace_id, noted.processing[-1], now))
    if completed:
        counted.wait.show(Exemplar(trace_id, max(0.0, noted.wait[-1]), now))
        counted.end_to_end.show(Exemplar(trace_id, max(0.0, noted.end_to_end[-1]), now))
