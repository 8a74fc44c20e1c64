"""One start of the scheduler's stream server, from its first attempt to listen to its end."""

import asyncio
import os
from collections.abc import Callable, Mapping

from task_queue.scheduler_api import SchedulerApi, SchedulerUnavailable
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.handshake import new_nonce, stream_key
from task_queue.stream.limits import StreamLimits
from task_queue.stream.scheduler_calls import scheduler_handlers
from task_queue.stream.security import security_from
from task_queue.stream.stream_server import StreamServer

_LISTEN_AGAIN_SECONDS = 1.0


class SchedulerListener:
    """Serves the hot calls of a scheduler at a free port of one address."""

    def __init__(
        self,
        scheduler: SchedulerApi,
        host: str,
        reachable_host: str,
        environment: Mapping[str, str] = os.environ,
        limits: StreamLimits | None = None,
        on_listening: Callable[[Endpoint, bool], None] = lambda _endpoint, _tls: None,
        on_cut: Callable[[str, str], None] = lambda _peer, _reason: None,
        on_trouble: Callable[[str, BaseException], None] = lambda _what, _error: None,
    ) -> None:
        """Nothing is bound or read yet.

        Args:
            host: the address to listen at.
            reachable_host: the one that callers are told; another if `host` stands for all.
            on_listening: told the endpoint, and whether it speaks TLS.
            on_cut: told the address of a peer that was cut off, and why.
            on_trouble: told what went wrong.
        """
        self._scheduler = scheduler
        self._host = host
        self._reachable_host = reachable_host
        self._environment = environment
        self._limits = limits
        self._on_listening = on_listening
        self._on_cut = on_cut
        self._on_trouble = on_trouble
        self._listening: asyncio.Task[Endpoint] | None = None
        self._server: StreamServer | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to listen, and try again until it works: nothing can be done without."""
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def endpoint(self, timeout_seconds: float) -> Endpoint:
        """Where it listens.

        Raises:
            SchedulerUnavailable: nowhere, after this time.
        """
        if self._listening is None or self._closed:
            raise SchedulerUnavailable("the scheduler was stopped")
        done, _ = await asyncio.wait({self._listening}, timeout=timeout_seconds)
        if not done or self._listening.cancelled():
            raise SchedulerUnavailable(f"the scheduler does not listen at {self._host}")
        return self._listening.result()

    def close(self, grace_seconds: float = 1.0) -> "asyncio.Task[None]":
        """Listen no more from now on; the task ends when all streams have.

        Args:
            grace_seconds: for open calls to be answered.
        """
        self._closed = True
        if self._listening is not None:
            self._listening.cancel()
        return asyncio.get_running_loop().create_task(self._close_server(grace_seconds))

    async def _close_server(self, grace_seconds: float) -> None:
        if self._server is not None:
            await self._server.close(grace_seconds)

    async def _listen(self) -> Endpoint:
        while True:
            nonce = new_nonce()
            try:
                security = security_from(self._environment)
                self._server = StreamServer(
                    scheduler_handlers(self._scheduler), stream_key(security.secret, nonce),
                    security.server_tls, self._limits, self._on_cut, self._on_trouble,
                )  # fmt: skip
                port = await self._server.listen(self._host)
            except Exception as error:  # noqa: BLE001  nobody else would ever try again
                self._on_trouble(f"the scheduler cannot listen at {self._host}", error)
                await asyncio.sleep(_LISTEN_AGAIN_SECONDS)
            else:
                endpoint = Endpoint(self._reachable_host, port, nonce)
                self._on_listening(endpoint, security.server_tls is not None)
                return endpoint
