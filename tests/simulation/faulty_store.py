"""The store in memory, on a bad day."""

from collections.abc import Callable

from task_queue.core.effects import Changes
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import StoreError


class FaultyStore(MemoryStore):
    """Commits fail, before or after all was saved, as often as its dice say."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Callable[[], bool] = lambda: False
        self.is_in_doubt: Callable[[], bool] = lambda: False

    def commit(self, changes: Changes) -> None:
        if self.fails():
            raise StoreError("the disk is full")
        super().commit(changes)
        if self.is_in_doubt():
            raise StoreError("the connection was cut while the commit was under way")
