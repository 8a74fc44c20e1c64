"""The async client: the same methods, and the same rules because they are the same code."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from task_queue import errors
from task_queue.client.async_client import AsyncClient
from task_queue.client.client import Client
from task_queue.testing import FakeClock
from tests.client.conftest import URL
from tests.client.example_tasks import add
from tests.client.fake_api import FakeApi, problem
from tests.client.test_event_stream import lines, stream

Use = Callable[[AsyncClient], Awaitable[Any]]


@pytest.fixture
def run(api: FakeApi, clock: FakeClock) -> Callable[[Use], Any]:
    """Run a coroutine function with a client on the fake API."""

    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # as on a real connection, others get a turn
        return api(request)

    async def with_client(use: Use) -> Any:
        transport = httpx.MockTransport(answer)
        async with AsyncClient(URL, transport=transport, clock=clock, sleep=sleep) as client:
            return await use(client)

    return lambda use: asyncio.run(with_client(use))


def _public(kind: type) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


def test_both_clients_have_the_same_methods_with_the_same_arguments() -> None:
    assert _public(AsyncClient) == _public(Client)
    assert list(inspect.signature(AsyncClient).parameters) == list(
        inspect.signature(Client).parameters
    )


def test_submit_and_result(api: FakeApi, run: Callable[[Use], Any]) -> None:
    async def use(client: AsyncClient) -> tuple[Any, str]:
        handle = await client.submit(add, 1, 2)
        return await handle.result(), repr(handle)

    value, text = run(use)
    assert value == [1, 2]
    assert text == "<AsyncTaskHandle math.add task-00000 COMPLETED>"


def test_map_keeps_the_order(api: FakeApi, run: Callable[[Use], Any]) -> None:
    api.runs = None

    def end_last_first(seconds: float) -> None:
        last = [i for i in api.tasks if i not in api.outcomes][-1]
        api.finish(last, last)

    api.while_waiting = end_last_first
    assert run(lambda client: client.map(add, range(4), range(4))) == list(api.tasks)


def test_as_completed_follows_the_order_of_ending(api: FakeApi, run: Callable[[Use], Any]) -> None:
    api.runs = None

    async def use(client: AsyncClient) -> list[str]:
        handles = await client.submit_many("a.task", [(i,) for i in range(3)])
        left = iter([2, 0, 1])
        api.while_waiting = lambda seconds: api.finish(handles[next(left)].task_id)
        return [handle.task_id async for handle in client.as_completed(handles)]

    assert run(use) == ["task-00002", "task-00000", "task-00001"]


def test_retries_and_errors(api: FakeApi, clock: FakeClock, run: Callable[[Use], Any]) -> None:
    api.troubles = [httpx.ConnectError("refused"), problem(503, "busy", {"retry-after": "3"})]
    start = clock.now()
    run(lambda client: client.submit("a.task"))
    assert 3 < clock.now() - start < 4
    api.breaks_after = httpx.ReadError("reset")
    with pytest.raises(errors.QueueUnreachable, match="not known"):
        run(lambda client: client.submit("a.task"))


def test_a_cancelled_map_says_what_goes_on(api: FakeApi, run: Callable[[Use], Any]) -> None:
    api.runs = None
    notes: list[str] = []

    async def use(client: AsyncClient) -> None:
        mine = asyncio.current_task()
        assert mine is not None
        api.while_waiting = lambda seconds: _cancel(mine)
        try:
            await client.map(add, [1, 2], [1, 2])
        except asyncio.CancelledError as error:
            notes.extend(error.__notes__)

    run(use)
    assert "2 of 2 tasks" in notes[0]


def _cancel(mine: "asyncio.Task[Any]") -> None:
    mine.cancel()


def test_lists_and_streams_are_async_iterators(api: FakeApi, run: Callable[[Use], Any]) -> None:
    async def use(client: AsyncClient) -> tuple[int, str, list[str]]:
        await client.submit_many("a.task", [(i,) for i in range(150)])
        count = len([view async for view in client.list_tasks()])
        api.troubles = [stream(lines(1)), stream(lines(2))]
        cursors = []
        async for event in client.stream_events():
            cursors.append(event.cursor)
            if len(cursors) == 2:
                break
        return count, await client.status("task-00007"), cursors

    assert run(use) == (150, "COMPLETED", ["1", "2"])


def test_every_plain_request(api: FakeApi, run: Callable[[Use], Any]) -> None:
    """Each coroutine asks what its twin of the sync client asks."""
    api.canned = {
        "GET /api/v1/tasks/t/events": {"events": []},
        "GET /api/v1/tasks/t/logs": {"logs": []},
        "GET /api/v1/queues": {"queues": []},
        "GET /api/v1/workers": {"workers": []},
        "GET /api/v1/schedules": {"schedules": []},
        "GET /api/v1/task-types": {"task_types": []},
        "GET /api/v1/dashboard/stats": {},
        "GET /api/v1/dashboard/queue-depth": {},
        "GET /api/v1/analytics/trends": {},
        "GET /health": {"status": "healthy"},
        "POST /api/v1/dlq/replay": {"count": 1},
    }

    async def use(client: AsyncClient) -> None:
        await client.events("t")
        await client.logs("t")
        for ask in (client.queues, client.workers, client.schedules, client.task_types):
            assert await ask() == []
        for figures in (client.stats, client.queue_depth, client.trends):
            assert await figures() == {}
        assert await client.health() == {"status": "healthy"}
        assert (await client.dlq_replay()).count == 1

    run(use)
    assert api.paths() == list(api.canned)
