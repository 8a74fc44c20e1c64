"""The short way to an operation: one look-up by method and path, then its handler.

FastAPI walks through its routes one by one and solves dependencies that no handler here has, which
costs several times as much as a submit itself. It keeps the routes and the document, and whatever
is not found here goes to it: parameters that may hold a slash, the console, unknown paths, wrong
methods, an application mounted below a prefix. So does everything while its telemetry is on, which
must see the route.
"""

import re
from collections.abc import Sequence

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.operation import Handler, Operation
from serve_app.problems import problem_of_error
from serve_app.request_edge import ROUTE_KEY

#: A path of which one part is a parameter.
_ONE_PARAMETER = re.compile(r"(?P<before>[^{}]*/){(?P<name>\w+)}(?P<after>/[^{}/]*|)")


class DirectRoutes:
    """ASGI middleware, the innermost: calls the handler of an operation, or passes on."""

    def __init__(self, app: ASGIApp, operations: Sequence[Operation]) -> None:
        self._app = app
        self._fixed: dict[tuple[str, str], Handler] = {}
        #: By method and what stands before and after the parameter, with the parameter's name.
        self._open: dict[tuple[str, str, str], tuple[Handler, str]] = {}
        for operation in operations:
            method, path, handler = operation.method, operation.path, operation.handler
            match = _ONE_PARAMETER.fullmatch(path)
            if match is not None:
                key = (method, match["before"], match["after"])
                self._open.setdefault(key, (handler, match["name"]))
            elif "{" not in path:
                self._fixed.setdefault((method, path), handler)
        self._paths = {operation.handler: operation.path for operation in operations}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = None
        direct = not scope.get("root_path") and scope.get("fastapi.telemetry") is None
        if direct and scope["type"] == "http":
            handler = self._find(scope)
        if handler is None:
            await self._app(scope, receive, send)
            return
        scope[ROUTE_KEY] = self._paths[handler]
        try:
            response = await handler(Request(scope, receive, send))
        except Exception as error:
            problem = problem_of_error(error)
            if problem is None:
                raise
            response = problem.response()
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Handler | None:
        """The handler of a request; its path parameter is put into the scope."""
        method, path = scope["method"], scope["path"]
        handler = self._fixed.get((method, path))
        if handler is not None:
            scope["path_params"] = {}
            return handler
        before, _, last = path.rpartition("/")
        if last and (found := self._open.get((method, f"{before}/", ""))):
            scope["path_params"] = {found[1]: last}
            return found[0]
        before, _, word = before.rpartition("/")
        if word and (found := self._open.get((method, f"{before}/", f"/{last}"))):
            scope["path_params"] = {found[1]: word}
            return found[0]
        return None
