"""One call for many callers: its answer is kept for a moment and shared.

A dashboard, a scrape and a health check that come together must not ask the scheduler three times.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from task_queue.clock import Clock

T = TypeVar("T")


class ReadingCache(Generic[T]):
    """The answer of `call`, at most `max_age_seconds` old. Errors are shared but never kept."""

    def __init__(
        self, call: Callable[[], Awaitable[T]], max_age_seconds: float, clock: Clock
    ) -> None:
        self._call = call
        self._max_age_seconds = max_age_seconds
        self._clock = clock
        self._kept: tuple[float, T] | None = None
        self._running: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The answer. A caller that gives up does not end the call that others wait for."""
        now = self._clock.monotonic()
        if self._kept is not None and now - self._kept[0] < self._max_age_seconds:
            return self._kept[1]
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())
            self._running.add_done_callback(_look_at_error)
        return await asyncio.shield(self._running)

    def forget(self) -> None:
        """Something was changed: whoever asks from now on gets an answer from after it."""
        self._kept = None
        self._running = None

    async def _run(self) -> T:
        me = asyncio.current_task()
        try:
            value = await self._call()
            if self._running is me:
                self._kept = (self._clock.monotonic(), value)
            return value
        finally:
            if self._running is me:
                self._running = None


def _look_at_error(task: "asyncio.Task[T]") -> None:
    """Everybody who waited may be gone: the error was theirs to see, not the event loop's."""
    if not task.cancelled():
        task.exception()
