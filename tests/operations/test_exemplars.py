"""From a latency to the trace of a task that had it: exemplars in a real Prometheus."""

import httpx
import pytest

from tests.operations.monitored import Monitored
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "series", ["task_queue:processing_time_seconds_bucket", "task_queue_end_to_end_seconds_bucket"]
)
def test_prometheus_keeps_the_trace_of_a_latency(monitored: Monitored, series: str) -> None:
    headers = {"traceparent": f"00-{_TRACE}-00f067aa0ba902b7-01"}
    task = {"name": "task_queue.noop"}
    url = f"{monitored.queue.url}/api/v1/tasks"
    httpx.post(url, json=task, headers=headers, timeout=30).raise_for_status()
    until(lambda: _TRACE in monitored.exemplars(series), 60, "the exemplar")
