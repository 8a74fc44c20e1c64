"""An asyncio event loop whose time is virtual: it jumps to the next timer instead of waiting.

What runs on it is the real code, its tasks and timers included; an hour costs what its events cost.
Nothing comes from outside, so the order of everything follows from the program alone.
"""

import asyncio
import selectors
from typing import Any


class Deadlock(Exception):
    """Everything waits and nothing is due: it would wait for ever."""


class _NoWaiting(selectors.SelectSelector):
    """Never blocks; says how long the loop wanted to."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Deadlock("everything waits and no timer is set")
        self.passed += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Seconds of its `time()` cost nothing; they begin at 0."""

    def __init__(self) -> None:
        self._no_waiting = _NoWaiting()
        super().__init__(self._no_waiting)

    def time(self) -> float:
        return self._no_waiting.passed
