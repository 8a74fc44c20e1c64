"""Tasks that record spans, with nothing but OpenTelemetry's API."""

import asyncio

from opentelemetry import trace

from task_queue import task


@task(name="traced")
def traced(label: str) -> str:
    """Records a span with one inside it; returns the trace id that it finds itself in."""
    tracer = trace.get_tracer(__name__)
    with (
        tracer.start_as_current_span("outer", attributes={"label": label}),
        tracer.start_as_current_span("inner") as span,
    ):
        return f"{span.get_span_context().trace_id:032x}"


@task(name="async_traced", executor="async")
async def async_traced(label: str) -> str:
    """The same on an event loop, with the inner span in a thread."""
    tracer = trace.get_tracer(__name__)

    def inner() -> str:
        with tracer.start_as_current_span("inner") as span:
            return f"{span.get_span_context().trace_id:032x}"

    with tracer.start_as_current_span("outer", attributes={"label": label}):
        await asyncio.sleep(0.01)
        return await asyncio.to_thread(inner)
