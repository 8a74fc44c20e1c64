"""Work in the background that goes on whatever happens in it, and whose faults are heard of.

A task of an event loop that raises ends quietly: nobody awaits it. To end the whole process instead
would help nobody: tasks run without pruning and trends for a while, a restart interrupts all, and
the fault is still there afterwards. So a fault is logged as an error with its traceback, counted,
and the work is tried again a minute later.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from monitoring.logs import get_logger

AGAIN_SECONDS = 60.0  #: after a fault

#: Does its work once, and returns after how many seconds to do it again; None: never.
Work = Callable[[], Awaitable[float | None]]


class Chores:
    """The chores of one process."""

    def __init__(
        self, logger: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.failures: Counter[str] = Counter()  #: by chore
        self._log = get_logger(logger)
        self._sleep = sleep
        self._running: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Work, first_after: float = 0.0) -> None:
        """Begin a chore in this event loop.

        Args:
            first_after: seconds.
        """
        self.failures[name] = 0
        chore = self._for_ever(name, work, first_after)
        self._running.append(asyncio.get_running_loop().create_task(chore))

    def stop(self) -> None:
        """End them all, in the middle of their work."""
        for chore in self._running:
            chore.cancel()
        self._running.clear()

    async def _for_ever(self, name: str, work: Work, first_after: float) -> None:
        pause: float | None = first_after
        while pause is not None:
            await self._sleep(pause)
            try:
                pause = await work()
            except Exception:  # noqa: BLE001  whatever it was, it must be heard of and go on
                self.failures[name] += 1
                self._log.exception("chore_failed", chore=name, times=self.failures[name])
                pause = AGAIN_SECONDS
