"""What a type checker must make of the client. This file is never run, only checked."""

from typing import Any, assert_type

from task_queue import AsyncClient, AsyncTaskHandle, Client, TaskHandle, submit_request, task
from task_queue.testing import InMemoryQueue
from task_queue.wire import SubmitRequest, TaskView


@task(priority=5)
def thumbnail(path: str, size: int = 128) -> dict[str, int]:
    return {path: size}


@task
async def fetch(url: str) -> bytes:
    return url.encode()


def submits(client: Client) -> None:
    assert_type(client.submit(thumbnail, "cat.png", size=64), TaskHandle[dict[str, int]])
    assert_type(client.submit(thumbnail.options(priority=8), "a").result(), dict[str, int])
    assert_type(client.submit(fetch, "http://a").result(timeout=1), bytes)
    assert_type(client.submit("images.thumbnail", 1, priority=8), TaskHandle[Any])

    assert_type(client.run(thumbnail.options(priority=8), "cat.png"), dict[str, int])
    assert_type(client.run(fetch, "http://a"), bytes)
    assert_type(client.run("images.thumbnail", 1), Any)

    client.submit(thumbnail)  # type: ignore[call-overload]  # path is missing
    client.submit(thumbnail, 7)  # type: ignore[call-overload]  # path is a str
    client.submit(thumbnail, "a", colour="red")  # type: ignore[arg-type,call-arg]
    client.submit(len, "a")  # type: ignore[call-overload]  # not a task


def many(client: Client) -> None:
    handles = client.submit_many(thumbnail, [("a",), ("b",)])
    assert_type(handles, list[TaskHandle[dict[str, int]]])
    assert_type(client.gather(handles), list[dict[str, int]])
    assert_type(client.gather(handles, return_exceptions=True), list[Any])
    for handle in client.as_completed(handles):
        assert_type(handle.result(), dict[str, int])
    assert_type(client.map(thumbnail, ["a"], [64]), list[dict[str, int]])
    assert_type(client.map(fetch, ["a"], progress=False), list[bytes])
    assert_type(client.map("a.task", ["a"]), list[Any])
    assert_type(client.map(thumbnail, ["a"], return_exceptions=True), list[Any])
    assert_type(submit_request(thumbnail, "a", size=2), SubmitRequest)
    submit_request(thumbnail, 7)  # type: ignore[call-overload]
    assert_type(client.submit_many([submit_request("a.task")]), list[TaskHandle[Any]])


def lists(client: Client) -> None:
    for view in client.list_tasks(status="FAILED", in_dlq=True, limit=5):
        assert_type(view, TaskView)
    client.list_tasks(state="FAILED")  # type: ignore[call-arg]
    client.search("cat", tag="x", submitted_from="2026-01-25T14:00:00Z")
    client.save_schedule(thumbnail, cron="0 6 * * *", id="daily")
    client.save_schedule(thumbnail, every=5)  # type: ignore[call-arg]


def in_tests(queue: InMemoryQueue) -> None:
    submits(queue)  # it is a client
    assert_type(queue.submit(thumbnail, "cat.png", size=64), TaskHandle[dict[str, int]])
    assert_type(queue.map(fetch, ["a"]), list[bytes])
    assert_type(queue.run_next(), TaskView | None)
    assert_type(queue.async_client(), AsyncClient)


async def with_coroutines(client: AsyncClient) -> None:
    handle = await client.submit(thumbnail, "cat.png", size=64)
    assert_type(handle, AsyncTaskHandle[dict[str, int]])
    assert_type(await handle.result(), dict[str, int])
    assert_type(await (await client.submit(fetch, "http://a")).result(), bytes)
    assert_type(await client.map(thumbnail, ["a"]), list[dict[str, int]])
    assert_type(await client.map(fetch, ["a"]), list[bytes])
    async for done in client.as_completed([handle]):
        assert_type(await done.result(), dict[str, int])
    async for view in client.list_tasks(status="FAILED"):
        assert_type(view, TaskView)
    await client.submit(thumbnail, 7)  # type: ignore[call-overload]
