"""The store in memory, on a bad day; it tells what it really saved and deleted."""

import asyncio
from collections.abc import Callable
from copy import deepcopy

from task_queue.core.effects import Changes
from task_queue.core.status import TERMINAL
from task_queue.core.task import Task
from task_queue.store.memory import MemoryStore
from task_queue.store.protocol import Pruned, StoreError

#: The name of tasks that schedules submit.
FIRED_TASK = "tick"


class FaultyStore(MemoryStore):
    """Commits take their time, and fail before or after all was saved, as its dice say."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: Callable[[], bool] = lambda: False
        self.is_in_doubt: Callable[[], bool] = lambda: False
        #: Seconds of virtual time from the begin of a commit to its end; 0: it is done at once.
        self.takes: Callable[[], float] = lambda: 0.0
        #: Called with a task that a schedule submitted, when it is saved.
        self.on_fired: Callable[[Task], None] = lambda _task: None
        #: Called with a task that was deleted, its result, and the seconds since it was over.
        self.on_pruned: Callable[[Task, bytes, float], None] = lambda _task, _result, _age: None
        self._last: asyncio.Future[None] | None = None  #: the commit of this connection begun last
        self._over_since: dict[int, float] = {}  #: by seq, in virtual time

    def commit(self, changes: Changes) -> None:
        self._commit(changes, asyncio.get_running_loop().time())

    def _commit(self, changes: Changes, decided_at: float) -> None:
        if self.fails():
            raise StoreError("the disk is full")
        super().commit(changes)
        for task in (*changes.inserted, *changes.touched.values()):
            if task.status in TERMINAL:
                self._over_since.setdefault(task.seq, decided_at)
        for task in changes.inserted:
            if task.spec.name == FIRED_TASK:
                self.on_fired(task)
        if self.is_in_doubt():
            raise StoreError("the connection was cut while the commit was under way")

    def begin_commit(self, changes: Changes) -> asyncio.Future[None] | None:  # type: ignore[override]
        seconds = self.takes()
        if not seconds:
            self.commit(changes)
            return None
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        before, self._last = self._last, done
        as_it_is, decided_at = deepcopy(changes), loop.time()

        def land() -> None:
            self._land(as_it_is, decided_at, done)

        def begin(_: object = None) -> None:
            if before is not None and before.exception() is not None:
                _fail(done, StoreError("the one before it was not saved"))
            else:
                loop.call_later(seconds, land)

        if before is None or before.done():
            before = None  # whatever became of it
            begin()
        else:
            before.add_done_callback(begin)
        return done

    def _land(self, changes: Changes, decided_at: float, done: asyncio.Future[None]) -> None:
        """On the server a commit goes on, whatever became of the scheduler meanwhile."""
        try:
            self._commit(changes, decided_at)
        except StoreError as error:
            _fail(done, error)
        else:
            done.set_result(None)

    def prune(self, now: float, ended_before: float, surplus: int, limit: int) -> Pruned:
        before = {seq: self._task(seq) for seq in self._rows}
        results = {seq: result for seq, (_, result) in self._results.items()}
        pruned = super().prune(now, ended_before, surplus, limit)
        at = asyncio.get_running_loop().time()
        for seq in before.keys() - self._rows.keys():
            age = at - self._over_since.get(seq, at)
            self.on_pruned(before[seq], results.get(seq, b""), age)
        return pruned


def _fail(done: asyncio.Future[None], error: StoreError) -> None:
    done.set_exception(error)
    done.exception()  # nobody may be left to look
