"""The API as an application without routes: what Ray Serve is given.

Serve looks through an application's routes for each request, one by one, to name it in metrics of
its own. Nobody reads those: ours are in /metrics.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class Unrouted:
    """Passes everything on."""

    def __init__(self, api: ASGIApp) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._api(scope, receive, send)
