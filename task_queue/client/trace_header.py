"""The caller's place in a trace, as headers: only if the caller uses OpenTelemetry itself."""

import sys
from importlib import import_module

_API = "opentelemetry.trace"
_W3C = "opentelemetry.trace.propagation.tracecontext"


def trace_headers() -> dict[str, str]:
    """`traceparent`, and `tracestate` if there is one, of the current span; empty without one.

    The library does not depend on OpenTelemetry: who has not imported it has no span.
    """
    if _API not in sys.modules:
        return {}
    headers: dict[str, str] = {}
    import_module(_W3C).TraceContextTextMapPropagator().inject(headers)
    return headers
