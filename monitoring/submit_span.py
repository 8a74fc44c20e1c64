"""The span `task:submit`: from when a task is handed to the scheduler until it is on disk."""

from opentelemetry.trace import SpanKind

from monitoring.spans import Place, Spans, Told
from task_queue.core.task import TaskSpec
from task_queue.tracing.span_ids import submit_span_id


def tell_submit(spans: Spans, spec: TaskSpec, begun: float, ended: float) -> None:
    """Tell of a task whose traceparent is that of the span above; seconds since the epoch."""
    _, trace_id, parent_id, _ = (spec.traceparent or "").split("-")
    attributes = {
        "task.id": spec.id,
        "task.name": spec.name,
        "task.priority": spec.priority,
        "queue.name": spec.queue,
    }
    told = Told(
        name="task:submit", begun=begun, ended=ended, attributes=attributes, kind=SpanKind.PRODUCER
    )
    spans.tell(Place(int(trace_id, 16), submit_span_id(spec.id), int(parent_id, 16)), told)
