"""The room in which streams are tested, once on each of the event loops that they meet."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.stream.stream_hall import StreamHall


@pytest.fixture(
    params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"]
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def hall() -> AsyncIterator[StreamHall]:
    made = StreamHall()
    yield made
    await made.close()
