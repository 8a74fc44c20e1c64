"""The room in which schedulers are tested, and one scheduler in it."""

from collections.abc import AsyncIterator

import pytest

from task_queue.scheduler import Scheduler
from tests.scheduler.hall import Hall


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def hall() -> AsyncIterator[Hall]:
    made = Hall()
    yield made
    made.close()


@pytest.fixture
async def scheduler(hall: Hall) -> Scheduler:
    return await hall.started()
