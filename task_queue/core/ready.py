"""The tasks that may be claimed now: one first-in-first-out line per queue and priority.

Taking from a line costs the same at ten and at a million tasks. A task that leaves a line from the
middle (cancelled, expired) is not searched for: it is skipped when its turn comes, or swept out
when most of the line is such. The counts, not the lengths of the lines, say how many wait.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from task_queue.core.status import PRIORITY_MAX, Status
from task_queue.core.task import Task

#: A line is swept when so many in it do not wait any more, beside as many as do.
_MOST_LEFT_OVER = 1_000


class ReadyLine:
    """The lines of one queue, one for each priority."""

    def __init__(self) -> None:
        self._lines: tuple[deque[Task], ...] = tuple(deque() for _ in range(PRIORITY_MAX + 1))
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
        line = self._lines[priority]
        place = 0
        while place < len(line) and line[place].attempt > 0 and line[place].seq < task.seq:
            place += 1
        line.insert(place, task)
        self._mask |= 1 << priority
        self.waiting[priority] += 1

    def forget(self, task: Task) -> None:
        """Count out a task that stops being QUEUED without being taken."""
        priority = task.spec.priority
        self.waiting[priority] -= 1
        line = self._lines[priority]
        if not self.waiting[priority]:
            line.clear()
        elif len(line) > 2 * self.waiting[priority] + _MOST_LEFT_OVER:
            waiting = [other for other in line if other.status is Status.QUEUED]
            line.clear()
            line.extend(waiting)

    def head(self) -> Task | None:
        """The next task to be taken, without taking it."""
        while self._mask:
            priority = self._mask.bit_length() - 1
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
            self._lines[priority].popleft()
            self.waiting[priority] -= 1
        return task

    def oldest_submitted_at(self) -> float | None:
        """When the task that has waited longest was submitted."""
        heads = (next((t for t in line if t.status is Status.QUEUED), None) for line in self._lines)
        return min((task.submitted_at for task in heads if task is not None), default=None)

    def __iter__(self) -> Iterator[Task]:
        """Every QUEUED task, in the order in which they would be taken."""
        for line in reversed(self._lines):
            yield from (task for task in line if task.status is Status.QUEUED)


def take_next(lines: Iterable[ReadyLine]) -> Task | None:
    """Take the first task over several queues: by priority, then by order of acceptance."""
    best: ReadyLine | None = None
    best_rank = (0, 0)
    for line in lines:
        head = line.head()
        if head is not None:
            rank = (-head.spec.priority, head.seq)
            if best is None or rank < best_rank:
                best, best_rank = line, rank
    return best.take_head() if best is not None else None
