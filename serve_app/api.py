"""The HTTP API put together. Knows no Ray: `app.py` runs it in Serve, tests run it bare."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from monitoring.chores import Chores
from monitoring.spans import Spans
from serve_app.api_context import TELL_SECONDS, ApiContext, ReadRedis
from serve_app.auth import ApiKeyAuth
from serve_app.direct_routes import DirectRoutes
from serve_app.limits import BodyLimit
from serve_app.operation import Operation, add_operations, components, shapes_of
from serve_app.problems import install_problems
from serve_app.readers import Readers
from serve_app.request_edge import RequestEdge
from serve_app.request_tracing import RequestTracing
from serve_app.routes_analytics import AnalyticsRoutes
from serve_app.routes_batches import BatchRoutes
from serve_app.routes_console import PAGE_PATH, console_routes
from serve_app.routes_dlq import DlqRoutes
from serve_app.routes_events import EventRoutes
from serve_app.routes_health import HealthRoutes
from serve_app.routes_metrics import MetricsRoutes
from serve_app.routes_queues import QueueRoutes
from serve_app.routes_schedules import ScheduleRoutes
from serve_app.routes_search import SearchRoutes
from serve_app.routes_tasks import TaskRoutes
from serve_app.routes_workers import WorkerRoutes
from task_queue.clock import Clock
from task_queue.scheduler_api import SchedulerApi
from task_queue.settings import Settings
from task_queue.store import is_postgres
from task_queue.store.protocol import Reader

#: Less than the second within which /health has to answer.
_CHECK_SECONDS = 0.8

_GROUPS = (
    BatchRoutes, SearchRoutes, TaskRoutes, DlqRoutes, QueueRoutes, WorkerRoutes, ScheduleRoutes,
    AnalyticsRoutes, EventRoutes, MetricsRoutes, HealthRoutes,
)  # fmt: skip

#: Of what stands before the operations: the console, the key, the limits, the router, the net.
_OF_ANY_REQUEST = (
    HTTPStatus.NOT_MODIFIED, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.UNAUTHORIZED,
    HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)  # fmt: skip

_TASKS = "/api/v1/tasks"

_DESCRIPTION = (
    "A durable distributed task queue. Errors are RFC 9457 problem details whose `detail` says "
    "what to do; times are RFC 3339 in UTC; durations are seconds."
)


def build_api(
    scheduler: SchedulerApi,
    open_reader: Callable[[], Reader],
    settings: Settings,
    clock: Clock,
    version: str,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    check_seconds: float = _CHECK_SECONDS,
    read_redis: ReadRedis | None = None,
    spans: Spans | None = None,
) -> FastAPI:
    """The API as an ASGI application.

    Args:
        scheduler: where everything that changes something goes.
        open_reader: opens a reader of the scheduler's store; called at the first question, up to
            three times, and again after a failure. Readers are closed when the application ends.
        settings: `http`, `limits`, `tracing` and the kind of `store` are used.
        clock: what time it is.
        version: of the software, for /health and /docs.
        sleep: how the event stream waits between two looks.
        check_seconds: how long a health check waits for the store or the scheduler.
        read_redis: how Redis is; None: there is none.
        spans: where spans go; None: nothing is traced. Closed when the application ends.
    """
    readers = Readers(open_reader, clock, remote=is_postgres(settings.store.url))
    context = ApiContext(
        scheduler, readers, settings, clock, version, sleep, check_seconds, read_redis, spans
    )  # fmt: skip

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        chores = Chores("api")
        chores.start("tell", context.tell, TELL_SECONDS)
        yield
        chores.stop()
        readers.close()
        if spans is not None:
            await asyncio.to_thread(spans.close)

    app = FastAPI(
        title="Task queue",
        version=version,
        description=_DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        redoc_url=None,
    )
    operations = [operation for group in _GROUPS for operation in group(context).operations()]
    add_operations(app, operations)
    app.include_router(console_routes())
    _describe(app, operations, secured=bool(settings.http.api_keys))
    install_problems(app)
    context.figures.expect(_statuses(operations), _busy_routes(operations))
    http = settings.http
    app.add_middleware(DirectRoutes, operations=operations)
    app.add_middleware(BodyLimit, max_bytes=http.max_body_bytes)
    app.add_middleware(ApiKeyAuth, keys=http.api_keys, open_paths=(*http.open_paths, PAGE_PATH))
    app.add_middleware(RequestEdge, figures=context.figures, clock=clock)
    if spans is not None:
        app.add_middleware(RequestTracing, spans=spans, clock=clock)
    return app


def _statuses(operations: list[Operation]) -> set[int]:
    """Every status with which a request may be answered."""
    declared = {s for o in operations for s in (o.status, *o.also, *o.problems)}
    return {int(status) for status in (*declared, *_OF_ANY_REQUEST)}


def _busy_routes(operations: list[Operation]) -> set[str]:
    """Those by which tasks are submitted and changed. With a histogram from zero for every route
    there is, a scrape would take several times as long."""
    return {o.path for o in operations if o.method == "POST" and o.path.startswith(_TASKS)}


def _describe(app: FastAPI, operations: list[Operation], secured: bool) -> None:
    """Add what the operations refer to to the OpenAPI document."""
    make = app.openapi
    parts: dict[str, Any] = {"schemas": components(shapes_of(operations))}
    if secured:
        parts["securitySchemes"] = {"apiKey": {"type": "http", "scheme": "bearer"}}

    def openapi() -> dict[str, Any]:
        document = make()
        document["components"] = parts
        if secured:
            document["security"] = [{"apiKey": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI documents this way of doing it
