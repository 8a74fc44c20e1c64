"""The span `api:endpoint` of each request that is traced, and the trace id in its log lines.

In front of everything, and there only if tracing is enabled. A request's trace is that of its W3C
traceparent, which also decides whether it is sampled; without one the sample rate decides.
"""

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from monitoring.spans import Place, Spans, Told
from serve_app.request_edge import (
    OF_MONITORING,
    TRACEPARENT_KEY,
    route_of,
    traceparent_header,
)
from task_queue.clock import Clock
from task_queue.tracing.traceparent import Traceparent

_TRACED = "/api/v1/"


class RequestTracing:
    """Outermost ASGI middleware."""

    def __init__(self, app: ASGIApp, spans: Spans, clock: Clock) -> None:
        self._app = app
        self._spans = spans
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = self._place(scope)
        if place is None:
            await self._app(scope, receive, send)
            return
        trace_id = f"{place.trace_id:032x}"
        traceparent = str(Traceparent(trace_id, f"{place.span_id:016x}"))
        scope.setdefault("state", {})[TRACEPARENT_KEY] = traceparent
        begun, status = self._clock.now(), 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            with bound_contextvars(trace_id=trace_id):
                await self._app(scope, receive, send_on)
        finally:
            self._tell(place, scope, status, begun)

    def _place(self, scope: Scope) -> Place | None:
        """Where in a trace the request is; None: it is not traced."""
        if scope["type"] != "http":
            return None
        path: str = scope["path"]
        if not path.startswith(_TRACED) or path.startswith(OF_MONITORING):
            return None
        caller = traceparent_header(scope)
        if caller is None:
            return self._spans.new_trace()
        if not caller.sampled:
            return None
        return self._spans.begin(caller)

    def _tell(self, place: Place, scope: Scope, status: int, begun: float) -> None:
        attributes = {
            "http.request.method": scope["method"],
            "http.route": route_of(scope),
            "request.id": scope["state"].get("request_id", ""),
        }
        if status:
            attributes["http.response.status_code"] = status
        error = None
        if not status:
            error = "no answer was sent"
        elif status >= 500:
            error = f"HTTP {status}"
        told = Told(
            name="api:endpoint", begun=begun, ended=self._clock.now(), attributes=attributes,
            kind=SpanKind.SERVER, error=error,
        )  # fmt: skip
        self._spans.tell(place, told)
