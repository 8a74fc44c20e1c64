"""The trace of a task around its code, so that what the code records belongs to it.

Loaded only if tracing is enabled. If the task modules have set up OpenTelemetry themselves, their
spans go where they say; else they go where the queue's own go. Only what happens inside a task that
is traced is recorded.
"""

import os
from collections.abc import Callable
from functools import lru_cache

from opentelemetry import context, trace
from opentelemetry.sdk.environment_variables import OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from task_queue.core.task import Lease
from task_queue.executor.attempt import Verdict
from task_queue.executor.child import RunLease
from task_queue.executor.frames import Exported
from task_queue.tracing.span_counts import SpanCounts
from task_queue.tracing.span_ids import attempt_span_id
from task_queue.tracing.span_outlet import SpanOutlet, resource_of
from task_queue.tracing.traceparent import is_sampled

#: Of one attribute; as many as of the traceback of a failed attempt.
_MOST_CHARACTERS = 16_384


class UserSpans:
    """Of one child process.

    Args:
        endpoint: of the receiver.
        send: tells the worker what became of spans; called in a thread.
    """

    def __init__(self, endpoint: str, send: Callable[[Exported], None]) -> None:
        self._endpoint = endpoint
        self._send = send
        self._told = SpanCounts()
        self._outlet: SpanOutlet | None = None

    def install(self) -> None:
        """Give spans a way out, unless the task modules did. The provider flushes at exit."""
        if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return
        # The worker warns; what is written here would be in the output of a task.
        self._outlet = SpanOutlet(self._endpoint, lambda _url: None, self._tell_counts)
        provider = TracerProvider(
            ParentBased(ALWAYS_OFF), resource_of("executor"), span_limits=_limits()
        )
        provider.add_span_processor(self._outlet)
        trace.set_tracer_provider(provider)

    def around(self, run: RunLease) -> RunLease:
        """`run`, inside the attempt's span."""

        def run_inside(lease: Lease) -> Verdict:
            if lease.traceparent is None:
                return run(lease)
            token = context.attach(_inside(lease))
            try:
                return run(lease)
            finally:
                context.detach(token)

        return run_inside

    def enter(self, lease: Lease) -> None:
        """Be inside the attempt's span until the current context ends."""
        if lease.traceparent is not None:
            context.attach(_inside(lease))

    def _tell_counts(self, counts: SpanCounts) -> None:
        new, self._told = counts.since(self._told), counts.since(SpanCounts())
        self._send(Exported(new))


def _limits() -> SpanLimits:
    """OpenTelemetry's, with its variables; but a text has a limit unless these set one."""
    told = OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT in os.environ
    return SpanLimits(max_attribute_length=None if told else _MOST_CHARACTERS)


def _inside(lease: Lease) -> context.Context:
    """In the attempt's span if it is recorded, else where its caller is, for calls to others."""
    text = lease.traceparent or ""
    if is_sampled(text):
        return _below(text, attempt_span_id(lease.task_id, lease.attempt - lease.unstarted))
    return _not_recorded(text)


@lru_cache(maxsize=1)  # the tasks of a batch share it, and to make one costs as much as a task
def _not_recorded(text: str) -> context.Context:
    return _below(text, int(text.split("-")[2], 16))


def _below(text: str, span_id: int) -> context.Context:
    _, trace_id, _, flags = text.split("-")
    here = SpanContext(
        int(trace_id, 16), span_id, is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
    return trace.set_span_in_context(NonRecordingSpan(here))
