"""The connections under the two clients: they carry out plans, one with threads' patience and one
with coroutines.

This is the only code that sends. What is sent, how an answer is judged and whether it is sent again
is decided by the plans, so the two classes here hold no rule of their own.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, closing
from typing import Self, TypeVar

import httpx

from task_queue.client.endpoints import Endpoints
from task_queue.client.event_stream import EventStream, TaskEvent
from task_queue.client.http import (
    Address,
    Exchange,
    HttpFailure,
    HttpRequest,
    HttpResponse,
    Pause,
    Plan,
    Reply,
    Step,
    build,
    failure_of,
    httpx_response,
)
from task_queue.client.kept_connections import KeptConnections, proxies_are_set
from task_queue.client.waiting import Waiting
from task_queue.clock import Clock, SystemClock
from task_queue.errors import ConfigError

T = TypeVar("T")


class _Wiring:
    """What both connections are made of."""

    def __init__(
        self, url: str | None, api_key: str | None, timeout_seconds: float, retry_seconds: float,
        clock: Clock | None,
    ) -> None:  # fmt: skip
        self._address = Address.of(url, api_key)
        if not math.isfinite(timeout_seconds):
            raise ConfigError(f"timeout_seconds={timeout_seconds}: give a finite number of seconds")
        if math.isnan(retry_seconds):
            raise ConfigError("retry_seconds=nan: give seconds, 0 not to try again")
        self._timeout_seconds = timeout_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock or SystemClock()
        self._exchange = Exchange(self._address, self._clock, retry_seconds)
        self._api = Endpoints(self._exchange)
        self._waiting = Waiting(self._api, self._clock)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    @property
    def url(self) -> str:
        """Where the queue is."""
        return self._address.url

    def _event_stream(self, last_event_id: str | None) -> EventStream:
        return EventStream(self._exchange, self._clock, self._retry_seconds, last_event_id)


class Connection(_Wiring):
    """Carries out plans with blocking calls; threads may share it. `Client` documents it."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 10.0,
        retry_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(url, api_key, timeout_seconds, retry_seconds, clock)
        self._sleep = sleep
        self._http = httpx.Client(headers=self._address.headers(), transport=transport)
        self._kept: KeptConnections | None = None
        if transport is None and not proxies_are_set():
            self._kept = KeptConnections(self._address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections. Submitted tasks go on."""
        self._http.close()
        if self._kept is not None:
            self._kept.close()

    def stream_events(self, last_event_id: str | None = None) -> Iterator[TaskEvent]:
        """The tasks as they end, one event for each ending, for ever.

        A broken connection is made again, and the stream goes on after the last event seen. Start
        with the `cursor` of an earlier event to go on after that one.
        """
        stream = self._event_stream(last_event_id)
        while True:
            request = stream.request()
            trouble: HttpResponse | HttpFailure | None = None
            try:
                response = self._http.send(self._build(request), stream=True)
                with closing(response):
                    if response.status_code == 200:
                        for line in response.iter_lines():
                            if (event := stream.feed(line)) is not None:
                                yield event
                    else:
                        body = response.read()
                        trouble = httpx_response(response, body)
            except httpx.RequestError as error:
                trouble = failure_of(error)
            self._sleep(stream.failed(request, trouble) if trouble else stream.ended())

    def _run(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                try:
                    reply = self._carry_out(step)
                except BaseException as error:
                    plan.throw(error)  # it may add how far it got, Ctrl-C included
                    raise
                step = plan.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result

    def _carry_out(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            self._sleep(step.seconds)
            return None
        if self._kept is not None:
            return self._kept.send(step, self._timeout_seconds)
        try:
            response = self._http.send(self._build(step))
        except httpx.RequestError as error:
            return failure_of(error)
        return httpx_response(response, response.content)

    def _build(self, request: HttpRequest) -> httpx.Request:
        return build(self._http, self._address, request, self._timeout_seconds)


class AsyncConnection(_Wiring):
    """Carries out plans with coroutines. `AsyncClient` documents it."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 10.0,
        retry_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(url, api_key, timeout_seconds, retry_seconds, clock)
        self._sleep = sleep
        self._http = httpx.AsyncClient(headers=self._address.headers(), transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections. Submitted tasks go on."""
        await self._http.aclose()

    async def stream_events(self, last_event_id: str | None = None) -> AsyncIterator[TaskEvent]:
        """As `Client.stream_events`."""
        stream = self._event_stream(last_event_id)
        while True:
            request = stream.request()
            trouble: HttpResponse | HttpFailure | None = None
            try:
                response = await self._http.send(self._build(request), stream=True)
                async with aclosing(response):
                    if response.status_code == 200:
                        async for line in response.aiter_lines():
                            if (event := stream.feed(line)) is not None:
                                yield event
                    else:
                        body = await response.aread()
                        trouble = httpx_response(response, body)
            except httpx.RequestError as error:
                trouble = failure_of(error)
            await self._sleep(stream.failed(request, trouble) if trouble else stream.ended())

    async def _run(self, plan: Plan[T]) -> T:
        try:
            step = next(plan)
            while True:
                try:
                    reply = await self._carry_out(step)
                except BaseException as error:
                    plan.throw(error)  # it may add how far it got, cancellation included
                    raise
                step = plan.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _carry_out(self, step: Step) -> Reply:
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        try:
            response = await self._http.send(self._build(step))
        except httpx.RequestError as error:
            return failure_of(error)
        return httpx_response(response, response.content)

    def _build(self, request: HttpRequest) -> httpx.Request:
        return build(self._http, self._address, request, self._timeout_seconds)
