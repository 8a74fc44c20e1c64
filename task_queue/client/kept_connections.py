"""HTTP with blocking calls over connections that stay open: what `Client` sends through.

It takes a fifth of the time that httpx takes for a request, and a caller that waits for its task
waits for that too. httpx remains for what needs more than a connection to the queue: proxies, the
event stream, coroutines, a transport of the caller's own.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from urllib.request import getproxies

import httpx

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
#: Needs no descriptor of its own, and takes any; where there is none, select must do.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


def proxies_are_set() -> bool:
    """Whether the environment says that requests go through a proxy."""
    return any(scheme != "no" for scheme in getproxies())


class KeptConnections:
    """Connections to one server; threads may share them, each request has one for itself."""

    def __init__(self, address: Address) -> None:
        """Nothing is connected yet."""
        url = httpx.URL(address.url)
        self._address = address
        self._host = url.raw_host.decode("ascii")
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._tls = httpx.create_ssl_context() if url.scheme == "https" else None
        own = {
            "Host": url.netloc.decode("ascii"),
            "Accept-Encoding": "identity",
            # Ray Serve need not watch whether the caller goes away: what it asked for is short, or
            # waits for 30 s at most. That saves the server two tasks of its event loop.
            "X-Request-Disconnect-Disabled": "?1",
        }
        self._headers = {**own, **address.headers()}
        #: Those that no request uses, with when the last one ended; the newest at the right.
        self._idle: deque[tuple[float, socket.socket]] = deque()
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
        written = self._written(request)
        seconds, connect_seconds = timeouts_of(request, timeout_seconds)
        try:
            connection = self._take_idle() or self._connect(connect_seconds)
        except OSError as error:
            return HttpFailure(_reason(error), sent=False)
        try:
            connection.settimeout(seconds)
            connection.sendall(written)
            answer = HTTPResponse(connection, method=request.method)
            answer.begin()
            if answer.length is None and not answer.chunked:
                raise HTTPException("an answer without length, which may have been cut off")
            body = answer.read()
        except (OSError, HTTPException) as error:
            connection.close()
            return HttpFailure(_reason(error), sent=True)
        except BaseException:  # Ctrl-C: the rest of the answer would be taken for the next one
            connection.close()
            raise
        self._give_back(connection, closing=answer.will_close)
        return response_of(answer.status, body, answer.headers.get("retry-after", ""))

    def close(self) -> None:
        """Close all connections; those in use when their requests are answered."""
        self._closed = True
        while self._idle:
            self._idle.pop()[1].close()

    def _written(self, request: HttpRequest) -> bytes:
        """The request as it is sent, in one piece: two would wake the server twice."""
        target = url_of(self._address, request).raw_path
        headers = {**self._headers, **headers_of(request)}
        body = request.body or b""
        if body or request.method != "GET":
            headers["Content-Length"] = str(len(body))
        return b"%b %b HTTP/1.1\r\n%b\r\n%b" % (
            request.method.encode(), target, _lines(headers), body,
        )  # fmt: skip

    def _connect(self, timeout_seconds: float) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout_seconds)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                return self._tls.wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _take_idle(self) -> socket.socket | None:
        """One that can be used again. What is readable was closed, or answers what nobody asked."""
        while True:
            try:
                since, connection = self._idle.pop()
            except IndexError:
                return None
            fresh = time.monotonic() - since < _IDLE_SECONDS
            if fresh and not _is_readable(connection):
                return connection
            connection.close()

    def _give_back(self, connection: socket.socket, closing: bool) -> None:
        if closing or self._closed:
            connection.close()
        else:
            self._idle.append((time.monotonic(), connection))


def _lines(headers: Mapping[str, str]) -> bytes:
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise ValueError(f"the header {name} has a line break: {value[:100]!a}")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")


def _is_readable(connection: socket.socket) -> bool:
    with _Selector() as look:
        look.register(connection, selectors.EVENT_READ)
        return bool(look.select(0))


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
