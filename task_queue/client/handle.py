"""A submitted task in the caller's hands: ask where it is, wait for its value, cancel it.

A handle is an id and a client, and once the task is known to be over, how it ended, so that asking
again costs nothing. It never changes anything that it was not told to.
"""

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from msgspec import Struct

from task_queue.client.outcome import Outcome
from task_queue.wire import LogView, TaskView, TimelineView

if TYPE_CHECKING:  # the clients make handles, so they import this file
    from task_queue.client.async_client import AsyncClient
    from task_queue.client.client import Client

R = TypeVar("R")


# Callers hold tens of thousands of handles: as plain objects, all would be looked at whenever the
# garbage collector runs. None is part of a cycle, unless a client is made to hold its own handles.
class _Handle(Struct, gc=False, eq=False):
    """What both handles are: equal if they stand for the same task."""

    _client: Any
    task_id: str
    name: str = ""  #: of the task's function; empty if it is not known here
    _outcome: Outcome | None = None

    @property
    def outcome(self) -> Outcome | None:
        """How the task ended, if that is known here."""
        return self._outcome

    def settle(self, outcome: Outcome | None) -> None:
        """Remember how the task ended; None: it goes on."""
        self._outcome = outcome

    def __repr__(self) -> str:
        words = [type(self).__name__, self.name, self.task_id]
        if self._outcome is not None:
            words.append(self._outcome.status)
        return f"<{' '.join(word for word in words if word)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Handle) and other.task_id == self.task_id

    def __hash__(self) -> int:
        return hash(self.task_id)


class TaskHandle(_Handle, Generic[R]):
    """A task submitted with `Client`."""

    _client: "Client"

    def result(self, timeout: float | None = None) -> R:
        """What the task returned, waiting for it.

        Args:
            timeout: seconds; None waits for ever.

        Raises:
            TaskFailed, TaskCancelled, TaskExpired: it is over without a result; the worker's
                traceback is a note on the error.
            ResultGone: the result's time to live is over.
            TimeoutError: it is not over yet; names its status. The task goes on.
        """
        if self._outcome is None:
            self._outcome = self._client.wait(self.task_id, timeout)
        return cast(R, self._outcome.value())

    def task(self) -> TaskView:
        """Everything about the task, but not its result."""
        return self._client.task(self.task_id)

    def status(self) -> str:
        """Where the task is: "QUEUED", "RUNNING", "COMPLETED", ..."""
        return self._client.status(self.task_id)

    def events(self) -> list[TimelineView]:
        """What happened to the task so far, in order."""
        return self._client.events(self.task_id)

    def logs(self) -> list[LogView]:
        """What the task printed, by attempt."""
        return self._client.logs(self.task_id)

    def cancel(self) -> TaskView:
        """Ask for the task to be stopped; Conflict if it is over."""
        return self._client.cancel(self.task_id)

    def retry(self) -> TaskView:
        """Run a task again that is over without a result; Conflict if it is not."""
        view = self._client.retry(self.task_id)
        self.settle(None)
        return view


class AsyncTaskHandle(_Handle, Generic[R]):
    """A task submitted with `AsyncClient`: as `TaskHandle`, with coroutines."""

    _client: "AsyncClient"

    async def result(self, timeout: float | None = None) -> R:
        """As `TaskHandle.result`."""
        if self._outcome is None:
            self._outcome = await self._client.wait(self.task_id, timeout)
        return cast(R, self._outcome.value())

    async def task(self) -> TaskView:
        """As `TaskHandle.task`."""
        return await self._client.task(self.task_id)

    async def status(self) -> str:
        """As `TaskHandle.status`."""
        return await self._client.status(self.task_id)

    async def events(self) -> list[TimelineView]:
        """As `TaskHandle.events`."""
        return await self._client.events(self.task_id)

    async def logs(self) -> list[LogView]:
        """As `TaskHandle.logs`."""
        return await self._client.logs(self.task_id)

    async def cancel(self) -> TaskView:
        """As `TaskHandle.cancel`."""
        return await self._client.cancel(self.task_id)

    async def retry(self) -> TaskView:
        """As `TaskHandle.retry`."""
        view = await self._client.retry(self.task_id)
        self.settle(None)
        return view
