"""Handles without Ray: over a scheduler that is frozen, and over a worker that is dead."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError

from actors.handles import SchedulerHandle, WorkerEnded, WorkerHandle
from task_queue.core import events as ev
from task_queue.scheduler_api import NodeReading, SchedulerUnavailable, WorkerTold
from task_queue.tracing.span_book import SpanReport
from task_queue.tracing.span_counts import SpanCounts

pytestmark = pytest.mark.anyio


_TOLD = WorkerTold(
    NodeReading("n", 1.0, 2.0, 3.0, 4, 5, 6, 7), SpanReport("w", 1.0, SpanCounts(1, 2, 3))
)


class _FrozenMethod:
    def remote(self, *_: object) -> asyncio.Future[Any]:
        """An answer that never comes."""
        return asyncio.get_running_loop().create_future()


class _FrozenActor:
    request = retry = read = tell = declare = endpoint = _FrozenMethod()
    replay = purge_dlq = purge_queue = ready = stop = _FrozenMethod()


class _Method:
    """Answers each call as the function does."""

    def __init__(self, answer: Callable[[], Awaitable[Any]]) -> None:
        self._answer = answer

    def remote(self, *_: object) -> Awaitable[Any]:
        return self._answer()


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> SchedulerHandle:
    monkeypatch.setattr("ray.get_actor", lambda *_: _FrozenActor())
    return SchedulerHandle("namespace", patience_seconds=0.05, silent_seconds=0.07)


@pytest.mark.parametrize(
    "call",
    [
        lambda handle: handle.request(ev.CancelRequested("t")),
        lambda handle: handle.retry("t", "r"),
        lambda handle: handle.read(),
        lambda handle: handle.tell(_TOLD),
    ],
    ids=["request", "retry", "read", "tell"],
)
async def test_a_frozen_scheduler_is_unavailable_when_the_patience_is_over(
    frozen: SchedulerHandle, call: Callable[[SchedulerHandle], Awaitable[Any]]
) -> None:
    async with asyncio.timeout(30):  # without a limit of its own it would hang
        with pytest.raises(SchedulerUnavailable, match=r"did not answer within 0\.05 s"):
            await call(frozen)


@pytest.mark.parametrize(
    "call",
    [
        lambda handle: handle.replay([], "r"),
        lambda handle: handle.purge_dlq([]),
        lambda handle: handle.purge_queue("q"),
        lambda handle: handle.declare([], []),
        lambda handle: handle.ready(),
        lambda handle: handle.stop(),
    ],
    ids=["replay", "purge_dlq", "purge_queue", "declare", "ready", "stop"],
)
async def test_a_long_call_ends_when_the_scheduler_shows_no_sign_of_life(
    frozen: SchedulerHandle, call: Callable[[SchedulerHandle], Awaitable[Any]]
) -> None:
    async with asyncio.timeout(30):
        with pytest.raises(SchedulerUnavailable, match=r"no sign of life for 0\.07 s"):
            await call(frozen)


async def test_a_long_call_may_take_long_while_the_scheduler_shows_signs_of_life(
    frozen: SchedulerHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    signs = 0
    enough = asyncio.Event()

    async def sign() -> bytes:
        nonlocal signs
        signs += 1
        if signs == 5:
            enough.set()
        return b""

    async def purge() -> int:
        await enough.wait()
        return 7

    monkeypatch.setattr(_FrozenActor, "endpoint", _Method(sign))
    monkeypatch.setattr(_FrozenActor, "purge_queue", _Method(purge))
    async with asyncio.timeout(30):
        assert await frozen.purge_queue("q") == 7


async def test_a_caller_that_is_cancelled_is_not_told_of_the_scheduler(
    frozen: SchedulerHandle,
) -> None:
    asking = asyncio.ensure_future(frozen.read())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


_OUT_OF_MEMORY: Any = OutOfMemoryError  # Ray gives its constructor no types


class _DeadMethod:
    def __init__(self, error: RayError) -> None:
        self._error = error

    async def remote(self) -> str:
        raise self._error


class _DeadActor:
    def __init__(self, error: RayError) -> None:
        self.run = self.watch = _DeadMethod(error)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            _OUT_OF_MEMORY("1 worker(s) were killed: the node ran low on memory.\nPay for more."),
            "OutOfMemoryError: 1 worker(s) were killed: the node ran low on memory.",
        ),
        (
            ActorDiedError(),
            "ActorDiedError: The actor died unexpectedly before finishing this task.",
        ),
        (RayError(), "RayError: no detail"),
    ],
)
async def test_the_end_of_a_worker_has_the_line_that_says_why(error: RayError, cause: str) -> None:
    worker = WorkerHandle(_DeadActor(error))
    for end in (worker.run(), worker.watch()):
        with pytest.raises(WorkerEnded) as caught:
            await end
        assert str(caught.value) == cause
