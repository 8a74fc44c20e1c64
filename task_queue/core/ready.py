"""The tasks that may be claimed now: one first-in-first-out line per queue and priority.

Taking from a line costs the same at ten and at a million tasks. A task that leaves a line from the
middle (cancelled, expired) is not searched for: it is skipped when its turn comes, or swept out
when most of the line is such. The counts, not the lengths of the lines, say how many wait.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain

from task_queue.core.status import PRIORITY_MAX, Status
from task_queue.core.task import Task

#: A line is swept when so many in it do not wait any more, beside as many as do.
_MOST_LEFT_OVER = 1_000

#: (seq, attempt, task); the attempt keeps two entries of one task from being compared as tasks.
_Returned = tuple[int, int, Task]


class ReadyLine:
    """The lines of one queue, one for each priority."""

    def __init__(self) -> None:
        self._lines: tuple[deque[Task], ...] = tuple(deque() for _ in range(PRIORITY_MAX + 1))
        #: Claimed once and given back: they go before their line, oldest first.
        self._returned: tuple[list[_Returned], ...] = tuple([] for _ in self._lines)
        #: Bit p is set if line p may hold a task; only lines with their bit set are looked at.
        self._mask = 0
        #: Tasks with status QUEUED, by priority. The lengths of the lines may be larger.
        self.waiting = [0] * (PRIORITY_MAX + 1)

    def __len__(self) -> int:
        return sum(self.waiting)

    def append(self, task: Task) -> None:
        """Put a task that became QUEUED at the end of its line."""
        priority = task.spec.priority
        self._lines[priority].append(task)
        self._mask |= 1 << priority
        self.waiting[priority] += 1

    def append_first(self, task: Task) -> None:
        """Put a task back at the head of its line: it was claimed once and given back.

        Several that are given back keep their order of acceptance, whatever the order of calls.
        """
        priority = task.spec.priority
        heappush(self._returned[priority], (task.seq, task.attempt, task))
        self._mask |= 1 << priority
        self.waiting[priority] += 1

    def forget(self, task: Task) -> None:
        """Count out a task that stops being QUEUED without being taken."""
        priority = task.spec.priority
        self.waiting[priority] -= 1
        line, returned = self._lines[priority], self._returned[priority]
        if not self.waiting[priority]:
            line.clear()
            returned.clear()
        elif len(line) + len(returned) > 2 * self.waiting[priority] + _MOST_LEFT_OVER:
            waiting = [other for other in line if other.status is Status.QUEUED]
            line.clear()
            line.extend(waiting)
            returned[:] = sorted(entry for entry in returned if entry[2].status is Status.QUEUED)

    def head(self) -> Task | None:
        """The next task to be taken, without taking it."""
        while self._mask:
            priority = self._mask.bit_length() - 1
            returned = self._returned[priority]
            while returned:
                if returned[0][2].status is Status.QUEUED:
                    return returned[0][2]
                heappop(returned)
            line = self._lines[priority]
            while line:
                if line[0].status is Status.QUEUED:
                    return line[0]
                line.popleft()
            self._mask &= ~(1 << priority)
        return None

    def take_head(self) -> Task | None:
        """Take the next task: highest priority first, then oldest first."""
        task = self.head()
        if task is not None:
            priority = task.spec.priority
            if self._returned[priority]:
                heappop(self._returned[priority])
            else:
                self._lines[priority].popleft()
            self.waiting[priority] -= 1
        return task

    def oldest_submitted_at(self) -> float | None:
        """When the task that has waited longest was submitted."""
        heads = (
            next((t for t in tasks if t.status is Status.QUEUED), None)
            for priority, line in enumerate(self._lines)
            for tasks in (line, (entry[2] for entry in self._returned[priority]))
        )
        return min((task.submitted_at for task in heads if task is not None), default=None)

    def __iter__(self) -> Iterator[Task]:
        """Every QUEUED task, in the order in which they would be taken."""
        for line, returned in zip(reversed(self._lines), reversed(self._returned), strict=True):
            tasks = chain((entry[2] for entry in sorted(returned)), line)
            yield from (task for task in tasks if task.status is Status.QUEUED)


def take_in_order(lines: Iterable[ReadyLine]) -> Iterator[Task]:
    """Take tasks over several queues, one by one: by priority, then by order of acceptance.

    Whoever is given a task must have moved it on before asking for the next.
    """
    ranked = [(_rank(head), line) for line in lines if (head := line.head()) is not None]
    if len(ranked) == 1:
        only = ranked[0][1]
        while (task := only.take_head()) is not None:
            yield task
    heap = [(*rank, place, line) for place, (rank, line) in enumerate(ranked)]
    heapify(heap)
    while heap:
        *_, place, line = heap[0]
        task = line.take_head()
        if task is None:
            heappop(heap)
            continue
        yield task
        head = line.head()
        if head is None:
            heappop(heap)
        else:
            heapreplace(heap, (*_rank(head), place, line))


def _rank(task: Task) -> tuple[int, int]:
    return -task.spec.priority, task.seq
