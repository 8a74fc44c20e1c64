"""Those who wait for a task to be over."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from task_queue.core.effects import Effects
from task_queue.core.task import Task
from task_queue.scheduler_api import Ended

#: Who waits for many tasks is told a little later, so that one answer tells of many. Seconds.
_COMPANY_SECONDS = 0.005

#: None: nobody knows any more.
End = asyncio.Future[Ended | None]


class OverWaiters:
    """Futures by task id. A waiter is woken by the first of its tasks, once."""

    def __init__(self) -> None:
        self._by_task: dict[str, list[End]] = {}

    async def wait(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        """Until one of the tasks is over or the time is up. The tasks must be live now."""
        with self.waiting(task_ids) as end:
            known = await told(end, timeout_seconds)
        if known is not None and len(task_ids) > 1:
            await asyncio.sleep(_COMPANY_SECONDS)

    @contextmanager
    def waiting(self, task_ids: Sequence[str]) -> Iterator[End]:
        """The end of the first of these tasks that ends from now on, live or not."""
        future: End = asyncio.get_running_loop().create_future()
        for task_id in task_ids:
            self._by_task.setdefault(task_id, []).append(future)
        try:
            yield future
        finally:
            self._forget(task_ids, future)

    def wake(self, fx: Effects) -> None:
        """Some tasks are over."""
        if not self._by_task:
            return
        results: dict[int, bytes | None] | None = None
        for task in fx.over:
            waiting = self._by_task.pop(task.spec.id, None)
            if waiting is not None:
                if results is None:  # looked up once, for all that are waited for
                    results = {ended.seq: report.result for ended, report in fx.changes.ended}
                _tell(waiting, _ended(task, results.get(task.seq)))

    def wake_all(self) -> None:
        """Nobody knows any more: everybody shall look again."""
        for waiting in self._by_task.values():
            _tell(waiting, None)
        self._by_task.clear()

    def _forget(self, task_ids: Sequence[str], future: End) -> None:
        for task_id in task_ids:
            waiting = self._by_task.get(task_id)
            if waiting is not None and future in waiting:  # it may be a later list, without it
                waiting.remove(future)
                if not waiting:
                    del self._by_task[task_id]


async def told(end: End, timeout_seconds: float) -> Ended | None:
    """How the task ended; None if the time is up or nobody knows any more."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await end
    except TimeoutError:
        return None


def _tell(waiting: Sequence[End], end: Ended | None) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(end)


def _ended(task: Task, result: bytes | None) -> Ended:
    assert task.finished_at is not None  # it is over
    return Ended(task.status, task.finished_at, task.error, result)
