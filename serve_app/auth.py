"""Who may use the API: holders of one of the configured keys, sent as a bearer token.

Only digests of keys are known here. A key is compared with all of them in constant time, so that
the time of an answer tells nothing about how much of a guess was right.
"""

import hmac
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from serve_app.problems import ApiProblem
from task_queue.settings import ApiKey


class ApiKeyAuth:
    """ASGI middleware that answers 401 to requests without a known key.

    Args:
        keys: none at all means that everybody may do everything.
        open_paths: paths that need no key, and all below them.
    """

    def __init__(self, app: ASGIApp, keys: Sequence[ApiKey], open_paths: Sequence[str]) -> None:
        self._app = app
        self._digests = [key.sha256 for key in keys]
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._digests and not self._may_pass(scope):
            await _PROBLEM.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        path = scope["path"]
        if any(path == p or path.startswith(p.rstrip("/") + "/") for p in self._open_paths):
            return True
        header = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, key = header.partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        digest = sha256(key.strip()).hexdigest()
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)


_PROBLEM = ApiProblem(
    HTTPStatus.UNAUTHORIZED,
    "an API key is needed: send the header 'Authorization: Bearer <key>' with one whose SHA-256 "
    "is among http.api_keys; the client takes it from TASK_QUEUE_API_KEY",
    headers={"WWW-Authenticate": 'Bearer realm="task-queue"'},
)
