"""Queues in memory."""

from collections.abc import Iterator

import pytest

from task_queue.testing import InMemoryQueue
from tests.testing.sample_tasks import RAN


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@pytest.fixture
def queue() -> Iterator[InMemoryQueue]:
    """Runs tasks when it is told to."""
    with InMemoryQueue() as made:
        yield made


@pytest.fixture
def inline() -> Iterator[InMemoryQueue]:
    """Runs tasks when they are submitted."""
    with InMemoryQueue(inline=True) as made:
        yield made
