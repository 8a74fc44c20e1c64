"""Those who wait for a task to be over."""

import asyncio
from collections.abc import Iterable, Sequence

#: Who waits for many tasks is told a little later, so that one answer tells of many. Seconds.
_COMPANY_SECONDS = 0.005


class OverWaiters:
    """Futures by task id. A waiter is woken by the first of its tasks, once."""

    def __init__(self) -> None:
        self._by_task: dict[str, list[asyncio.Future[None]]] = {}

    async def wait(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        """Until one of the tasks is over or the time is up. The tasks must be live now."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for task_id in task_ids:
            self._by_task.setdefault(task_id, []).append(future)
        try:
            async with asyncio.timeout(timeout_seconds):
                await future
        except TimeoutError:
            return
        finally:
            self._forget(task_ids, future)
        if len(task_ids) > 1:
            await asyncio.sleep(_COMPANY_SECONDS)

    def wake(self, task_ids: Iterable[str]) -> None:
        """These tasks are over."""
        if not self._by_task:
            return
        for task_id in task_ids:
            for future in self._by_task.pop(task_id, ()):
                if not future.done():
                    future.set_result(None)

    def wake_all(self) -> None:
        """Nobody knows any more: everybody shall look again."""
        self.wake(list(self._by_task))

    def _forget(self, task_ids: Sequence[str], future: asyncio.Future[None]) -> None:
        for task_id in task_ids:
            waiting = self._by_task.get(task_id)
            if waiting is not None and future in waiting:  # it may be a later list, without it
                waiting.remove(future)
                if not waiting:
                    del self._by_task[task_id]
