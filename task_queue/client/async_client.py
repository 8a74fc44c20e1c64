"""The asynchronous client: the methods of `Client` as coroutines, for one event loop.

It differs from `Client` in the sending only; every rule is shared.
"""

from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, Literal, ParamSpec, TypeVar, overload

from task_queue.client.async_operations import AsyncOperations
from task_queue.client.handle import AsyncTaskHandle
from task_queue.client.outcome import Outcome
from task_queue.client.results import Results
from task_queue.client.submission import checked_requests, requests_of, submit_request
from task_queue.tasks import TaskFunction
from task_queue.wire import SubmitRequest

P = ParamSpec("P")
R = TypeVar("R")

Requests = Iterable[SubmitRequest]
ArgumentTuples = Iterable[tuple[Any, ...]]


class AsyncClient(AsyncOperations):
    """A connection to a task queue, as `Client`, which documents arguments, methods and retries.

    Use it as ``async with AsyncClient() as client``, or await `close`.
    """

    def handle(self, task_id: str) -> AsyncTaskHandle[Any]:
        """As `Client.handle`; not a coroutine, because nothing is asked."""
        return AsyncTaskHandle(self, task_id)

    @overload
    async def submit(
        self,
        function: TaskFunction[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> AsyncTaskHandle[R]: ...
    @overload
    async def submit(
        self, function: TaskFunction[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncTaskHandle[R]: ...
    @overload
    async def submit(self, function: str, /, *args: Any, **kwargs: Any) -> AsyncTaskHandle[Any]: ...
    async def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> AsyncTaskHandle[Any]:
        """As `Client.submit`."""
        request = submit_request(function, *args, **kwargs)
        return AsyncTaskHandle(
            self, (await self._run(self._api.submit(request))).task_id, request.name
        )

    @overload
    async def run(
        self,
        function: TaskFunction[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    async def run(
        self, function: TaskFunction[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R: ...
    @overload
    async def run(self, function: str, /, *args: Any, **kwargs: Any) -> Any: ...
    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As `Client.run`."""
        request = submit_request(function, *args, **kwargs)
        return (await self._run(self._waiting.run(request))).value()

    @overload
    async def submit_many(self, tasks: Requests, /) -> list[AsyncTaskHandle[Any]]: ...
    @overload
    async def submit_many(
        self, tasks: TaskFunction[..., Coroutine[Any, Any, R]], args: ArgumentTuples, /
    ) -> list[AsyncTaskHandle[R]]: ...
    @overload
    async def submit_many(
        self, tasks: TaskFunction[..., R], args: ArgumentTuples, /
    ) -> list[AsyncTaskHandle[R]]: ...
    @overload
    async def submit_many(
        self, tasks: str, args: ArgumentTuples, /
    ) -> list[AsyncTaskHandle[Any]]: ...
    async def submit_many(
        self, tasks: Any, args: ArgumentTuples | None = None, /
    ) -> list[AsyncTaskHandle[Any]]:
        """As `Client.submit_many`."""
        requests = checked_requests(tasks) if args is None else requests_of(tasks, args)
        task_ids = await self._run(self._waiting.submit_all(requests))
        return [AsyncTaskHandle(self, i, r.name) for i, r in zip(task_ids, requests, strict=True)]

    @overload
    async def map(
        self,
        function: TaskFunction[..., Coroutine[Any, Any, R]],
        iterable: Iterable[Any],
        /,
        *more_iterables: Iterable[Any],
        progress: bool | None = None,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
    ) -> list[R]: ...
    @overload
    async def map(
        self,
        function: TaskFunction[..., R],
        iterable: Iterable[Any],
        /,
        *more_iterables: Iterable[Any],
        progress: bool | None = None,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
    ) -> list[R]: ...
    @overload
    async def map(
        self,
        function: TaskFunction[..., Any] | str,
        iterable: Iterable[Any],
        /,
        *more_iterables: Iterable[Any],
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]: ...
    async def map(
        self,
        function: Any,
        iterable: Iterable[Any],
        /,
        *more_iterables: Iterable[Any],
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]:
        """As `Client.map`."""
        handles = await self.submit_many(function, zip(iterable, *more_iterables, strict=True))
        return await self.gather(
            handles, progress=progress, return_exceptions=return_exceptions, timeout=timeout
        )

    # --- waiting

    async def as_completed(
        self, handles: Iterable[AsyncTaskHandle[R]], timeout: float | None = None
    ) -> AsyncIterator[AsyncTaskHandle[R]]:
        """As `Client.as_completed`."""
        waiting = self._waiting.wait_list(handles, timeout)
        for handle in waiting.known():
            yield handle
        while waiting.pending:
            for handle in waiting.settle(await self._run(self._waiting.some(waiting.pending))):
                yield handle

    @overload
    async def gather(
        self,
        handles: Iterable[AsyncTaskHandle[R]],
        *,
        progress: bool | None = None,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
    ) -> list[R]: ...
    @overload
    async def gather(
        self,
        handles: Iterable[AsyncTaskHandle[Any]],
        *,
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]: ...
    async def gather(
        self,
        handles: Iterable[AsyncTaskHandle[Any]],
        *,
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]:
        """As `Client.gather`."""
        results = Results(handles, return_exceptions)
        with results.bar(progress) as bar, results.told_on_error():
            async for handle in self.as_completed(results.handles, timeout):
                bar.advance(failed=results.take(handle))
        return results.in_order()

    async def wait(self, task_id: str, timeout: float | None = None) -> Outcome:
        """As `Client.wait`."""
        return await self._run(self._waiting.one(task_id, timeout))

    async def result(self, task_id: str, timeout: float | None = None) -> Any:
        """As `Client.result`."""
        return (await self.wait(task_id, timeout)).value()
