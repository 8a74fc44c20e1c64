"""Answers that no queue would give: the client raises an error of its own, never another one."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task_queue import errors
from task_queue.client.client import Client
from task_queue.testing import FakeClock
from tests.client.conftest import URL

_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["task_id", "task_ids", "status", "result", "detail", "title", "tasks"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_BODIES = st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode())
_STATUSES = st.sampled_from([200, 201, 202, 204, 301, 304, 400, 404, 410, 418, 429, 500, 503, 504])
_TYPES = st.sampled_from(["application/json", "application/problem+json", "text/html", "nonsense"])
_AFTER = st.none() | st.sampled_from(["7", "-3", "soon", "1e99", "9" * 400])

_CALLS: dict[str, Callable[[Client], Any]] = {
    "submit": lambda client: client.submit("a.task", 1),
    "submit_many": lambda client: client.submit_many("a.task", [(1,), (2,)]),
    "task": lambda client: client.task("t"),
    "result": lambda client: client.submit("a.task").result(timeout=5),
    "cancel": lambda client: client.cancel("t"),
    "queues": lambda client: client.queues(),
    "workers": lambda client: client.workers(),
}


@pytest.mark.parametrize("name", list(_CALLS))
@given(status=_STATUSES, body=_BODIES, media_type=_TYPES, after=_AFTER)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_answer_is_taken_or_refused_in_our_words(
    name: str, status: int, body: bytes, media_type: str, after: str | None
) -> None:
    headers = {"content-type": media_type}
    if after is not None:
        headers["retry-after"] = after
    clock = FakeClock()
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=body, headers=headers))
    with Client(URL, transport=transport, clock=clock, sleep=clock.advance) as client:
        start = clock.now()
        try:
            _CALLS[name](client)
        except (errors.TaskQueueError, TimeoutError) as error:
            assert str(error)
        assert clock.now() - start < 120.0
