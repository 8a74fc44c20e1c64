"""How a request to the queue is made, judged, and made again: everything but the sending.

A *plan* is a generator that yields what to do next (an `HttpRequest` to send, a `Pause` to wait)
and is sent what came of it. The sync and the async client only differ in who carries a plan out, so
every rule about retries and errors is written once, here, and can be tested without a socket. This
module knows nothing about tasks or endpoints.

What is sent again, for at most `retry_seconds` in all:

- a request whose connection could not be made: it never left; nor did one that Ray Serve's proxy
  answers with its own 404, because the queue behind it is still being started;
- one answered with 429 or 503: by contract nothing was accepted;
- one that may have been carried out (the connection broke before the answer, a proxy gave up
  waiting) only if doing it twice does no harm: reads, and submits with an idempotency key. Ray
  Serve's proxy says 500 where others say 502 or 504; the queue's own 500 is a problem document.
"""

import os
import random
import re
from collections.abc import Generator
from functools import lru_cache
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from msgspec import Struct

from task_queue import errors
from task_queue.client.trace_header import trace_headers
from task_queue.clock import Clock
from task_queue.wire import Problem

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8000"
_FIRST_BACKOFF_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 5.0
_CONNECT_SECONDS = 5.0
_MOST_DIGITS = 9  #: of seconds to wait; more are thirty years, or not even a number
_SERVE_KNOWS_NO_PATH = b"/-/routes for available routes"

_ERRORS: dict[int, type[errors.RequestRefused]] = {
    400: errors.InvalidRequest,
    401: errors.NotAuthorized,
    403: errors.NotAuthorized,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.ResultGone,
    413: errors.InvalidRequest,
    422: errors.InvalidRequest,
    429: errors.TooManyRequests,
    503: errors.StoreUnavailable,
}


#: What a header can carry.
_API_KEY = re.compile(r"[\x20-\x7e]+")


class HttpRequest(Struct, frozen=True, kw_only=True):
    """One request, not yet sent."""

    method: str
    path: str
    params: dict[str, str] = {}
    body: bytes | None = None
    headers: dict[str, str] = {}
    #: May be sent again although it may have been carried out.
    repeatable: bool = False
    #: How long the server may hold the request before it answers.
    wait_seconds: float = 0.0


class HttpResponse(Struct, frozen=True):
    """An answer, whatever its status."""

    status: int
    body: bytes
    retry_after_seconds: float | None = None


class HttpFailure(Struct, frozen=True):
    """No answer. `sent`: the request may have reached the queue."""

    reason: str
    sent: bool


class Pause(Struct, frozen=True):
    """Wait before the next step."""

    seconds: float


Step = HttpRequest | Pause
Reply = HttpResponse | HttpFailure | None
#: Yields steps, is sent the reply to each (None after a Pause), returns what the caller asked for.
Plan = Generator[Step, Reply, T]


class Address(Struct, frozen=True):
    """Where the queue is and how to get in."""

    url: str
    api_key: str | None

    @classmethod
    def of(cls, url: str | None, api_key: str | None) -> "Address":
        """What is None is taken from TASK_QUEUE_URL and TASK_QUEUE_API_KEY.

        Raises:
            ConfigError: not an http(s) URL, or no header can carry the key.
        """
        chosen = url or os.environ.get("TASK_QUEUE_URL") or DEFAULT_URL
        if "@" in chosen:  # it would be in every error, and take the place of the API key
            raise errors.ConfigError(
                "the URL of the task queue has an @: leave user and password out, and give the "
                "key as Client(api_key=...) or TASK_QUEUE_API_KEY"
            )
        if not _is_base_url(chosen):
            raise errors.ConfigError(
                f"{chosen!a} is not the URL of a task queue: give Client(url=...) or "
                f"TASK_QUEUE_URL one such as {DEFAULT_URL}"
            )
        key = api_key or os.environ.get("TASK_QUEUE_API_KEY") or None
        if key is not None and not _API_KEY.fullmatch(key):
            raise errors.ConfigError(
                "the API key has a line break or a character that is not ASCII, which no header "
                "can carry: mend Client(api_key=...) or TASK_QUEUE_API_KEY"
            )
        return cls(chosen.rstrip("/"), key)

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        headers = {"Accept": "application/json", "User-Agent": "ray-task-queue-client"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return headers


def _is_base_url(text: str) -> bool:
    """Whether paths can be put behind it."""
    try:
        parts = urlsplit(text)
        httpx.URL(text).host.encode("idna")  # what the resolver does with it
        port_exists = parts.port != 0  # reading it raises beyond 65535
    except (httpx.InvalidURL, ValueError):
        return False
    bare = port_exists and "?" not in text and "#" not in text
    return parts.scheme in ("http", "https") and bool(parts.netloc) and bare


class Exchange:
    """Sends a request until it is answered, and turns answers that say no into errors."""

    def __init__(self, address: Address, clock: Clock, retry_seconds: float) -> None:
        self.address = address
        self._clock = clock
        self._retry_seconds = retry_seconds

    def answer(self, request: HttpRequest) -> Plan[bytes]:
        """The body of the answer.

        Raises:
            RequestRefused: the queue said no; the class follows from the status.
            QueueUnreachable: no answer within the time for retries.
        """
        give_up_at = self._clock.monotonic() + self._retry_seconds
        attempt = 0
        while True:
            reply = yield request
            assert reply is not None  # only a Pause has no reply
            if isinstance(reply, HttpResponse) and 200 <= reply.status < 300:
                return reply.body
            pause = backoff_seconds(attempt, reply)
            late = self._clock.monotonic() + pause > give_up_at
            if late or not _may_be_sent_again(request, reply):
                self.refuse(request, reply)
            yield Pause(pause)
            attempt += 1

    def refuse(self, request: HttpRequest, reply: HttpResponse | HttpFailure) -> NoReturn:
        """Raise the error that a reply means."""
        if isinstance(reply, HttpFailure):
            raise errors.QueueUnreachable(self._unreachable(request, reply.reason, reply.sent))
        if _has_no_queue_behind(reply):
            reason = "Ray Serve is there, and no task queue behind it yet"
            raise errors.QueueUnreachable(self._unreachable(request, reason, sent=False))
        if _is_from_a_proxy(reply):
            reason = f"a proxy answered HTTP {reply.status}"
            raise errors.QueueUnreachable(self._unreachable(request, reason, sent=True))
        kind = _ERRORS.get(reply.status, errors.RequestRefused)
        raise kind(reply.status, self._detail(reply), reply.retry_after_seconds)

    def decode(self, body: bytes, shape: type[T]) -> T:
        """The body as a shape of the API.

        Raises:
            QueueUnreachable: it is something else, so that is not a task queue there.
        """
        try:
            return decoded(body, shape)
        except msgspec.DecodeError as error:
            raise self.stranger(str(error)) from error

    def stranger(self, reason: str) -> errors.QueueUnreachable:
        """The error for an answer that no task queue of this version gives."""
        return errors.QueueUnreachable(
            f"{self.address.url} answered, but not as a task queue of this version does "
            f"({reason}): check TASK_QUEUE_URL"
        )

    def _unreachable(self, request: HttpRequest, reason: str, sent: bool) -> str:
        url = self.address.url
        if not sent:
            return (
                f"no task queue answers at {url} ({reason}): start it with "
                "'python -m cluster up', or set TASK_QUEUE_URL to where it is"
            )
        if request.repeatable:
            return f"the task queue at {url} did not answer ({reason}): try again later"
        return (
            f"the task queue at {url} did not answer ({reason}): whether it carried out "
            f"{request.method} {request.path} is not known; "
            "a submit with an idempotency_key can be repeated safely"
        )

    def _detail(self, response: HttpResponse) -> str:
        try:
            return decoded(response.body, Problem).detail
        except msgspec.DecodeError:  # not from the queue itself: a proxy, or another server
            text = " ".join(response.body[:200].decode(errors="replace").split())
            return f"{self.address.url} answered without saying why: '{text}'"


def decoded(body: bytes, shape: type[T]) -> T:
    """JSON from a server, of which nothing is believed.

    Raises:
        msgspec.DecodeError: it is anything else than `shape`.
    """
    try:
        if not body.isascii():
            body.decode()  # msgspec does not look into the parts that it leaves undecoded
        return msgspec.json.decode(body, type=shape)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"it is not UTF-8, byte {error.start}") from None
    except RecursionError:
        raise msgspec.DecodeError("it is nested too deeply") from None


def backoff_seconds(attempt: int, reply: HttpResponse | HttpFailure | None = None) -> float:
    """How long to wait before the next try, `attempt` counting from 0.

    Doubling, up to 5 s, of which up to a half is taken off at random so that many clients do not
    come back at the same moment; but never less than the queue asked for by Retry-After.
    """
    whole = min(_LONGEST_BACKOFF_SECONDS, _FIRST_BACKOFF_SECONDS * 2.0 ** min(attempt, 16))
    asked = reply.retry_after_seconds if isinstance(reply, HttpResponse) else None
    return max(asked or 0.0, whole * random.uniform(0.5, 1.0))


def _may_be_sent_again(request: HttpRequest, reply: HttpResponse | HttpFailure) -> bool:
    if isinstance(reply, HttpResponse):
        if reply.status in (429, 503) or _has_no_queue_behind(reply):
            return True
        return _is_from_a_proxy(reply) and request.repeatable
    return request.repeatable or not reply.sent


def _has_no_queue_behind(reply: HttpResponse) -> bool:
    """It is what Ray Serve's proxy says to a path that no application has; the queue's own 404 is a
    problem document."""
    return reply.status == httpx.codes.NOT_FOUND and _SERVE_KNOWS_NO_PATH in reply.body


def _is_from_a_proxy(reply: HttpResponse) -> bool:
    """It could not reach the queue, or lost it before the answer."""
    if reply.status != httpx.codes.INTERNAL_SERVER_ERROR:
        return reply.status in (502, 504)
    try:
        decoded(reply.body, Problem)
    except msgspec.DecodeError:
        return True
    return False


def url_of(address: Address, request: HttpRequest) -> httpx.URL:
    """Where a request goes.

    Raises:
        ValueError: something in it can be no part of a URL.
    """
    try:
        url = _parsed(address.url + request.path)
        return url.copy_with(params=request.params) if request.params else url
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise ValueError(
            f"an id, a name or a filter of {request.method} {request.path[:100]} cannot be part "
            f"of a URL ({error}): give the one that the queue knows"
        ) from None


def headers_of(request: HttpRequest) -> dict[str, str]:
    """What a request carries beyond the headers of `Address`."""
    headers = {**trace_headers(), **request.headers}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return headers


def timeouts_of(request: HttpRequest, timeout_seconds: float) -> tuple[float, float]:
    """How long to wait for an answer, to which the time that the server may hold the request is
    added, and for a connection. Seconds."""
    return timeout_seconds + request.wait_seconds, min(timeout_seconds, _CONNECT_SECONDS)


def build(
    client: httpx.Client | httpx.AsyncClient,
    address: Address,
    request: HttpRequest,
    timeout_seconds: float,
) -> httpx.Request:
    """The request as httpx sends it. `client` has the headers of `address` already."""
    seconds, connect_seconds = timeouts_of(request, timeout_seconds)
    return client.build_request(
        request.method, url_of(address, request), content=request.body,
        headers=headers_of(request), timeout=httpx.Timeout(seconds, connect=connect_seconds),
    )  # fmt: skip


@lru_cache(maxsize=64)
def _parsed(url: str) -> httpx.URL:
    """Most requests go to a few paths, and parsing a URL takes a tenth of the time of a request."""
    return httpx.URL(url)


def response_of(status: int, body: bytes, retry_after: str) -> HttpResponse:
    """An answer with the header of it that matters here, empty if there is none."""
    # The other form that RFC 9110 allows, a date, is of no use between clocks that differ.
    is_number = retry_after.isascii() and retry_after.isdigit() and len(retry_after) <= _MOST_DIGITS
    after = float(retry_after) if is_number else None
    return HttpResponse(status, body, after)


def httpx_response(response: httpx.Response, body: bytes) -> HttpResponse:
    """An answer that httpx received."""
    return response_of(response.status_code, body, response.headers.get("retry-after", ""))


def failure_of(error: httpx.RequestError) -> HttpFailure:
    """Why there is no answer, and whether the request may have arrived nevertheless."""
    never_left = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
    reason = str(error) or type(error).__name__
    return HttpFailure(reason, sent=not isinstance(error, never_left))
