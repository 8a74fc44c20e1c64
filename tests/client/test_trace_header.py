"""A client in a span passes its trace on."""

import subprocess
import sys

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from task_queue.client.async_client import AsyncClient
from task_queue.client.client import Client
from task_queue.testing import FakeClock
from tests.client.conftest import URL
from tests.client.fake_api import FakeApi

_PLACE = SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1))
_HEADER = f"00-{0xABC:032x}-{0xDEF:016x}-01"


def test_requests_inside_a_span_carry_its_place(api: FakeApi, client: Client) -> None:
    with trace.use_span(NonRecordingSpan(_PLACE)):
        client.submit("shop.add", 1)
    client.submit("shop.add", 1)
    assert [request.headers.get("traceparent") for request in api.requests] == [_HEADER, None]


@pytest.mark.anyio
async def test_so_do_those_of_the_async_client(api: FakeApi, clock: FakeClock) -> None:
    async with AsyncClient(URL, transport=httpx.MockTransport(api), clock=clock) as client:
        with trace.use_span(NonRecordingSpan(_PLACE)):
            await client.submit("shop.add", 1)
    assert [request.headers.get("traceparent") for request in api.requests] == [_HEADER]


def test_the_client_does_not_import_opentelemetry() -> None:
    program = (
        "import sys; from task_queue.client.trace_header import trace_headers; "
        "assert trace_headers() == {}; import task_queue.client.client; "
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
