"""What every request passes first and every answer last: an id, a count, a net.

The id is the caller's X-Request-ID, or made here; it is stored with submitted tasks. The net turns
an exception that nobody expected into a 500 without internals, and a log line with all of them.
"""

import re
from http import HTTPStatus

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from monitoring.logs import get_logger
from serve_app.problems import ApiProblem
from serve_app.replica_figures import ReplicaFigures
from task_queue.clock import Clock
from task_queue.ids import new_task_id
from task_queue.tracing.traceparent import Traceparent, read_traceparent

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,200}")

#: Where in a request's scope its route is noted by those who pass FastAPI's router by.
ROUTE_KEY = "task_queue.route"
#: The route of what no declared path fits.
NO_ROUTE = "other"
#: What monitoring asks again and again. A 503 there tells of a worker or a store, and is no failure
#: of the API: `api:requests`, of which its availability is made, has only what callers asked.
OF_MONITORING = (
    "/health", "/metrics", "/api/v1/health", "/api/v1/metrics", "/api/v1/prometheus",
)  # fmt: skip
#: Where in its state its own place in a trace is noted, if it is traced: the parent of its tasks.
TRACEPARENT_KEY = "traceparent"

_log = get_logger("api")


class RequestEdge:
    """Outermost ASGI middleware.

    Args:
        figures: answers by HTTP status and their times by route, counted here.
    """

    def __init__(self, app: ASGIApp, figures: ReplicaFigures, clock: Clock) -> None:
        self._app = app
        self._figures = figures
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False
        begun = self._clock.monotonic()

        async def send_on(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                seconds = self._clock.monotonic() - begun
                route = route_of(scope)
                self._figures.time(route, seconds)
                if not route.startswith(OF_MONITORING):
                    self._figures.count(message["status"])
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            _log.exception(
                "request_failed", method=scope["method"], path=scope["path"],
                request_id=request_id, exc_info=error,
            )  # fmt: skip
            if started:
                raise  # half an answer is out: only cutting the connection tells the caller
            await _PROBLEM.response()(scope, receive, send_on)

    def _request_id(self, scope: Scope) -> str:
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        if _REQUEST_ID.fullmatch(given):
            return bytes(given).decode("ascii")
        return new_task_id(self._clock.now())


def route_of(scope: Scope) -> str:
    """The path as it is declared: callers cannot make new ones up."""
    if ROUTE_KEY in scope:
        return str(scope[ROUTE_KEY])
    return str(getattr(scope.get("route"), "path", NO_ROUTE))


def request_id_of(request: Request) -> str:
    """The id of a request that came through the edge."""
    request_id: str = request.scope["state"]["request_id"]
    return request_id


def traceparent_of(request: Request) -> str | None:
    """The trace context of what a request submits: its own place if it is traced, else its
    caller's."""
    own: str | None = request.scope["state"].get(TRACEPARENT_KEY)
    if own is not None:
        return own
    caller = traceparent_header(request.scope)
    return None if caller is None else str(caller)


def traceparent_header(scope: Scope) -> Traceparent | None:
    """The caller's W3C trace context, if valid; the standard says to ignore others."""
    for name, value in scope["headers"]:
        if name == b"traceparent":
            return read_traceparent(value.decode("latin-1"))
    return None


_PROBLEM = ApiProblem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "the API failed in a way that nobody foresaw: look in its log for the X-Request-ID of this "
    "answer",
)
