"""Slices that are over are read once, others each time, and together they are the whole."""

import pytest

from serve_app.trend_book import TrendBook
from task_queue.store.query import Bucket, FailurePattern, Trends
from task_queue.testing.fake_clock import FakeClock

pytestmark = pytest.mark.anyio

STEP, SLICES = 60.0, 5


class _Store:
    """Tells how often it was asked: that many tasks completed in each slice."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.patterns = 1

    async def read(self, since: float, until: float) -> Trends:
        assert until == since + STEP
        self.asked.append(since)
        bucket = Bucket(since, len(self.asked), 1, 0, None, None, None, None)
        failures = [
            FailurePattern(f"n{n:03}", "OSError", 1, since, "text", "id")
            for n in range(self.patterns)
        ]
        return Trends([bucket], failures)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(600_030.0)


async def test_all_slices_up_to_now_in_order(clock: FakeClock) -> None:
    trends = await TrendBook(STEP, SLICES, clock).read(_Store().read)
    assert [b.start for b in trends.buckets] == [599_760, 599_820, 599_880, 599_940, 600_000]
    assert [(p.count, p.last_at) for p in trends.failures] == [(5, 600_000)]


async def test_only_what_may_still_change_is_read_again(clock: FakeClock) -> None:
    store, book = _Store(), TrendBook(STEP, SLICES, clock)
    first = await book.read(store.read)
    store.asked.clear()
    again = await book.read(store.read)
    assert store.asked == [599_940, 600_000]  # over for 30 s, and not over
    assert again.buckets[:3] == first.buckets[:3]
    clock.advance(30)  # 599,940 to 600,000 is over for a minute: read once more, and kept
    for asked in ([599_940, 600_000, 600_060], [600_000, 600_060]):
        store.asked.clear()
        await book.read(store.read)
        assert store.asked == asked


async def test_a_clock_that_was_set_back_begins_anew(clock: FakeClock) -> None:
    store, book = _Store(), TrendBook(STEP, SLICES, clock)
    await book.read(store.read)
    store.asked.clear()
    clock.advance(-1.0)
    await book.read(store.read)
    assert len(store.asked) == SLICES


async def test_at_most_fifty_patterns_are_told(clock: FakeClock) -> None:
    store = _Store()
    store.patterns = 60
    trends = await TrendBook(STEP, SLICES, clock).read(store.read)
    assert [p.name for p in trends.failures] == [f"n{n:03}" for n in range(50)]
