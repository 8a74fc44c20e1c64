"""The spans `schedule:fire` and `task:submit` of a task that a schedule submits: its trace begins
there, for it has no caller.

Whether it is sampled follows from the task's id, so whoever decides it again decides it alike.
"""

from monitoring.per_second import PerSecond
from monitoring.spans import Place, Spans, Told
from monitoring.submit_span import tell_submit
from task_queue.clock import Clock
from task_queue.core.effects import Effects
from task_queue.core.schedule import Schedule
from task_queue.core.task import Task
from task_queue.tracing.span_ids import firing_span_id, firing_trace_id
from task_queue.tracing.traceparent import Traceparent, is_sampled, unsampled


class FiringSpans:
    """Gives firings their place in a trace, and tells of them when they are on disk.

    Args:
        tasks_per_second: so many are traced at most; the others get a traceparent that says so.
    """

    def __init__(self, spans: Spans, tasks_per_second: int, clock: Clock) -> None:
        self._spans = spans
        self._traced = PerSecond(tasks_per_second)
        self._clock = clock

    def begin(self, task_id: str, now: float) -> str | None:
        """The traceparent of a task that is submitted at `now`; None if it is not sampled."""
        trace_id = firing_trace_id(task_id)
        if not self._spans.samples(trace_id):
            return None
        traceparent = str(Traceparent(f"{trace_id:032x}", f"{firing_span_id(task_id):016x}"))
        if self._traced.take(1, now):
            return traceparent
        self._spans.counts.thinned += 1
        return unsampled(traceparent)

    def take(self, fx: Effects, now: float) -> None:
        """Tell of one committed turn; `now` in seconds since the epoch."""
        fired = {s.last_task_id: s for s in fx.changes.schedules.values() if s is not None}
        if not fired:
            return
        for task in fx.changes.inserted:
            traceparent, schedule = task.spec.traceparent, fired.get(task.spec.id)
            if schedule is not None and traceparent is not None and is_sampled(traceparent):
                self._tell(task, schedule, now)

    def _tell(self, task: Task, schedule: Schedule, begun: float) -> None:
        spec, ended = task.spec, self._clock.now()
        told = Told(
            name="schedule:fire", begun=begun, ended=ended,
            attributes={
                "schedule.id": schedule.id,
                "schedule.runs": schedule.runs,
                "task.id": spec.id,
                "task.name": spec.name,
                "queue.name": spec.queue,
            },
        )  # fmt: skip
        self._spans.tell(Place(firing_trace_id(spec.id), firing_span_id(spec.id)), told)
        tell_submit(self._spans, spec, begun, ended)
