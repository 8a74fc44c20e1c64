"""The times at which a task moves by itself: when it is due, and when it expires.

Both are heaps. A task that is over, or that waits for another time now, is not searched for in
them: its entry is stale, and is passed over when its time comes, or swept out when most are such.
"""

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count

from task_queue.core.status import Status
from task_queue.core.task import Task

#: A heap is swept when so many of its entries are stale, beside one for each live task.
_MOST_STALE = 1_000
#: A task in one of these waits for its `due_at`.
WAITS_FOR_TIME = (Status.SCHEDULED, Status.RETRYING)
_STARTABLE = (*WAITS_FOR_TIME, Status.QUEUED)

#: (time, push, task); the push breaks ties, so that tasks are never compared.
_Entry = tuple[float, int, Task]


class Timers:
    """Says when; what happens then is the task book's business."""

    def __init__(self, is_live: Callable[[Task], bool]) -> None:
        self._is_live = is_live
        self._pushes = count()
        #: Every SCHEDULED or RETRYING task, and stale entries.
        self._due: list[_Entry] = []
        #: Every live task that may expire yet, and stale entries. A task that was RUNNING when its
        #: time passed has none; it gets one if it is to start again.
        self._expiry: list[_Entry] = []

    def next_time(self) -> float | None:
        """When the first entry comes, stale or not."""
        if not self._due and not self._expiry:
            return None
        return min(heap[0][0] for heap in (self._due, self._expiry) if heap)

    def wait(self, task: Task) -> None:
        """Note when a SCHEDULED or RETRYING task becomes QUEUED."""
        heappush(self._due, (task.due_at, next(self._pushes), task))

    def expire(self, task: Task) -> None:
        """Note when a task expires, if it ever does."""
        if task.expires_at is not None:
            heappush(self._expiry, (task.expires_at, next(self._pushes), task))

    def expire_if_past(self, task: Task, now: float) -> None:
        """Let a task that stopped RUNNING expire now if its time passed meanwhile."""
        if task.expires_at is not None and task.expires_at <= now:
            self.expire(task)

    def expired(self, now: float) -> Iterator[Task]:
        """Those that may not start any more, one by one; each must be ended before the next."""
        while self._expiry and self._expiry[0][0] <= now:
            entry = heappop(self._expiry)
            if self._may_expire(entry) and entry[2].status in _STARTABLE:
                yield entry[2]

    def due(self, now: float) -> Iterator[Task]:
        """Those that have waited long enough, one by one; each must be moved before the next."""
        while self._due and self._due[0][0] <= now:
            entry = heappop(self._due)
            if _waits_for(entry):
                yield entry[2]

    def sweep(self, live: int) -> None:
        """Drop what is stale once it is most of a heap: it holds tasks that are over in memory.

        Args:
            live: how many tasks there are.
        """
        most = 2 * live + _MOST_STALE
        if len(self._expiry) > most:
            self._expiry = [entry for entry in self._expiry if self._may_expire(entry)]
            heapify(self._expiry)
        if len(self._due) > most:
            self._due = [entry for entry in self._due if _waits_for(entry)]
            heapify(self._due)

    def _may_expire(self, entry: _Entry) -> bool:
        expires_at, _, task = entry
        return self._is_live(task) and task.expires_at == expires_at


def _waits_for(entry: _Entry) -> bool:
    """Whether an entry of the heap of due times is not stale."""
    due_at, _, task = entry
    return task.status in WAITS_FOR_TIME and task.due_at == due_at
