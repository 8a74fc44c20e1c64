"""The synchronous client: submit tasks and wait for them.

Only what differs between blocking calls and coroutines is here. What is sent, judged and sent again
is decided in http.py, endpoints.py, waiting.py and results.py, which `AsyncClient` shares.
"""

from collections.abc import Coroutine, Iterable, Iterator
from typing import Any, Literal, ParamSpec, TypeVar, overload

from task_queue.client.handle import TaskHandle
from task_queue.client.operations import Operations
from task_queue.client.outcome import Outcome
from task_queue.client.results import Results
from task_queue.client.submission import checked_requests, requests_of, submit_request
from task_queue.tasks import TaskFunction
from task_queue.wire import SubmitRequest

P = ParamSpec("P")
R = TypeVar("R")

Requests = Iterable[SubmitRequest]
ArgumentTuples = Iterable[tuple[Any, ...]]


class Client(Operations):
    """A connection to a task queue. Use it as a context manager, or call `close`; threads may
    share it.

    Every method raises QueueUnreachable if there is no answer, and a RequestRefused if the queue
    says no. A request is sent again, for at most `retry_seconds`, if it never left (connection
    refused) or nothing was accepted (429, 503). One that may have been carried out, because the
    connection broke before the answer, is sent again only if that does no harm: reads, and submits
    with an ``idempotency_key``. No key is made up for a submit without one: then QueueUnreachable
    says that it is not known whether the task was accepted.

    Args:
        url: where the queue is; TASK_QUEUE_URL, else http://127.0.0.1:8000.
        api_key: TASK_QUEUE_API_KEY unless given.
        timeout_seconds: for one answer, beyond what a request asks the server to wait.
        retry_seconds: how long a request is tried again; 0: not at all.
        transport: an httpx transport, for tests.
        clock, sleep: how time passes, for tests.

    Raises:
        ConfigError: `url` is not an http(s) URL, or a number of seconds is NaN or infinite.
    """

    def handle(self, task_id: str) -> TaskHandle[Any]:
        """A handle for a task that was submitted elsewhere or earlier. Nothing is asked."""
        return TaskHandle(self, task_id)

    @overload
    def submit(
        self,
        function: TaskFunction[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> TaskHandle[R]: ...
    @overload
    def submit(
        self, function: TaskFunction[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> TaskHandle[R]: ...
    @overload
    def submit(self, function: str, /, *args: Any, **kwargs: Any) -> TaskHandle[Any]: ...
    def submit(self, function: Any, /, *args: Any, **kwargs: Any) -> TaskHandle[Any]:
        """Submit a task; it is on disk when this returns.

        Args:
            function: a ``@task`` function, or the name of a task.
            args, kwargs: its arguments, which must have a JSON form. Submit options (queue,
                priority, delay_seconds, run_at, timeout_seconds, max_retries, expires_at,
                idempotency_key, tags) may be among kwargs; type checkers follow
                ``function.options(priority=8)``. Times are aware datetimes or RFC 3339.

        Raises:
            NotJsonError: names the argument.
            ValueError: an option is NaN, infinite, or not a time with a time zone.
            InvalidRequest: unknown task, or arguments that do not fit it.
        """
        request = submit_request(function, *args, **kwargs)
        return TaskHandle(self, self._run(self._api.submit(request)).task_id, request.name)

    @overload
    def run(
        self,
        function: TaskFunction[P, Coroutine[Any, Any, R]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R: ...
    @overload
    def run(self, function: TaskFunction[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def run(self, function: str, /, *args: Any, **kwargs: Any) -> Any: ...
    def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a task, wait for its end, and return what it returned: one request, not two.

        Arguments as of `submit`. The task is on disk before it runs, and goes on if the caller goes
        away. The submit carries an idempotency key, its own or one made here, so it may be sent
        again. To wait no longer than some time, use ``submit`` and ``handle.result(timeout=...)``.

        Raises:
            TaskFailed, TaskCancelled, TaskExpired: it is over without a result; the worker's
                traceback is a note on the error.
            ValueError, NotJsonError, InvalidRequest: as `submit`.
        """
        request = submit_request(function, *args, **kwargs)
        return (self._run(self._waiting.run(request))).value()

    @overload
    def submit_many(self, tasks: Requests, /) -> list[TaskHandle[Any]]: ...
    @overload
    def submit_many(
        self, tasks: TaskFunction[..., Coroutine[Any, Any, R]], args: ArgumentTuples, /
    ) -> list[TaskHandle[R]]: ...
    @overload
    def submit_many(
        self, tasks: TaskFunction[..., R], args: ArgumentTuples, /
    ) -> list[TaskHandle[R]]: ...
    @overload
    def submit_many(self, tasks: str, args: ArgumentTuples, /) -> list[TaskHandle[Any]]: ...
    def submit_many(
        self, tasks: Any, args: ArgumentTuples | None = None, /
    ) -> list[TaskHandle[Any]]:
        """Submit many tasks in batches of up to 1,000, each of which is accepted whole or not.

        Give a function and one tuple of positional arguments for each task, or `submit_request`s.
        All arguments are turned into JSON before anything is sent. If a later batch fails, a note
        on the error says which tasks were accepted before.
        """
        requests = checked_requests(tasks) if args is None else requests_of(tasks, args)
        task_ids = self._run(self._waiting.submit_all(requests))
        return [TaskHandle(self, i, r.name) for i, r in zip(task_ids, requests, strict=True)]

    @overload
    def map(
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
    def map(
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
    def map(
        self,
        function: TaskFunction[..., Any] | str,
        iterable: Iterable[Any],
        /,
        *more_iterables: Iterable[Any],
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]: ...
    def map(
        self,
        function: Any,
        iterable: Iterable[Any],
        /,
        *more_iterables: Iterable[Any],
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]:
        """Run a task for every item, and return the results in the order of the items.

        Whatever ends it early (a failed task, the time-out, Ctrl-C) cancels nothing: the other
        tasks go on in the queue, and a note on the exception says how many.

        Args:
            more_iterables: further arguments; all iterables must be of the same length.
            progress: show a progress bar; None: on a terminal and in a notebook.
            return_exceptions: put the error of a task that did not succeed in its place, instead
                of raising the first one as soon as it is known.
            timeout: seconds for all of them, from the end of submitting; None: for ever.
        """
        handles = self.submit_many(function, zip(iterable, *more_iterables, strict=True))
        return self.gather(
            handles, progress=progress, return_exceptions=return_exceptions, timeout=timeout
        )

    # --- waiting

    def as_completed(
        self, handles: Iterable[TaskHandle[R]], timeout: float | None = None
    ) -> Iterator[TaskHandle[R]]:
        """The handles, each as soon as its task is over; `result` then returns at once.

        Raises:
            TimeoutError: not all are over `timeout` seconds after the first is asked for.
        """
        waiting = self._waiting.wait_list(handles, timeout)
        yield from waiting.known()
        while waiting.pending:
            yield from waiting.settle(self._run(self._waiting.some(waiting.pending)))

    @overload
    def gather(
        self,
        handles: Iterable[TaskHandle[R]],
        *,
        progress: bool | None = None,
        return_exceptions: Literal[False] = False,
        timeout: float | None = None,
    ) -> list[R]: ...
    @overload
    def gather(
        self,
        handles: Iterable[TaskHandle[Any]],
        *,
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]: ...
    def gather(
        self,
        handles: Iterable[TaskHandle[Any]],
        *,
        progress: bool | None = None,
        return_exceptions: bool = False,
        timeout: float | None = None,
    ) -> list[Any]:
        """The results in the order of the handles; arguments as those of `map`."""
        results = Results(handles, return_exceptions)
        with results.bar(progress) as bar, results.told_on_error():
            for handle in self.as_completed(results.handles, timeout):
                bar.advance(failed=results.take(handle))
        return results.in_order()

    def wait(self, task_id: str, timeout: float | None = None) -> Outcome:
        """How a task ended, without raising for one that did not succeed; else as `result`."""
        return self._run(self._waiting.one(task_id, timeout))

    def result(self, task_id: str, timeout: float | None = None) -> Any:
        """What a task returned; as `TaskHandle.result`."""
        return self.wait(task_id, timeout).value()
