"""Figures for people: the queue at a glance, depths, and what happened over time."""

from collections.abc import Iterable
from functools import partial
from typing import Literal

from fastapi import Request, Response
from msgspec import Struct

from serve_app import dashboard_shapes as shapes
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.dashboard_shapes import DashboardStats, QueueDepth, QueueDepths, TrendsAnswer
from serve_app.decoding import NoFields, decode_query
from serve_app.fleet import without_living
from serve_app.operation import Operation
from serve_app.queue_views import by_band, queue_states
from serve_app.rate_book import RateBook, Rates, Recent, Totals, read_recent, totals_of
from serve_app.reading_cache import ReadingCache
from task_queue.clock import to_rfc3339
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler_api import SchedulerReading
from task_queue.store.protocol import Reader
from task_queue.store.query import Trends
from task_queue.store.trends import read_trends

_MINUTE, _FIVE_MINUTES = 60.0, 300.0
_TRENDS_SECONDS = 2.0

#: Window to its length and that of its slices, in seconds.
_WINDOWS = {
    "15m": (900.0, 60.0),
    "1h": (3_600.0, 120.0),
    "6h": (21_600.0, 600.0),
    "24h": (86_400.0, 1_800.0),
    "7d": (604_800.0, 14_400.0),
}


class TrendsQuery(Struct, forbid_unknown_fields=True):
    """Query parameters of the trends."""

    window: Literal["15m", "1h", "6h", "24h", "7d"] = "1h"


class AnalyticsRoutes:
    """Handlers for figures."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._book = RateBook()
        self._trends = {
            window: ReadingCache(partial(self._read_trends, window), _TRENDS_SECONDS, context.clock)
            for window in _WINDOWS
        }

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        yield Operation(
            method="GET", path="/api/v1/dashboard/stats", handler=self.get_stats, tag="figures",
            summary="The queue at a glance", answer=DashboardStats, answer_example=_STATS_EXAMPLE,
            problems=(503,),
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/dashboard/queue-depth", handler=self.get_queue_depth,
            tag="figures", summary="Waiting tasks by priority and queue", answer=QueueDepths,
            answer_example=_DEPTH_EXAMPLE, problems=(503,),
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/analytics/trends", handler=self.get_trends, tag="figures",
            summary="What ended over time, how long it took, and how tasks fail",
            query=TrendsQuery, answer=TrendsAnswer, answer_example=_TRENDS_EXAMPLE,
            problems=(422, 503),
        )  # fmt: skip

    async def get_stats(self, request: Request) -> Response:
        decode_query(request, NoFields)
        context = self._context
        reading, lost = await context.reading(), await context.lost_workers()
        now = context.clock.now()
        totals = totals_of(await context.readers.scan(lambda reader: reader.tallies()))
        if not self._book.covers(now):
            recent = await context.readers.scan(partial(_recent, now))
            self._book.fill(now, totals, recent)
        self._book.note(now, totals)
        five = self._book.rates(now, totals, _FIVE_MINUTES)
        stats = DashboardStats(
            timestamp=to_rfc3339(now),
            tasks=_live(reading),
            totals=totals,
            last_minute=self._book.rates(now, totals, _MINUTE),
            last_5_minutes=five,
            success_rate=_success_rate(five),
            success_rate_total=_share(totals.completed, totals.failed),
            workers=worker_counts(reading, lost),
        )
        return json_answer(stats)

    async def get_queue_depth(self, request: Request) -> Response:
        decode_query(request, NoFields)
        reading = await self._context.reading()
        catalogue = await self._context.catalogue.current()
        depths = []
        for state in queue_states(reading, catalogue):
            bands = by_band(state.waiting)
            depths.append(
                QueueDepth(
                    state.queue, state.paused, **bands, total=sum(state.waiting),
                    delayed=state.delayed, running=state.running,
                )
            )  # fmt: skip
        sums = shapes.PriorityDepths(
            sum(d.high for d in depths), sum(d.normal for d in depths), sum(d.low for d in depths)
        )
        total = sum(depth.total for depth in depths)
        return json_answer(QueueDepths(to_rfc3339(reading.at), total, sums, depths))

    async def get_trends(self, request: Request) -> Response:
        window = decode_query(request, TrendsQuery).window
        return json_answer(await self._trends[window].get())

    async def _read_trends(self, window: str) -> TrendsAnswer:
        seconds, step = _WINDOWS[window]
        until = (self._context.clock.now() // step + 1) * step  # the end of the slice that is now
        since = until - seconds
        trends = await self._context.readers.scan(lambda r: read_trends(r, since, until, step))
        return _trends_answer(window, since, until, step, trends)


def worker_counts(reading: SchedulerReading, lost: list[WorkerInfo]) -> shapes.WorkerCounts:
    """Workers by status, and how busy the living are."""
    by_status = dict.fromkeys(WorkerStatus, 0)
    for worker in reading.workers:
        by_status[worker.info.status] += 1
    by_status[WorkerStatus.LOST] = len(without_living(lost, reading))
    slots = sum(worker.info.slots for worker in reading.workers)
    # A worker may hold more than it has slots for: read-ahead, which does not run yet.
    busy = sum(min(len(worker.holds), worker.info.slots) for worker in reading.workers)
    return shapes.WorkerCounts(
        active=by_status[WorkerStatus.ACTIVE],
        paused=by_status[WorkerStatus.PAUSED],
        draining=by_status[WorkerStatus.DRAINING],
        lost=by_status[WorkerStatus.LOST],
        total=sum(by_status.values()),
        slots=slots,
        busy_slots=busy,
        utilization_percent=round(100.0 * busy / slots, 1) if slots else None,
    )


def _recent(now: float, reader: Reader) -> list[Recent]:
    return read_recent(reader, now)


def _live(reading: SchedulerReading) -> shapes.LiveCounts:
    return shapes.LiveCounts(
        queued=sum(sum(state.waiting) for state in reading.queues),
        delayed=sum(state.delayed for state in reading.queues),
        running=sum(state.running for state in reading.queues),
    )


def _success_rate(rates: Rates | None) -> float | None:
    return None if rates is None else _share(rates.completed_per_minute, rates.failed_per_minute)


def _share(completed: float, failed: float) -> float | None:
    ended = completed + failed
    return round(completed / ended, 4) if ended else None


def _trends_answer(
    window: str, since: float, until: float, step: float, trends: Trends
) -> TrendsAnswer:
    buckets = [
        shapes.TrendBucket(
            to_rfc3339(b.start), b.completed, b.failed, b.other, b.wait_seconds_p50,
            b.run_seconds_p50, b.run_seconds_p95, b.run_seconds_p99,
        )
        for b in trends.buckets
    ]  # fmt: skip
    failures = [
        shapes.TrendFailure(
            f.name, f.error_type, f.count, to_rfc3339(f.last_at), f.last_message, f.last_task_id
        )
        for f in trends.failures
    ]
    return TrendsAnswer(window, to_rfc3339(since), to_rfc3339(until), step, buckets, failures)


_AT = "2026-01-25T14:00:00.000Z"
_STATS_EXAMPLE = DashboardStats(
    timestamp=_AT,
    tasks=shapes.LiveCounts(12, 1, 4),
    totals=Totals(submitted=5_000, completed=4_900, failed=12, retried=40),
    last_minute=Rates(60.0, 120.0, 118.0, 1.0),
    last_5_minutes=Rates(300.0, 110.0, 109.0, 0.4),
    success_rate=0.9963,
    success_rate_total=0.9976,
    workers=shapes.WorkerCounts(5, 1, 0, 0, 6, 24, 18, 75.0),
)
_DEPTH_EXAMPLE = QueueDepths(
    _AT, 12, shapes.PriorityDepths(8, 4, 0), [QueueDepth("images", False, 8, 4, 0, 12, 1, 4)]
)
_TRENDS_EXAMPLE = TrendsAnswer(
    "1h", "2026-01-25T13:02:00.000Z", "2026-01-25T14:02:00.000Z", 120.0,
    [shapes.TrendBucket(_AT, 230, 2, 0, 0.02, 0.4, 1.1, 2.5)],
    [shapes.TrendFailure("image_job.thumbnail", "OSError", 2, _AT, "no such file", "019b2c3d-...")],
)  # fmt: skip
