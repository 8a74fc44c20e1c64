"""The hot calls of SchedulerApi over a stream, repeated when the stream was lost.

A scheduler that died is started again within a second or two, at another port. So a call that was
lost is sent again, with the same ids, until the patience of the caller is over. Every scheduler
call is safe to repeat; a submit must say that it is one. It ends too when the scheduler has been
silent for as long: one that is frozen keeps its connections. The other calls have times of their
own.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

from task_queue.core.effects import Accepted, Grant, Refused
from task_queue.core.events import WorkerPulled
from task_queue.core.spec_runs import runs_of
from task_queue.core.task import TaskSpec
from task_queue.scheduler_api import Ended, SchedulerSilent, SchedulerUnavailable
from task_queue.stream.endpoint import Endpoint
from task_queue.stream.limits import StreamLimits
from task_queue.stream.outcome import StreamLost
from task_queue.stream.scheduler_calls import (
    END_OF,
    PULL,
    SUBMIT,
    SUBMIT_AGAIN,
    WAIT_OVER,
    EndOf,
    WaitOver,
    decode_end,
    decode_grant,
    decode_submitted,
    encode,
)
from task_queue.stream.security import security_from
from task_queue.stream.stream_client import StreamClient

_RETRY_SECONDS = 0.1
#: If there is no connection, the call's own error says more: it comes about when patience ends.
_GRACE_SECONDS = 0.5

#: Makes a call's kind and payload; told whether it may have been done before.
_Ask = Callable[[bool], tuple[int, bytes]]


class SchedulerStream:
    """Submit, pull, wait_over and end_of, from any process of the cluster.

    It may be made where no event loop runs: it belongs to the loop of its first call, and to
    another one when it is next called there.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[Endpoint]],
        patience_seconds: float,
        environment: Mapping[str, str] = os.environ,
        limits: StreamLimits | None = None,
    ) -> None:
        """Nothing is connected or read yet.

        Args:
            find: asks where the scheduler listens now. It raises StreamLost if nobody answers.
            patience_seconds: how long a lost call is tried again.
            environment: has the token and the certificates of the cluster.
        """
        self._find = find
        self._patience_seconds = patience_seconds
        self._environment = environment
        self._limits = limits
        self._client: StreamClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        blob = encode(runs_of(specs))
        answer: Accepted | Refused = decode_submitted(
            await self._while_heard(
                self._call(lambda again: (SUBMIT_AGAIN if repeated or again else SUBMIT, blob))
            )
        )
        return answer

    async def pull(self, event: WorkerPulled) -> Grant:
        blob = encode(event)
        return decode_grant(await self._call(lambda _: (PULL, blob)))

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        ids = list(task_ids)
        now = asyncio.get_running_loop().time
        end = now() + timeout_seconds
        await self._call(lambda _: (WAIT_OVER, encode(WaitOver(ids, max(0.0, end - now())))))

    async def end_of(self, task_id: str, timeout_seconds: float) -> Ended | None:
        now = asyncio.get_running_loop().time
        until = now() + timeout_seconds
        end: Ended | None = decode_end(
            await self._call(lambda _: (END_OF, encode(EndOf(task_id, max(0.0, until - now())))))
        )
        return end

    async def close(self) -> None:
        """End the connection, if there is one in this loop; a later call makes a new one."""
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _while_heard(self, asking: Coroutine[Any, Any, memoryview]) -> memoryview:
        """The answer, unless nothing is heard of the scheduler for the length of the patience."""
        loop = asyncio.get_running_loop()
        began = loop.time() + _GRACE_SECONDS
        timer: asyncio.TimerHandle | None = None

        def look() -> None:
            """Ends the call, or looks again when there may be reason to."""
            nonlocal timer
            heard_at = 0.0 if self._client is None else self._client.heard_at
            silent_at = max(began, heard_at) + self._patience_seconds
            if silent_at <= loop.time():
                limit.reschedule(loop.time())
            else:
                timer = loop.call_at(silent_at, look)

        try:
            async with asyncio.timeout(None) as limit:
                look()
                return await asking
        except TimeoutError as error:
            if not limit.expired():  # the call's own
                raise
            raise SchedulerSilent(
                f"the scheduler has shown no sign of life for {self._patience_seconds:g} s"
            ) from error
        finally:
            if timer is not None:
                timer.cancel()

    async def _call(self, ask: _Ask) -> memoryview:
        loop = asyncio.get_running_loop()
        client = self._client_in(loop)
        again = False
        deadline = loop.time() + self._patience_seconds
        while True:
            try:
                return await client.call(*ask(again))
            except StreamLost as error:
                if error.sent and not again:
                    # A call may be open for long; its patience begins when it was lost.
                    deadline = loop.time() + self._patience_seconds
                    again = True
                if loop.time() >= deadline:
                    kind = SchedulerSilent if again else SchedulerUnavailable
                    raise kind(f"the scheduler does not answer: {error}") from error
                await asyncio.sleep(_RETRY_SECONDS)

    def _client_in(self, loop: asyncio.AbstractEventLoop) -> StreamClient:
        if self._client is None or self._loop is not loop:
            security = security_from(self._environment)
            self._client = StreamClient(
                self._find, security.secret, security.client_tls, self._limits
            )
            self._loop = loop
        return self._client
