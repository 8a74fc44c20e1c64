"""Worlds: over a store in memory and over SQLite, alike for every test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.serve_app.api_world import World, open_world

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
