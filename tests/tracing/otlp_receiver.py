"""A receiver of OTLP over HTTP on the loopback interface, as a collector is one: it reads the
protobuf that arrives with OpenTelemetry's own definitions and keeps the spans.
"""

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.until import until


class SeenSpan(Struct, frozen=True):
    """A span that arrived. Ids in hexadecimal, parent "" without one, times in nanoseconds."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    attributes: Mapping[str, Any]
    begun: int
    ended: int
    failed: bool
    links: tuple[str, ...]
    events: tuple[str, ...]
    kind: int
    part: str  #: of the queue
    service: str


class OtlpReceiver:
    """Where spans go. Thread-safe."""

    def __init__(self, port: int = 0) -> None:
        self.spans: list[SeenSpan] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                assert self.path == "/v1/traces"
                receiver.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not in the output of tests."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _values(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_seen(span, resource) for span in scope_spans.spans]

    def named(self, name: str, **attributes: Any) -> list[SeenSpan]:
        """Spans of a name, as they began; attributes with _ for the dot in their names."""
        wanted = {key.replace("_", ".", 1): value for key, value in attributes.items()}
        named = [span for span in list(self.spans) if span.name == name]
        found = [span for span in named if wanted.items() <= span.attributes.items()]
        return sorted(found, key=lambda span: span.begun)

    def one(self, name: str, **attributes: Any) -> SeenSpan:
        """The one span like this; waits until it is there."""
        until(lambda: bool(self.named(name, **attributes)), 20.0, f"{name} {attributes}")
        (found,) = self.named(name, **attributes)
        return found

    def close(self) -> None:
        """From now on nobody listens. May be repeated."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def otlp_receiver(port: int = 0) -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver(port)
    try:
        yield receiver
    finally:
        receiver.close()


def _seen(span: Span, resource: Mapping[str, Any]) -> SeenSpan:
    return SeenSpan(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
        _values(span.attributes), span.start_time_unix_nano, span.end_time_unix_nano,
        span.status.code == 2, tuple(link.span_id.hex() for link in span.links),
        tuple(event.name for event in span.events), span.kind,
        resource["task_queue.part"], resource["service.name"],
    )  # fmt: skip


def _values(attributes: Any) -> dict[str, Any]:
    return {
        a.key: getattr(a.value, a.value.WhichOneof("value") or "string_value") for a in attributes
    }
