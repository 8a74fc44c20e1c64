"""A store that saves while the event loop goes on, and is done when a test says so."""

import asyncio
from copy import deepcopy

from task_queue.core.effects import Changes
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import StoreError
from tests.scheduler.hall import Hall


class LateStore:
    """What its schedulers save waits for `land` or `fail`, as soon as it `holds`."""

    def __init__(self, hall: Hall) -> None:
        self.holds = False
        self._data = hall.data
        self._waiting: list[tuple[MemoryStore, Changes, asyncio.Future[None]]] = []
        hall.open_store = self._open

    @property
    def under_way(self) -> int:
        """How many commits have begun and not ended."""
        return len(self._waiting)

    def land(self) -> None:
        """The oldest commit that is under way is done, or fails as any commit does."""
        store, changes, done = self._waiting.pop(0)
        try:
            store.commit(changes)
        except StoreError as error:
            done.set_exception(error)
        else:
            done.set_result(None)

    def fail(self) -> None:
        """It comes to nothing, and so do those behind it."""
        waiting, self._waiting = self._waiting, []
        for _, _, done in waiting:
            done.set_exception(StoreError("the server went away"))

    def _open(self) -> MemoryStore:
        store = self._data.connect()

        def begin(changes: Changes) -> asyncio.Future[None] | None:
            if not self.holds:
                store.commit(changes)
                return None
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((store, deepcopy(changes), done))
            return done

        store.begin_commit = begin  # type: ignore[method-assign,assignment]
        return store
