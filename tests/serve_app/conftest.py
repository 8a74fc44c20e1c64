"""Worlds: over a store in memory and over SQLite, alike for every test."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.api import build_api
from serve_app.api_context import ReadRedis
from task_queue.core.invariants import check_invariants
from task_queue.core.settings import Rules
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.scheduler import Scheduler, SchedulerParts
from task_queue.settings import HttpSettings, LimitSettings, PoolSettings, Settings
from task_queue.store import open_reader, open_store
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Reader
from task_queue.testing import FakeClock
from tests.serve_app.api_world import POOLS, TYPES, World

MakeWorld = Callable[..., Awaitable[World]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
async def make_world(store_kind: str, tmp_path: Path) -> AsyncIterator[MakeWorld]:
    """Makes worlds: ``await make_world(http={...}, limits={...}, rules=..., scheduler=...)``."""
    async with AsyncExitStack() as stack:

        async def make(**wanted: Any) -> World:
            return await stack.enter_async_context(open_world(store_kind, tmp_path, **wanted))

        yield make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """A world with the settings as they come."""
    return await make_world()


@asynccontextmanager
async def open_world(
    kind: str,
    folder: Path,
    *,
    http: dict[str, Any] | None = None,
    limits: dict[str, Any] | None = None,
    rules: Rules | None = None,
    scheduler: Callable[[Scheduler], Any] = lambda real: real,
    reader: Callable[[Reader], Any] = lambda real: real,
    read_redis: ReadRedis | None = None,
) -> AsyncIterator[World]:
    """`scheduler` and `reader` may put something between the API and the real ones."""
    clock = FakeClock()
    memory = MemoryStore()
    url = f"sqlite:///{folder / 'queue.db'}"
    store = memory if kind == "memory" else open_store(url)
    parts = SchedulerParts(
        lambda: store, rules or Rules(), clock, new_task_id, random.Random(0).random, next_firing,
        check=check_invariants,
    )  # fmt: skip
    real = Scheduler(parts)
    await real.started()
    await real.declare(POOLS, TYPES)

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    settings = Settings(
        pools={"cpu": PoolSettings()},
        http=HttpSettings(**(http or {})),
        limits=LimitSettings(**(limits or {})),
    )
    app = build_api(
        scheduler(real),
        lambda: reader(memory if kind == "memory" else open_reader(url)),
        settings, clock, "1.2.3", sleep=sleep, check_seconds=0.2,
        read_redis=read_redis,
    )  # fmt: skip
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://queue.test:8000") as client,
    ):
        yield World(app, client, real, store, clock)
    real.stop()
