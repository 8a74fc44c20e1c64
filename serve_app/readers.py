"""The readers of one API process: which question is asked where.

A point read takes some ten microseconds and is made right away, on the event loop. What may scan
many rows is asked of a second reader in a thread of its own, one question at a time, because a
reader is not for two threads. Health is probed through a third, so that a scan does not look like a
sick store. Each is opened at its first use: when a replica starts there may be no store yet.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from serve_app.timed_reader import timed_reader
from task_queue.clock import Clock
from task_queue.histogram import Histogram, sum_of
from task_queue.store.protocol import Reader

T = TypeVar("T")


class Connections(NamedTuple):
    """Connections of this process to the store."""

    active: int
    total: int


class Readers:
    """All questions to the store go through here. Every method may raise StoreError."""

    most = 3  #: connections that are opened, at their first use

    def __init__(self, open_reader: Callable[[], Reader], clock: Clock) -> None:
        self._seconds = [Histogram() for _ in range(self.most)]
        openers = [partial(_open_timed, open_reader, clock, seconds) for seconds in self._seconds]
        self._open_reader = openers[0]
        self._point: Reader | None = None
        self._scan = _ReaderThread(openers[1], "store-scan")
        self._probe = _ReaderThread(openers[2], "store-probe")

    @property
    def point(self) -> Reader:
        """For reads by key, on the event loop."""
        if self._point is None:
            self._point = self._open_reader()
        return self._point

    async def scan(self, question: Callable[[Reader], T]) -> T:
        """Ask what may take long."""
        return await self._scan.ask(question)

    async def ping(self) -> None:
        """Returns if the store answers."""
        await self._probe.ask(lambda reader: reader.ping())

    def connections(self) -> Connections:
        threads = (self._scan, self._probe)
        opened = sum(thread.opened for thread in threads) + (self._point is not None)
        return Connections(sum(thread.busy for thread in threads), opened)

    def query_seconds(self) -> Histogram:
        """How long all questions took so far."""
        return sum_of(self._seconds)

    def close(self) -> None:
        """Close what was opened. No question may follow."""
        self._scan.close()
        self._probe.close()
        if self._point is not None:
            self._point.close()


def _open_timed(open_reader: Callable[[], Reader], clock: Clock, seconds: Histogram) -> Reader:
    return timed_reader(open_reader(), clock, seconds)


class _ReaderThread:
    """A reader and the one thread that uses it."""

    def __init__(self, open_reader: Callable[[], Reader], name: str) -> None:
        self._open_reader = open_reader
        self._thread = ThreadPoolExecutor(1, name)
        self._reader: Reader | None = None
        self.busy = False

    @property
    def opened(self) -> bool:
        return self._reader is not None

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """A caller that gives up leaves the thread at work; the next question waits for it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answer, question)

    def close(self) -> None:
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _answer(self, question: Callable[[Reader], T]) -> T:
        self.busy = True
        try:
            if self._reader is None:
                self._reader = self._open_reader()
            return question(self._reader)
        finally:
            self.busy = False

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
