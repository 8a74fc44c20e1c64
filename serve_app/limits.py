"""The largest body that is read: a guard around the application, before anything is parsed.

A body that says its length is refused unread. One that comes in chunks is counted as it comes, and
not one chunk more is taken once the limit is passed, so that memory stays bounded.
"""

from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.problems import ApiProblem


class BodyLimit:
    """ASGI middleware that answers 413 to bodies of more than `max_bytes`."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and _is_above(length, self._max_bytes):
            await self._problem().response()(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._max_bytes:
                raise self._problem()
            return message

        return counted

    def _problem(self) -> ApiProblem:
        return ApiProblem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"the body is larger than {self._max_bytes:,} bytes: send fewer tasks at a time, keep "
            "large data elsewhere and send a reference, or raise http.max_body_bytes",
            headers={"Connection": "close"},  # or the rest would be read after all
        )


def _is_above(digits: bytes, most: int) -> bool:
    """int() refuses numbers of thousands of digits."""
    digits = digits.lstrip(b"0")
    return len(digits) > len(str(most)) or int(digits or b"0") > most
