"""Spans of the queue itself, told when they are over: their ids follow from the task's.

A span that is only known to have happened (an attempt, told by its report) cannot be begun and
ended around code as tracers do it, so finished ones are made here and given to the outlet.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from monitoring.logs import get_logger
from task_queue import __version__
from task_queue.settings import TracingSettings
from task_queue.tracing.span_counts import SpanCounts
from task_queue.tracing.span_outlet import SpanOutlet, resource_of
from task_queue.tracing.traceparent import Traceparent

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("task_queue", __version__)
_FINE, _FAILED = Status(StatusCode.OK), StatusCode.ERROR

_log = get_logger("tracing")


class Place(Struct, frozen=True):
    """Where a span is. Ids as numbers."""

    trace_id: int
    span_id: int
    parent_id: int | None = None


class Told(Struct, frozen=True, kw_only=True):
    """What a finished span says."""

    name: str
    begun: float  #: seconds since the epoch
    ended: float
    attributes: Mapping[str, Any]
    kind: SpanKind = SpanKind.INTERNAL
    error: str | None = None  #: why it failed, if it did
    events: Sequence[Event] = ()
    linked: int | None = None  #: id of a span in the same trace


class Spans:
    """Those of this process.

    Args:
        part: of the queue: api, scheduler or worker.
    """

    def __init__(self, settings: TracingSettings, part: str) -> None:
        self._ids = RandomIdGenerator()
        self._sampler = TraceIdRatioBased(settings.sample_rate)
        self._resource = resource_of(part)
        self._outlet = SpanOutlet(settings.endpoint, _warn)

    @property
    def counts(self) -> SpanCounts:
        """What became of them; grows."""
        return self._outlet.counts

    def new_trace(self) -> Place | None:
        """Where a new trace begins; None if it is not to be sampled."""
        place = self.begin(None)
        return place if self.samples(place.trace_id) else None

    def samples(self, trace_id: int) -> bool:
        """Whether a trace that begins here is recorded: the sample rate and its id decide."""
        return self._sampler.should_sample(None, trace_id, "").decision is not Decision.DROP

    def begin(self, caller: Traceparent | None) -> Place:
        """A new place in a trace that is sampled: below its caller's, or in a trace of its own."""
        span_id = self._ids.generate_span_id()
        if caller is None:
            return Place(self._ids.generate_trace_id(), span_id)
        return Place(int(caller.trace_id, 16), span_id, int(caller.span_id, 16))

    def tell(self, place: Place, told: Told) -> None:
        """Have a finished span sent. Costs some 7 us here, and 50 us of the exporting thread."""
        trace_id, parent_id = place.trace_id, place.parent_id
        links: Sequence[Link] = ()
        if told.linked is not None:
            links = (Link(_context(trace_id, told.linked)),)
        self._outlet.on_end(
            ReadableSpan(
                told.name, _context(trace_id, place.span_id),
                None if parent_id is None else _context(trace_id, parent_id),
                self._resource, told.attributes, told.events, links, told.kind,
                status=_FINE if told.error is None else Status(_FAILED, told.error),
                start_time=nanoseconds(told.begun),
                end_time=nanoseconds(max(told.begun, told.ended)),
                instrumentation_scope=_SCOPE,
            )
        )  # fmt: skip

    def close(self) -> None:
        """Send what waits. Blocks, for seconds at most."""
        self._outlet.shutdown()


def nanoseconds(seconds: float) -> int:
    """Seconds since the epoch as OpenTelemetry counts them."""
    return round(seconds * 1e9)


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED)


def _warn(url: str) -> None:
    _log.warning(
        "span_receiver_away", url=url,
        effect="spans are lost and counted in task_queue_spans_total; tasks go on",
    )  # fmt: skip
