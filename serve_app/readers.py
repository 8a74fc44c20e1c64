"""The readers of one API process: which question is asked where.

A point read of a SQLite file takes some ten microseconds and is made right away, on the event loop.
What may scan many rows is asked of a second reader in a thread of its own, one question at a time,
because a reader is not for two threads. Health is probed through a third, so that a scan does not
look like a sick store. Each is opened at its first use: when a replica starts there may be no store
yet.

A database on another machine may take a question and never answer. So its point reads have a thread
too: nothing waits for it on the event loop, and no caller waits for it without end.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar

from serve_app.timed_reader import timed_reader
from task_queue.clock import Clock
from task_queue.histogram import Histogram, sum_of
from task_queue.store.protocol import Reader, StoreError

T = TypeVar("T")

#: For an answer to a point read. Callers of a task's state are told then that the store is away.
_POINT_SECONDS = 5.0
#: For a scan: PostgreSQL itself ends a statement after 60 s, so more is a server that hangs.
_SCAN_SECONDS = 65.0


class Connections(NamedTuple):
    """Connections of this process to the store."""

    active: int
    total: int


class Readers:
    """All questions to the store go through here. Every method may raise StoreError."""

    most = 3  #: connections that are opened, at their first use

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        clock: Clock,
        *,
        remote: bool,
        point_seconds: float = _POINT_SECONDS,
    ) -> None:
        """
        Args:
            remote: the store is a server, which may hang.
            point_seconds: after which a point read of a remote store is given up.
        """
        self._seconds = [Histogram() for _ in range(self.most)]
        openers = [partial(_open_timed, open_reader, clock, seconds) for seconds in self._seconds]
        self._point: _ReaderHere | _ReaderThread = (
            _ReaderThread(openers[0], "store-point", point_seconds)
            if remote
            else _ReaderHere(openers[0])
        )
        self._scan = _ReaderThread(openers[1], "store-scan", _SCAN_SECONDS)
        self._probe = _ReaderThread(openers[2], "store-probe", _SCAN_SECONDS)
        self._all = (self._point, self._scan, self._probe)

    async def point(self, question: Callable[[Reader], T]) -> T:
        """Ask by key."""
        return await self._point.ask(question)

    async def scan(self, question: Callable[[Reader], T]) -> T:
        """Ask what may take long."""
        return await self._scan.ask(question)

    async def ping(self) -> None:
        """Returns if the store answers."""
        await self._probe.ask(lambda reader: reader.ping())

    def connections(self) -> Connections:
        active = sum(reader.busy for reader in self._all)
        return Connections(active, sum(reader.opened for reader in self._all))

    def query_seconds(self) -> Histogram:
        """How long all questions took so far."""
        return sum_of(self._seconds)

    def close(self) -> None:
        """Close what was opened. No question may follow."""
        for reader in self._all:
            reader.close()


def _open_timed(open_reader: Callable[[], Reader], clock: Clock, seconds: Histogram) -> Reader:
    return timed_reader(open_reader(), clock, seconds)


class _LazyReader:
    """A reader that is opened at the first question."""

    def __init__(self, open_reader: Callable[[], Reader]) -> None:
        self._open_reader = open_reader
        self._reader: Reader | None = None
        self.busy = False

    @property
    def opened(self) -> bool:
        return self._reader is not None

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


class _ReaderHere(_LazyReader):
    """Used on the event loop."""

    async def ask(self, question: Callable[[Reader], T]) -> T:
        return self._answer(question)

    def close(self) -> None:
        self._close()


class _ReaderThread(_LazyReader):
    """Used by one thread of its own."""

    def __init__(
        self, open_reader: Callable[[], Reader], name: str, patience_seconds: float
    ) -> None:
        super().__init__(open_reader)
        self._thread = ThreadPoolExecutor(1, name)
        self._patience_seconds = patience_seconds

    async def ask(self, question: Callable[[Reader], T]) -> T:
        """A caller that gives up leaves the thread at its question; those that it has not begun
        are forgotten with their callers."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience_seconds) as limit:
                return await loop.run_in_executor(self._thread, self._answer, question)
        except TimeoutError as error:
            if not limit.expired():  # the reader's own
                raise
            raise StoreError(
                f"the store did not answer within {self._patience_seconds:g} s"
            ) from error

    def close(self) -> None:
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)
