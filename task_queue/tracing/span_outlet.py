"""The way of finished spans out of a process: bounded, in the background, counted.

Nothing here blocks or fails whoever ends a span. The batches, their thread and the protocol are
OpenTelemetry's. What it lacks is here: a count of what was dropped, and one warning instead of many
when the receiver is away.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from task_queue import __version__
from task_queue.tracing.span_counts import SpanCounts

SERVICE = "task-queue"
_PATH = "/v1/traces"
#: Some 10 MB of spans.
_MOST_WAITING = 4_096
_BATCH_SPANS = 512
#: A batch costs as much as to encode dozens of spans, however few it has.
_PAUSE_MILLISECONDS = 1_000
#: For one batch, further tries included; and so about the longest that `close` takes.
_EXPORT_SECONDS = 3.0

_EXPORTER_LOGGER = OTLPSpanExporter.__module__
_here = threading.local()


def _is_of_others(_record: logging.LogRecord) -> bool:
    """Keeps back what the exporter logs of each failure: `on_away` says it once. User code in the
    same process may export as well, in threads of its own."""
    return not getattr(_here, "exporting", False)


def resource_of(part: str) -> Resource:
    """What this process is, as its spans carry it; `part`: api, scheduler, worker or executor."""
    host, pid = socket.gethostname(), os.getpid()
    return _OneResource(
        {
            "service.name": SERVICE,
            "service.version": __version__,
            "service.instance.id": f"{part}-{host}-{pid}",
            "task_queue.part": part,
            "host.name": host,
            "process.pid": pid,
        }
    )


class _OneResource(Resource):
    """Hashed once. The exporter hashes that of each span, which is a quarter of its work."""

    def __init__(self, attributes: Mapping[str, str | int]) -> None:
        super().__init__(attributes)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


class SpanOutlet(SpanProcessor):
    """Takes finished spans. Belongs to one process.

    Args:
        endpoint: of the receiver, without the path.
        on_away: called once when the receiver cannot be reached, with its URL, and not again until
            it has been back. In a thread of its own.
        on_counts: called after each batch, in the same thread.
    """

    def __init__(
        self,
        endpoint: str,
        on_away: Callable[[str], None],
        on_counts: Callable[[SpanCounts], None] = lambda _counts: None,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self.counts = SpanCounts()
        self._taken = 0
        self._most_waiting = most_waiting
        self._exporter = _CountedExporter(f"{endpoint}{_PATH}", self.counts, on_away, on_counts)
        self._batches = BatchSpanProcessor(
            self._exporter, most_waiting + _BATCH_SPANS, _PAUSE_MILLISECONDS, _BATCH_SPANS
        )

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span. Never blocks; if too many wait already, it is dropped and counted."""
        if self._taken - self._exporter.given >= self._most_waiting:
            self.counts.dropped += 1
        elif span.context is not None and span.context.trace_flags.sampled:
            self._taken += 1
            self._batches.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what waits; blocks."""
        return self._batches.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Send what waits, if the receiver is there, and end. Blocks for seconds at most."""
        self._exporter.hurry()
        self._batches.shutdown()  # type: ignore[no-untyped-call]


class _CountedExporter(SpanExporter):
    """Counts what the real one does, and says once that it fails."""

    def __init__(
        self, url: str, counts: SpanCounts, on_away: Callable[[str], None],
        on_counts: Callable[[SpanCounts], None],
    ) -> None:  # fmt: skip
        logging.getLogger(_EXPORTER_LOGGER).addFilter(_is_of_others)
        self._url = url
        self._real = OTLPSpanExporter(url, timeout=_EXPORT_SECONDS)
        self._counts = counts
        self._on_away = on_away
        self._on_counts = on_counts
        self._away = False
        self._hurried = False
        self.given = 0  #: spans that do not wait any more

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.given += len(spans)
        result = SpanExportResult.FAILURE
        if not (self._hurried and self._away):
            _here.exporting = True
            result = self._real.export(spans)
            _here.exporting = False
        if result is SpanExportResult.SUCCESS:
            self._counts.exported += len(spans)
            self._away = False
        else:
            self._counts.failed += len(spans)
            if not self._away:
                self._away = True
                self._on_away(self._url)
        self._on_counts(self._counts)
        return result

    def hurry(self) -> None:
        """The process ends: after a failure nothing more is tried."""
        self._hurried = True

    def shutdown(self) -> None:
        self._real.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._real.force_flush(timeout_millis)
