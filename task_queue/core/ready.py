"""The tasks that may be claimed now: one first-in-first-out line per queue and priority.

Taking from a line costs the same at ten and at a million tasks. A task that leaves a line from the
middle (cancelled, expired) is not searched for: it is skipped when its turn comes, or swept out
when most of the line is such. The counts, not the lengths of the lines, say how many wait.

The end of a long line is paged out: those tasks are counted here and kept in the store, and come in
again page by page as the line gets shorter. What joins such a line and is not paged out itself, a
retry for one, is put behind: it comes in with the page in which its place is.

What was claimed once is never paged out, so it must not pile up. A queue that has more of it than
it may is crowded: it gives out nothing but what comes before its lines. The task book says when.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush, heapreplace
from itertools import chain

from task_queue.core.paged_out import PagedOut
from task_queue.core.status import PRIORITY_MAX, Status
from task_queue.core.task import Task

#: A line is swept when so many in it do not wait any more, beside as many as do.
_MOST_LEFT_OVER = 1_000

#: (seq, attempt, task); the attempt keeps two entries of one task from being compared as tasks.
_Returned = tuple[int, int, Task]
#: (-priority and seq of the next task, place among the lines, line)
_Ranked = tuple[int, int, int, "ReadyLine"]

_QUEUED = Status.QUEUED  # read once: an enum's members are found slowly


class ReadyLine:
    """The lines of one queue, one for each priority."""

    def __init__(self) -> None:
        self._lines: tuple[deque[Task], ...] = tuple(deque() for _ in range(PRIORITY_MAX + 1))
        #: Claimed once and given back: they go before their line, oldest first.
        self._returned: tuple[list[_Returned], ...] = tuple([] for _ in self._lines)
        #: Bit p is set if line p may hold a task; only lines with their bit set are looked at.
        self._mask = 0
        #: Tasks with status QUEUED, by priority, those paged out included. The lengths of the lines
        #: may be larger.
        self.waiting = [0] * (PRIORITY_MAX + 1)
        #: Tasks of this queue that wait for a retry, at a time that has not come.
        self.retrying = 0
        #: Whether only what was claimed once may be taken; see `TaskBook.look_for_crowds`.
        self.crowded = False
        #: Seqs of tasks that were claimed once and have a place in a line like any other.
        self._claimed_once: set[int] = set()
        #: By priority, of the lines of which some is paged out.
        self._paged_out: dict[int, PagedOut] = {}
        #: (seq, task), by priority: tasks whose place is before those paged out from this seq on.
        self._behind: dict[int, deque[tuple[int, Task]]] = {}

    def __len__(self) -> int:
        return sum(self.waiting)

    def append(self, task: Task, before_seq: int) -> None:
        """Put a task that became QUEUED in its line.

        Args:
            before_seq: it comes before all that is accepted from this one on, and after all else.
        """
        priority = task.spec.priority
        if task.attempt or (before_seq > task.seq and task.spec.run_at is None):
            self._claimed_once.add(task.seq)  # or cancelled before it was, and runs again
        paged_out = self._paged_out.get(priority) if self._paged_out else None
        if paged_out is not None and before_seq > paged_out.first_seq:
            self._behind[priority].append((before_seq, task))
        else:
            self._lines[priority].append(task)
        self._mask |= 1 << priority
        self.waiting[priority] += 1

    def extend(self, priority: int, tasks: Sequence[Task]) -> None:
        """Put tasks of one priority that were just accepted in their line, in their order."""
        if priority in self._paged_out:
            self._behind[priority].extend([(task.seq, task) for task in tasks])
        else:
            self._lines[priority].extend(tasks)
        self._mask |= 1 << priority
        self.waiting[priority] += len(tasks)

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
        self._claimed_once.discard(task.seq)
        self.waiting[priority] -= 1
        line, returned = self._lines[priority], self._returned[priority]
        behind = self._behind.get(priority, ())
        if not self.waiting[priority]:
            line.clear()
            returned.clear()
        elif len(line) + len(returned) + len(behind) > 2 * self._here(priority) + _MOST_LEFT_OVER:
            self._sweep(priority)

    def _here(self, priority: int) -> int:
        """How many QUEUED tasks of a line are in memory."""
        paged_out = self._paged_out.get(priority)
        return self.waiting[priority] - (paged_out.count if paged_out is not None else 0)

    def _sweep(self, priority: int) -> None:
        line, returned = self._lines[priority], self._returned[priority]
        waiting = [task for task in line if task.status is Status.QUEUED]
        line.clear()
        line.extend(waiting)
        returned[:] = sorted(entry for entry in returned if entry[2].status is Status.QUEUED)
        if priority in self._behind:
            behind = self._behind[priority]
            self._behind[priority] = deque(e for e in behind if e[1].status is Status.QUEUED)

    # ---- crowding --------------------------------------------------------------------------

    def has_room_for_returned(self, most: int) -> bool:
        """Whether a task that was claimed once may have a place in a line."""
        return len(self._claimed_once) < most

    @property
    def kept(self) -> int:
        """Tasks that are never paged out, in the lines, before them or waiting for a retry."""
        return len(self._claimed_once) + self.retrying + sum(map(len, self._returned))

    def is_crowded(self, most: int) -> bool:
        """Whether so many tasks wait for a retry or come before the lines."""
        return self.retrying + sum(map(len, self._returned)) >= most

    # ---- paging ----------------------------------------------------------------------------

    @property
    def paged_out(self) -> list[PagedOut]:
        """What is only in the store."""
        return list(self._paged_out.values())

    def room(self, priority: int, most: int) -> int:
        """How many tasks may be appended in memory: none if some are paged out, and such that
        there are not more than `most`."""
        if priority in self._paged_out:
            return 0
        return max(0, most - len(self._lines[priority]))

    def page_out(self, tasks: Sequence[Task]) -> None:
        """Count tasks of one priority that were just accepted, and forget the rest of them."""
        first, count = tasks[0], len(tasks)
        queue, priority = first.spec.queue, first.spec.priority
        paged_out = self._paged_out.get(priority)
        if paged_out is None:
            self.restore(PagedOut(queue, priority, count, first.seq, first.submitted_at))
        else:
            paged_out.count += count
            self.waiting[priority] += count

    def restore(self, paged_out: PagedOut) -> None:
        """Count tasks that are only in the store."""
        priority = paged_out.priority
        self._paged_out[priority] = paged_out
        self._behind[priority] = deque()
        self._mask |= 1 << priority
        self.waiting[priority] += paged_out.count

    def pages_wanted(self, most: int) -> list[int]:
        """Priorities of which some is paged out and at most `most` tasks are left in memory."""
        # A line may be full of tasks that left it: they are skipped when somebody takes, if ever.
        return [p for p in self._paged_out if min(len(self._lines[p]), self._here(p)) <= most]

    def page_in(self, priority: int, tasks: Sequence[Task]) -> None:
        """Put the oldest of those paged out in their line."""
        paged_out, line = self._paged_out[priority], self._lines[priority]
        behind = self._behind[priority]
        if not behind:
            line.extend(tasks)
        else:
            for task in tasks:
                while behind and behind[0][0] <= task.seq:
                    line.append(behind.popleft()[1])
                line.append(task)
        paged_out.first_seq = tasks[-1].seq + 1
        paged_out.since = tasks[-1].submitted_at
        self._count_in(paged_out, len(tasks))

    def take_from_store(self, task: Task) -> None:
        """Count one of those paged out, wherever its place is, as in memory: to be forgotten next.

        Raises:
            KeyError: none is paged out.
        """
        self._count_in(self._paged_out[task.spec.priority], 1)

    def _count_in(self, paged_out: PagedOut, count: int) -> None:
        if count > paged_out.count:
            raise ValueError(f"{count} tasks were paged in, {paged_out.count} are paged out")
        paged_out.count -= count
        if not paged_out.count:
            priority = paged_out.priority
            del self._paged_out[priority]
            self._lines[priority].extend(task for _, task in self._behind.pop(priority))

    # ---- taking ----------------------------------------------------------------------------

    @property
    def is_starved(self) -> bool:
        """Whether `head`, that gave None just now, would give a task if a page came in."""
        return self._mask != 0 and not self.crowded

    def head(self) -> Task | None:
        """The next task to be taken, without taking it. None if there is none in memory."""
        if self.crowded:
            firsts = map(self._first_returned, range(PRIORITY_MAX, -1, -1))
            return next((task for task in firsts if task is not None), None)
        while self._mask:
            priority = self._mask.bit_length() - 1
            first = self._first_returned(priority)
            if first is not None:
                return first
            line = self._lines[priority]
            while line:
                if line[0].status is Status.QUEUED:
                    return line[0]
                line.popleft()
            if priority in self._paged_out:
                return None  # nothing of a lower priority may go first
            self._mask &= ~(1 << priority)
        return None

    def _first_returned(self, priority: int) -> Task | None:
        returned = self._returned[priority]
        while returned and returned[0][2].status is not Status.QUEUED:
            heappop(returned)
        return returned[0][2] if returned else None

    def take(self, most: int) -> list[Task]:
        """Take the next tasks, oldest first: at most so many, and all of the highest priority.

        There may be fewer though more of that priority wait. None at all: there are none.
        """
        head = self.head()
        if head is None:
            return []
        priority = head.spec.priority
        if self._returned[priority]:
            heappop(self._returned[priority])
            taken = [head]
        else:
            line = self._lines[priority]
            first = [line.popleft() for _ in range(min(most, len(line)))]
            taken = [task for task in first if task.status is _QUEUED]
            if self._claimed_once:
                self._claimed_once.difference_update([task.seq for task in taken])
        self.waiting[priority] -= len(taken)
        return taken

    def oldest_submitted_at(self) -> float | None:
        """When the task that has waited longest was submitted."""
        heads = (
            next((t for t in tasks if t.status is Status.QUEUED), None)
            for priority, line in enumerate(self._lines)
            for tasks in (line, (entry[2] for entry in self._returned[priority]))
        )
        times = [task.submitted_at for task in heads if task is not None]
        times += [paged_out.since for paged_out in self._paged_out.values()]
        return min(times, default=None)

    def __iter__(self) -> Iterator[Task]:
        """Every QUEUED task in memory, in the order in which they would be taken."""
        for priority in range(PRIORITY_MAX, -1, -1):
            returned = (entry[2] for entry in sorted(self._returned[priority]))
            behind = (task for _, task in self._behind.get(priority, ()))
            tasks = chain(returned, self._lines[priority], behind)
            yield from (task for task in tasks if task.status is Status.QUEUED)


def take_in_order(lines: Iterable[ReadyLine], most: int) -> list[Task]:
    """Take tasks over several queues: by priority, then by order of acceptance.

    It ends early if the next one is paged out.
    """
    taken: list[Task] = []
    heap: list[_Ranked] = []
    for place, line in enumerate(lines):
        head = line.head()
        if head is not None:
            heap.append((-head.spec.priority, head.seq, place, line))
        elif line.is_starved:
            return taken
    heapify(heap)
    while heap and len(taken) < most:
        rank, _, place, line = heap[0]
        # Where another line has the same priority, its turn may come after each task.
        shared = any(other[0] == rank for other in heap[1:3])
        taken += line.take(1 if shared else most - len(taken))
        head = line.head()
        if head is not None:
            heapreplace(heap, (-head.spec.priority, head.seq, place, line))
        elif line.is_starved:
            break
        else:
            heappop(heap)
    return taken
