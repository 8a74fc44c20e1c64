"""HTTP with blocking calls over connections that stay open: what `Client` sends through.

urllib3 takes half of the time that httpx takes for a request, and a caller that waits for its task
waits for that too. httpx remains for what needs more than a connection to the queue: proxies, the
event stream, coroutines, a transport of the caller's own.
"""

import time
from urllib.request import getproxies

import httpx
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError

from task_queue.client.http import (
    Address,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    headers_of,
    response_of,
    timeouts_of,
    url_of,
)

#: Shorter than servers keep an idle connection, so that few are found closed.
_IDLE_SECONDS = 5.0
#: Connections kept, of as many threads; those beyond are closed after their request.
_MOST_KEPT = 256
#: No byte of the request left.
_NOT_SENT = (NewConnectionError, ConnectTimeoutError, SSLError)


def proxies_are_set() -> bool:
    """Whether the environment says that requests go through a proxy."""
    return any(scheme != "no" for scheme in getproxies())


class _Plain(HTTPConnection):
    """Is not used again when it was idle for too long."""

    _answered_at = 0.0

    @property
    def is_connected(self) -> bool:
        fresh = time.monotonic() - self._answered_at < _IDLE_SECONDS
        return fresh and super().is_connected

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3's own
        answer = super().getresponse()
        self._answered_at = time.monotonic()
        return answer


class _Encrypted(HTTPSConnection, _Plain):
    """The same with TLS."""


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Encrypted


class KeptConnections:
    """Connections to one server; threads may share them, each request has one for itself."""

    def __init__(self, address: Address) -> None:
        """Nothing is connected yet."""
        url = httpx.URL(address.url)
        host, port = url.raw_host.decode("ascii"), url.port
        self._address = address
        self._pool: urllib3.HTTPConnectionPool
        if url.scheme == "https":
            self._pool = _EncryptedPool(
                host, port, maxsize=_MOST_KEPT, ssl_context=httpx.create_ssl_context()
            )
        else:
            self._pool = _PlainPool(host, port, maxsize=_MOST_KEPT)
        # Ray Serve need not watch whether the caller goes away: what it asked for is short, or
        # waits for 30 s at most. That saves the server two tasks of its event loop.
        self._headers = {**address.headers(), "X-Request-Disconnect-Disabled": "?1"}
        self._closed = False

    def send(self, request: HttpRequest, timeout_seconds: float) -> HttpResponse | HttpFailure:
        """Send a request and read its whole answer.

        Args:
            timeout_seconds: without any byte, beyond what the server may wait.

        Raises:
            ValueError: something in it can be no part of a URL or a header.
            RuntimeError: the connections were closed.
        """
        if self._closed:
            raise RuntimeError("this client was closed: make a new one")
        seconds, connect_seconds = timeouts_of(request, timeout_seconds)
        try:
            answer = self._pool.urlopen(
                request.method, url_of(self._address, request).raw_path.decode("ascii"),
                body=request.body, headers={**self._headers, **headers_of(request)},
                timeout=urllib3.Timeout(connect=connect_seconds, read=seconds),
                retries=False, redirect=False, assert_same_host=False,
            )  # fmt: skip
        except HTTPError as error:
            return HttpFailure(_reason(error), sent=not isinstance(error, _NOT_SENT))
        if answer.length_remaining is None and not answer.chunked:
            return HttpFailure("an answer without length, which may have been cut off", sent=True)
        return response_of(answer.status, answer.data, answer.headers.get("retry-after", ""))

    def close(self) -> None:
        """Close all connections; those in use when their requests are answered."""
        self._closed = True
        self._pool.close()


def _reason(error: HTTPError) -> str:
    return str(error) or type(error).__name__
