"""A client on a fake API, and a clock that only moves when somebody waits."""

from collections.abc import Iterator

import httpx
import pytest

from task_queue.client.client import Client
from task_queue.testing import FakeClock
from tests.client.fake_api import FakeApi

URL = "http://queue.test:8000"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TASK_QUEUE_URL", raising=False)
    monkeypatch.delenv("TASK_QUEUE_API_KEY", raising=False)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> FakeApi:
    return FakeApi(clock)


@pytest.fixture
def client(api: FakeApi, clock: FakeClock) -> Iterator[Client]:
    transport = httpx.MockTransport(api)
    with Client(URL, transport=transport, clock=clock, sleep=clock.advance) as client:
        yield client
