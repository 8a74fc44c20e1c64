"""Answers that say no: RFC 9457 problem details, whose `detail` says what to do.

Routes raise `ApiProblem`. What the scheduler and the store raise is turned into one here, and so is
a path that no route has; nothing from inside the process is ever shown.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from serve_app.nearest import nearest, shown
from task_queue.core.effects import Refused
from task_queue.scheduler_api import SchedulerSilent, SchedulerUnavailable
from task_queue.store.protocol import StoreError
from task_queue.wire import Problem

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_SECONDS = 1

_AWAY = (SchedulerUnavailable, StoreError)

_REFUSALS: dict[str, HTTPStatus] = {
    "not_live": HTTPStatus.NOT_FOUND,
    "unknown_worker": HTTPStatus.NOT_FOUND,
    "conflict": HTTPStatus.CONFLICT,
    "duplicate_worker": HTTPStatus.CONFLICT,
    "queue_full": HTTPStatus.TOO_MANY_REQUESTS,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


class ApiProblem(Exception):
    """The request is refused; nothing was changed.

    Args:
        status: HTTP status.
        detail: which field or thing is wrong, and the cure.
        errors: the faults one by one, if there are several.
        task_status: with 409, where the task is.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[str] = (),
        task_status: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = list(errors)
        self.task_status = task_status
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The problem as an answer; those that pass say when to come back."""
        status = HTTPStatus(self.status)
        headers = self.headers
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers = {"Retry-After": str(_RETRY_AFTER_SECONDS), **headers}
        problem = Problem(
            status.phrase, self.status, self.detail,
            task_status=self.task_status, errors=self.errors,
        )  # fmt: skip
        return Response(msgspec.json.encode(problem), self.status, headers, MEDIA_TYPE)


def refusal(refused: Refused) -> ApiProblem:
    """The problem for what the scheduler refused."""
    return ApiProblem(_REFUSALS[refused.reason], refused.detail)


def unavailable(reason: object) -> ApiProblem:
    """The problem while the scheduler or the store is away."""
    if isinstance(reason, SchedulerSilent):
        # Not 503: after that clients repeat a submit that has no key.
        detail = (
            f"{reason}; what was asked may have been done, or will be when it goes on: look, or "
            "repeat it, a submit with the same idempotency_key"
        )
        return ApiProblem(HTTPStatus.GATEWAY_TIMEOUT, detail)
    detail = f"nothing was accepted, the queue cannot save or read now: {reason}; try again shortly"
    return ApiProblem(HTTPStatus.SERVICE_UNAVAILABLE, detail)


def problem_of_error(error: Exception) -> ApiProblem | None:
    """The problem for what a handler raised; None: nobody foresaw it."""
    if isinstance(error, ApiProblem):
        return error
    if isinstance(error, _AWAY):
        return unavailable(error)
    return None


def install_problems(app: FastAPI) -> None:
    """Answer every refusal and every unknown path with problem details."""

    async def on_problem(_request: Request, error: Exception) -> Response:
        problem = problem_of_error(error)
        assert problem is not None  # it is installed for these only
        return problem.response()

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return _http_problem(app, request, error).response()

    for kind in (ApiProblem, *_AWAY):
        app.add_exception_handler(kind, on_problem)
    app.add_exception_handler(HTTPException, on_http_error)


def _http_problem(app: FastAPI, request: Request, error: HTTPException) -> ApiProblem:
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        paths = sorted(getattr(route, "path", "") for route in app.routes)
        close = nearest(path, paths)
        cure = f"did you mean {close}? " if close else ""
        detail = f"{shown(path)} is not a path of this API: {cure}GET /docs lists them all"
        return ApiProblem(error.status_code, detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(app, request)))
        detail = f"{path} does not take {request.method}: use {allowed}"
        return ApiProblem(error.status_code, detail, headers={"Allow": allowed})
    return ApiProblem(error.status_code, str(error.detail), headers=error.headers)


def _methods(app: FastAPI, request: Request) -> set[str]:
    """The methods that the request's path takes."""
    methods: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] is Match.PARTIAL:
            methods |= getattr(route, "methods", None) or set()
    return methods
