"""The real scheduler over a store in memory and a clock that a test moves."""

import random
from collections.abc import AsyncIterator

import pytest

from task_queue.core.invariants import check_invariants
from task_queue.core.settings import Rules
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler
from task_queue.scheduler_parts import SchedulerParts
from task_queue.store.memory import MemoryStore
from task_queue.testing import FakeClock


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def scheduler(clock: FakeClock, store: MemoryStore) -> AsyncIterator[Scheduler]:
    made = Scheduler(
        SchedulerParts(
            lambda: store, Rules(), clock, new_task_id, random.Random(0).random, next_firing,
            check=check_invariants,
        )
    )  # fmt: skip
    await made.started()
    yield made
    made.stop()
