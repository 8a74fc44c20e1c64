"""Is it well? For load balancers, Kubernetes, and people with curl.

Every check has a time limit of its own, so that /health answers within a second however sick the
parts are. Liveness asks only whether this process answers: a sick store must not get it restarted.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from http import HTTPStatus
from typing import TypeVar

from fastapi import Request, Response
from msgspec import Struct

from monitoring.redis_reading import RedisReading
from serve_app import dashboard_shapes as shapes
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.decoding import NoFields, decode_query
from serve_app.operation import Operation
from serve_app.routes_analytics import worker_counts
from task_queue.clock import to_rfc3339
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler_api import SchedulerReading
from task_queue.turn_loop import PATIENCE_SECONDS

T = TypeVar("T")

_HEALTHY, _DEGRADED, _UNHEALTHY = "healthy", "degraded", "unhealthy"
_NOT_CONFIGURED = "not_configured"
_MOST_NAMED = 5  #: queues that one detail names


class _Sick(Exception):
    """A part does not answer, or says that it cannot."""


class _Database(Struct):
    status: str
    latency_ms: float
    detail: str = ""


class _Redis(Struct):
    status: str
    latency_ms: float | None
    detail: str = ""
    reading: RedisReading | None = None


class HealthRoutes:
    """Handlers for health."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        sick = {503: "Unhealthy; the body is of the same shape"}
        yield Operation(
            method="GET", path="/health", handler=self.get_health, tag="health",
            summary="Everything", answer=shapes.Health, answer_example=_HEALTH_EXAMPLE, also=sick,
        )  # fmt: skip
        yield Operation(
            method="GET", path="/health/live", handler=self.get_liveness, tag="health",
            summary="This process answers", answer=shapes.Alive,
            answer_example=shapes.Alive("alive", 7200.0),
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/health/database", handler=self.get_database_health,
            tag="health", summary="The store", answer=shapes.DatabaseHealth, also=sick,
            answer_example=shapes.DatabaseHealth("healthy", shapes.ConnectionPool(1, 2, 3), 5.2),
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/health/redis", handler=self.get_redis_health, tag="health",
            summary="Redis, if it is configured", answer=shapes.RedisHealth,
            answer_example=shapes.RedisHealth("healthy", 512.0, 10, 1200.0), also=sick,
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/health/workers", handler=self.get_worker_health,
            tag="health", summary="The scheduler and the workers", answer=shapes.WorkersHealth,
            answer_example=shapes.WorkersHealth("healthy", 5, 8, 7, 1), also=sick,
        )  # fmt: skip

    async def get_health(self, request: Request) -> Response:
        decode_query(request, NoFields)
        database, redis, workers = await asyncio.gather(
            self._database(), self._redis(), self._workers()
        )
        checks = shapes.HealthChecks(
            shapes.DatabaseCheck(database.status, database.latency_ms, database.detail),
            shapes.RedisCheck(redis.status, redis.latency_ms, redis.detail),
            shapes.WorkersCheck(
                workers.status, workers.active_workers, workers.total_workers, workers.detail
            ),
            shapes.ApiCheck(_HEALTHY, self._uptime()),
        )
        # Tasks go on without Redis: no reason to send traffic elsewhere.
        status = _worst(database.status, workers.status, _softened(redis.status))
        now = to_rfc3339(self._context.clock.now())
        return _report(shapes.Health(status, self._context.version, now, checks), status)

    async def get_liveness(self, request: Request) -> Response:
        decode_query(request, NoFields)
        return json_answer(shapes.Alive("alive", self._uptime()))

    async def get_database_health(self, request: Request) -> Response:
        decode_query(request, NoFields)
        database = await self._database()
        active, total = self._context.readers.connections()
        pool = shapes.ConnectionPool(active, total - active, total)
        health = shapes.DatabaseHealth(database.status, pool, database.latency_ms, database.detail)
        return _report(health, database.status)

    async def get_redis_health(self, request: Request) -> Response:
        decode_query(request, NoFields)
        redis = await self._redis()
        health = shapes.RedisHealth(redis.status, None, None, None, redis.detail)
        if (reading := redis.reading) is not None:
            health.memory_mb = round(reading.memory_bytes / 2**20, 1)
            health.connected_clients = reading.connected_clients
            health.ops_per_second = reading.ops_per_second
        return _report(health, redis.status)

    async def get_worker_health(self, request: Request) -> Response:
        decode_query(request, NoFields)
        workers = await self._workers()
        return _report(workers, workers.status)

    async def _database(self) -> _Database:
        begun = self._context.clock.monotonic()
        waits_soon = asyncio.ensure_future(self._commit_waits())  # asked in the same second
        try:
            await self._in_time(self._context.readers.ping(), "the store")
            took = self._since(begun)
            if (waits := await waits_soon) > PATIENCE_SECONDS:  # by then it refuses all who submit
                raise _Sick(f"the store answers, but has not saved anything for {waits:.0f} s")
        except _Sick as error:
            waits_soon.cancel()
            return _Database(_UNHEALTHY, self._since(begun), str(error))
        return _Database(_HEALTHY, took)

    async def _commit_waits(self) -> float:
        """Seconds; a scheduler that does not say so is another check's."""
        try:
            reading = await self._in_time(self._context.reading(), "the scheduler")
        except _Sick:
            return 0.0
        return reading.store.commit_waits_seconds

    async def _redis(self) -> _Redis:
        if self._context.redis is None:
            return _Redis(_NOT_CONFIGURED, None)
        begun = self._context.clock.monotonic()
        try:
            look = await self._in_time(self._context.redis.get(), "Redis")
        except _Sick as error:
            return _Redis(_UNHEALTHY, self._since(begun), str(error))
        return _Redis(_HEALTHY, _milliseconds(look.seconds), reading=look.reading)

    async def _workers(self) -> shapes.WorkersHealth:
        lost_soon = asyncio.ensure_future(self._lost())  # both are asked in the same second
        try:
            reading = await self._in_time(self._context.reading(), "the scheduler")
        except _Sick as error:
            lost_soon.cancel()
            return shapes.WorkersHealth(_UNHEALTHY, 0, 0, 0, 0, str(error))
        lost, detail = await lost_soon
        counts = worker_counts(reading, lost)
        living = counts.total - counts.lost
        status = _HEALTHY
        if trouble := _trouble(reading, counts):
            status, detail = _DEGRADED, trouble
        return shapes.WorkersHealth(
            status, counts.active, counts.total, living, counts.lost, detail
        )

    async def _lost(self) -> tuple[list[WorkerInfo], str]:
        """Lost workers, and why they are not known, if they are not."""
        try:
            return await self._in_time(self._context.lost_workers(), "the store"), ""
        except _Sick as error:  # the database check says so too, and louder
            return [], f"lost workers are not counted: {error}"

    async def _in_time(self, answer: Awaitable[T], who: str) -> T:
        limit = self._context.check_seconds
        try:
            return await asyncio.wait_for(answer, limit)
        except TimeoutError:
            raise _Sick(f"{who} did not answer within {limit:g} s") from None
        except Exception as error:  # whatever it is, that part is sick
            raise _Sick(str(error) or type(error).__name__) from error

    def _since(self, begun: float) -> float:
        """Milliseconds."""
        return _milliseconds(self._context.clock.monotonic() - begun)

    def _uptime(self) -> float:
        return round(self._context.clock.monotonic() - self._context.started_at, 3)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _trouble(reading: SchedulerReading, counts: shapes.WorkerCounts) -> str:
    """Why work stands still though nobody paused it; empty if it does not."""
    active = [w.info for w in reading.workers if w.info.status is WorkerStatus.ACTIVE]
    stuck = {
        state.queue: sum(state.waiting)
        for state in reading.queues
        if any(state.waiting) and not state.paused
        if not any(_takes(worker, state.queue) for worker in active)
    }
    waiting = sum(stuck.values())
    if active and stuck:
        names = ", ".join(f"'{queue}'" for queue in sorted(stuck)[:_MOST_NAMED])
        return f"{waiting} tasks wait and no active worker takes them: queues {names}"
    if stuck:
        return f"{waiting} tasks wait and no worker is active"
    if counts.lost and not reading.workers:
        return f"no worker is left: {counts.lost} lost in the last 15 minutes"
    return ""


def _takes(worker: WorkerInfo, queue: str) -> bool:
    return queue in worker.queues or ("*" in worker.queues and queue not in worker.excluded)


def _worst(*statuses: str) -> str:
    return next((s for s in (_UNHEALTHY, _DEGRADED) if s in statuses), _HEALTHY)


def _softened(status: str) -> str:
    return _DEGRADED if status == _UNHEALTHY else status


def _report(health: Struct, status: str) -> Response:
    sick = status == _UNHEALTHY
    return json_answer(health, HTTPStatus.SERVICE_UNAVAILABLE if sick else HTTPStatus.OK)


_HEALTH_EXAMPLE = shapes.Health(
    _HEALTHY,
    "1.0.0",
    "2026-01-25T14:00:00.000Z",
    shapes.HealthChecks(
        shapes.DatabaseCheck(_HEALTHY, 5.0),
        shapes.RedisCheck(_NOT_CONFIGURED, None),
        shapes.WorkersCheck(_HEALTHY, 5, 8),
        shapes.ApiCheck(_HEALTHY, 7200.0),
    ),
)
