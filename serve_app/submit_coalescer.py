"""Single submits that arrive while a call to the scheduler is under way share the next call.

A call costs the scheduler about as much for one task as for a hundred, so this is what makes many
callers that submit one task each as cheap as one that submits a batch. It must not make them share
their fate: if a shared call is refused, its tasks are sent again by queue, and those of a queue
that is refused one by one.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from serve_app.problems import refusal
from task_queue.core.effects import Accepted, Refused
from task_queue.core.task import TaskSpec
from task_queue.scheduler_api import SchedulerSilent

#: `SchedulerApi.submit`, of tasks that were not sent before.
Submit = Callable[[Sequence[TaskSpec]], Awaitable[Accepted | Refused]]

_MOST_TASKS = 500
_MOST_BYTES = 4_000_000


class Submitted(Struct, frozen=True):
    """What became of one submit."""

    task_id: str
    duplicate: bool  #: its idempotency key was known: the id is that of the older task


class _Waiting(Struct):
    spec: TaskSpec
    future: "asyncio.Future[Submitted]"


class SubmitCoalescer:
    """Sends single submits on, with one call under way at a time."""

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._waiting: deque[_Waiting] = deque()
        self._sender: asyncio.Task[None] | None = None

    @property
    def is_free(self) -> bool:
        """Whether the next submit need not wait for a call that is under way."""
        return self._sender is None or self._sender.done()

    async def submit(self, spec: TaskSpec) -> Submitted:
        """Accept one task. Durable when it returns.

        Raises:
            ApiProblem: 429, the queue is full.
            SchedulerUnavailable: the scheduler does not answer.
        """
        return await self.begin(spec)

    def begin(self, spec: TaskSpec) -> "asyncio.Future[Submitted]":
        """Likewise; what becomes of it is in the future."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Submitted] = loop.create_future()
        self._waiting.append(_Waiting(spec, future))
        if self.is_free:
            self._sender = loop.create_task(self._send_all())
        return future

    async def _send_all(self) -> None:
        while self._waiting:
            await self._send(self._take())

    def _take(self) -> list[_Waiting]:
        """The next that fit into one call, without those whose callers have gone away."""
        taken: list[_Waiting] = []
        size = 0
        while self._waiting and len(taken) < _MOST_TASKS and size < _MOST_BYTES:
            one = self._waiting.popleft()
            if not one.future.cancelled():
                taken.append(one)
                size += len(one.spec.arguments)
        return taken

    async def _send(self, some: list[_Waiting]) -> None:
        """Send tasks in one call if possible, and settle what became of each."""
        if not some:
            return
        try:
            answer = await self._submit([one.spec for one in some])
            if not isinstance(answer, Refused):
                _settle(some, answer)
                return
        except asyncio.CancelledError:  # a connection that was being made was given up
            _fail(some, SchedulerSilent("the API process is ending; try again"))
            raise
        except Exception as error:  # noqa: BLE001  it is the callers' to see, each of them
            _fail(some, error)
            return
        if len(some) == 1:
            _fail(some, refusal(answer))
        else:
            await asyncio.gather(*(self._send(part) for part in _parts(some)))


def _settle(some: list[_Waiting], answer: Accepted) -> None:
    duplicates = set(answer.duplicates)
    for position, (one, task_id) in enumerate(zip(some, answer.task_ids, strict=True)):
        # A call that was repeated on the way finds its own tasks: those are not older.
        older = position in duplicates and task_id != one.spec.id
        if not one.future.done():
            one.future.set_result(Submitted(task_id, older))


def _parts(some: list[_Waiting]) -> list[list[_Waiting]]:
    """Tasks of a refused call by queue, or one by one if they are of one queue."""
    by_queue: dict[str, list[_Waiting]] = {}
    for one in some:
        by_queue.setdefault(one.spec.queue, []).append(one)
    if len(by_queue) > 1:
        return list(by_queue.values())
    return [[one] for one in some]


def _fail(some: list[_Waiting], error: Exception) -> None:
    for one in some:
        if not one.future.done():
            one.future.set_exception(error)
