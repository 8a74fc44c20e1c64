"""Answers that are shared and kept, and readers that are used by one thread each."""

import asyncio
import threading

import pytest

from serve_app.readers import Readers
from serve_app.reading_cache import ReadingCache
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import StoreError
from task_queue.store.query import Tally
from task_queue.testing import FakeClock

pytestmark = pytest.mark.anyio


class Source:
    """Answers with 1, 2, 3 ..., each only when it is let go."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self) -> int:
        self.calls += 1
        number = self.calls
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return number


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(source: Source, clock: FakeClock) -> ReadingCache[int]:
    return ReadingCache(source.ask, 0.5, clock)


class TestReadingCache:
    async def test_callers_share_a_call(self, cache: ReadingCache[int], source: Source) -> None:
        asking = [asyncio.ensure_future(cache.get()) for _ in range(5)]
        await asyncio.sleep(0)
        source.gate.set()
        assert await asyncio.gather(*asking) == [1] * 5

    async def test_an_answer_grows_old(
        self, cache: ReadingCache[int], source: Source, clock: FakeClock
    ) -> None:
        source.gate.set()
        assert await cache.get() == 1
        clock.advance(0.49)
        assert await cache.get() == 1
        clock.advance(0.01)
        assert await cache.get() == 2

    async def test_an_error_is_not_kept(self, cache: ReadingCache[int], source: Source) -> None:
        source.gate.set()
        source.error = StoreError("away")
        with pytest.raises(StoreError):
            await cache.get()
        source.error = None
        assert await cache.get() == 2

    async def test_who_gives_up_leaves_the_others_alone(
        self, cache: ReadingCache[int], source: Source
    ) -> None:
        patient = asyncio.ensure_future(cache.get())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cache.get(), 0.01)
        source.gate.set()
        assert await patient == 1

    async def test_after_a_change_no_older_call_is_joined(
        self, cache: ReadingCache[int], source: Source
    ) -> None:
        before = asyncio.ensure_future(cache.get())
        await asyncio.sleep(0)
        cache.forget()
        after = asyncio.ensure_future(cache.get())
        await asyncio.sleep(0)
        source.gate.set()
        assert (await before, await after) == (1, 2)
        assert await cache.get() == 2


async def _answered(readers: Readers) -> list[Tally]:
    """The answer to a point read, however long the thread takes to come to it."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await readers.point(lambda reader: reader.tallies())
            except StoreError:
                continue


class TestReaders:
    async def test_each_kind_of_question_has_its_reader_and_thread(self) -> None:
        opened: list[MemoryStore] = []

        def open_reader() -> MemoryStore:
            opened.append(MemoryStore())
            return opened[-1]

        readers = Readers(open_reader, FakeClock(), remote=False)
        assert readers.connections() == (0, 0)
        here = [await readers.point(lambda _: threading.get_ident()) for _ in range(2)]
        assert here == [threading.get_ident()] * 2
        threads = [await readers.scan(lambda _: threading.get_ident()) for _ in range(3)]
        assert len(set(threads)) == 1
        assert threads[0] != threading.get_ident()
        await readers.ping()
        assert (len(opened), readers.connections()) == (3, (0, 3))
        readers.close()

    async def test_a_question_under_way_is_an_active_connection(self) -> None:
        readers = Readers(MemoryStore, FakeClock(), remote=False)
        asked, release = threading.Event(), threading.Event()

        def slow(_: object) -> None:
            asked.set()
            release.wait(10)

        scanning = asyncio.ensure_future(readers.scan(slow))
        await asyncio.to_thread(asked.wait, 10)
        assert readers.connections() == (1, 1)
        release.set()
        await scanning
        readers.close()

    async def test_opening_is_tried_again(self) -> None:
        errors = [StoreError("no such file")]

        def open_reader() -> MemoryStore:
            if errors:
                raise errors.pop()
            return MemoryStore()

        readers = Readers(open_reader, FakeClock(), remote=False)
        with pytest.raises(StoreError):
            await readers.point(lambda reader: reader.tallies())
        assert await readers.point(lambda reader: reader.tallies()) == []
        readers.close()

    async def test_a_server_that_hangs_holds_up_nobody_for_long(self) -> None:
        readers = Readers(MemoryStore, FakeClock(), remote=True, point_seconds=0.1)
        release, asked = threading.Event(), 0

        def hang(_: object) -> None:
            nonlocal asked
            asked += 1
            release.wait(10)

        for _ in range(3):
            with pytest.raises(StoreError, match=r"did not answer within 0\.1 s"):
                await readers.point(hang)
        assert readers.connections() == (1, 1)
        release.set()
        assert await _answered(readers) == []
        assert asked == 1  # the others were forgotten with their callers
        readers.close()
