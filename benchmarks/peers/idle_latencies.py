"""Submit to result, one task at a time. Used with both Pythons: standard library only."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

_TASKS = 300
_PAUSE_SECONDS = 0.005


async def idle_latencies(result: Callable[[], Awaitable[None]], runs: int) -> list[Sequence[float]]:
    """Seconds that `result` takes from submit to result, after a run that is not counted."""
    return [await _run(result) for _ in range(1 + runs)][1:]


async def _run(result: Callable[[], Awaitable[None]]) -> Sequence[float]:
    seconds = []
    for _ in range(_TASKS):
        await asyncio.sleep(_PAUSE_SECONDS)
        began = time.perf_counter()
        await result()
        seconds.append(time.perf_counter() - began)
    return seconds
