"""Dashboard, depths and trends: right figures, also in the first minute of a process."""

import pytest

from serve_app.rate_book import RateBook, Recent, Totals, read_recent
from task_queue.store.query import TaskQuery
from tests.serve_app.api_world import World, problem

pytestmark = pytest.mark.anyio

STATS, DEPTH = "/api/v1/dashboard/stats", "/api/v1/dashboard/queue-depth"
TRENDS = "/api/v1/analytics/trends"


class TestStats:
    async def test_counts_rates_and_workers(self, world: World) -> None:
        await world.worker(slots=4)
        await world.complete(await world.submit())
        await world.fail(await world.submit())
        await world.submit(priority=9)
        await world.claim()
        await world.submit()
        await world.submit(delay_seconds=60)
        world.clock.advance(10)
        stats = (await world.http.get(STATS)).json()
        assert stats["tasks"] == {"queued": 1, "delayed": 1, "running": 1}
        totals = stats["totals"]
        assert (totals["submitted"], totals["completed"], totals["failed"]) == (5, 1, 1)
        assert (stats["success_rate"], stats["success_rate_total"]) == (0.5, 0.5)
        workers = stats["workers"]
        assert (workers["active"], workers["total"], workers["slots"]) == (1, 1, 4)
        assert workers["utilization_percent"] == 25.0
        assert stats["last_minute"] == {
            "over_seconds": 60.0, "submitted_per_minute": 5.0,
            "completed_per_minute": 1.0, "failed_per_minute": 1.0,
        }  # fmt: skip
        assert stats["last_5_minutes"]["submitted_per_minute"] == 1.0

    async def test_an_empty_queue(self, world: World) -> None:
        stats = (await world.http.get(STATS)).json()
        assert (stats["success_rate"], stats["success_rate_total"]) == (None, None)
        assert stats["workers"]["utilization_percent"] is None
        assert stats["last_minute"]["submitted_per_minute"] == 0.0

    async def test_what_is_older_than_a_window_is_not_in_it(self, world: World) -> None:
        await world.worker()
        await world.complete(await world.submit())
        world.clock.advance(90)
        await world.worker("w2")
        await world.submit()
        stats = (await world.http.get(STATS)).json()
        assert stats["last_minute"]["submitted_per_minute"] == 1.0
        assert stats["last_minute"]["completed_per_minute"] == 0.0
        assert stats["last_5_minutes"]["completed_per_minute"] == 0.2


class TestRateBook:
    def test_is_not_covered_before_it_is_filled(self) -> None:
        book = RateBook()
        book.note(1_000.0, Totals(submitted=7))
        assert not book.covers(1_000.0)
        assert book.rates(1_000.0, Totals(submitted=7), 60.0) is None

    def test_goes_on_from_its_notes(self) -> None:
        book = RateBook()
        book.fill(1_000.0, Totals(submitted=100), [Recent(60.0, 6, 0, 0), Recent(300.0, 60, 0, 0)])
        for second in range(1, 61):
            book.note(1_000.0 + second, Totals(submitted=100 + second))
        assert book.covers(1_060.0)
        rates = book.rates(1_060.0, Totals(submitted=160), 60.0)
        assert rates is not None
        assert (rates.over_seconds, rates.submitted_per_minute) == (60.0, 60.0)

    def test_a_long_silence_is_not_taken_for_a_minute(self) -> None:
        book = RateBook()
        book.fill(1_000.0, Totals(), [Recent(60.0, 0, 0, 0), Recent(300.0, 0, 0, 0)])
        assert not book.covers(5_000.0)


async def test_submissions_are_counted_right_however_old_the_queue(world: World) -> None:
    for _ in range(3):
        await world.submit()
    counts = [recent.submitted for recent in read_recent(world.store, world.clock.now())]
    assert counts == [3, 3]
    await world.worker()
    first = world.store.search(TaskQuery(), 10)[-1]
    await world.http.post(f"/api/v1/tasks/{first.spec.id}/cancel")
    world.store.delete([first.seq])  # now the oldest task there is has not the first number
    counts = [recent.submitted for recent in read_recent(world.store, world.clock.now())]
    assert counts == [2, 2]
    world.clock.advance(100)
    await world.submit()
    counts = [recent.submitted for recent in read_recent(world.store, world.clock.now())]
    assert counts == [1, 3]


async def test_queue_depth_by_priority(world: World) -> None:
    for priority in (9, 7, 6, 4, 3, 0):
        await world.submit(priority=priority)
    await world.submit("shop.thumbnail", args=["a"], priority=8)
    depth = (await world.http.get(DEPTH)).json()
    assert depth["total"] == 7
    assert depth["by_priority"] == {"high": 3, "normal": 2, "low": 2}
    queues = {queue["queue"]: queue for queue in depth["queues"]}
    assert (queues["images"]["high"], queues["images"]["total"]) == (1, 1)
    assert queues["gpu"]["total"] == 0


class TestTrends:
    async def test_buckets_and_failures(self, world: World) -> None:
        await world.worker()
        await world.complete(await world.submit())
        await world.fail(await world.submit())
        trends = (await world.http.get(TRENDS)).json()
        assert (trends["window"], trends["bucket_seconds"], len(trends["buckets"])) == (
            "1h", 120.0, 30,
        )  # fmt: skip
        newest = trends["buckets"][-1]
        assert (newest["completed"], newest["failed"]) == (1, 1)
        assert newest["start"] == "2023-11-14T22:12:00.000Z"
        (failure,) = trends["failures"]
        assert (failure["error_type"], failure["last_message"]) == ("OSError", "no such file")

    @pytest.mark.parametrize(
        ("window", "buckets"), [("15m", 15), ("6h", 36), ("24h", 48), ("7d", 42)]
    )
    async def test_windows(self, world: World, window: str, buckets: int) -> None:
        trends = (await world.http.get(TRENDS, params={"window": window})).json()
        assert len(trends["buckets"]) == buckets

    async def test_an_unknown_window_names_the_known_ones(self, world: World) -> None:
        detail = problem(await world.http.get(TRENDS, params={"window": "2h"}), 422)
        assert "query parameter window" in detail
        assert "15m, 1h, 24h, 6h, 7d" in detail
