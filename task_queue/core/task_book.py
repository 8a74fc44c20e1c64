"""The living tasks: which there are, where each waits, how they come in and how they end.

A move changes the status by the transition table, takes the task to the place that the new status
demands (a ready line, a timer, a worker), and is noted for the store. The moves of tasks that a
worker holds are in attempts.py. Who may ask for a move, and when, is the machine's business.

Most tasks come in, are leased and end in crowds, so these moves are made for many tasks at a time.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from task_queue.core.effects import Effects, TallyKind
from task_queue.core.new_tasks import by_line, by_motion, new_tasks
from task_queue.core.paged_out import PagedOut
from task_queue.core.ready import ReadyLine
from task_queue.core.settings import Rules
from task_queue.core.status import Happening, Status
from task_queue.core.task import Report, Task, TaskSpec
from task_queue.core.timers import WAITS_FOR_TIME, Timers
from task_queue.core.transitions import next_status

#: So many queues are remembered though nothing waits in them, beside as many as hold a task.
_MOST_LINES = 1_000
#: So many pages of a line that is paged out are in memory before another one comes in.
_PAGES_AHEAD = 7
#: What a task takes of memory beside its arguments; see benchmarks/bench_memory.py.
_TASK_BYTES = 900


class TaskBook:
    """All tasks that are not over; those that are paged out are counted, and no more is known."""

    def __init__(self, next_seq: int, rules: Rules) -> None:
        self._rules = rules
        #: What the next task that is accepted gets.
        self.next_seq = next_seq
        #: All and only tasks in memory whose status is not terminal, by id.
        self.live: dict[str, Task] = {}
        #: What `live` takes, about.
        self._bytes = 0
        #: Tasks in `live` that were asked for with a time.
        self.timed = 0
        #: Idempotency key to id, of live tasks.
        self.keys: dict[str, str] = {}
        #: One for each queue that held a task here lately.
        self.lines: dict[str, ReadyLine] = {}
        #: Of these, all that are not empty, and some that are.
        self._filled: dict[str, ReadyLine] = {}
        #: Of these, all of which some is paged out.
        self._paged: dict[str, ReadyLine] = {}
        self.timers = Timers(lambda task: self.live.get(task.spec.id) is task)
        #: Tasks waiting for a time, by queue.
        self.delayed: dict[str, int] = {}
        #: Ids and idempotency keys of tasks that were accepted in this very turn and are over or
        #: paged out, to their ids: neither `live` nor what was asked of the store tells of them.
        self.gone_at_once: dict[str, str] = {}
        #: What was taken from the store in this very turn, seqs of single tasks and pages (queue,
        #: priority, first seq, last seq): what was asked of the store before is not true any more.
        self._taken: set[int] = set()
        self._pages: list[tuple[str, int, int, int]] = []
        #: Tasks from this seq on are not in the store yet: their rows are written as they are then.
        self.first_of_turn = next_seq
        self._most_lines = _MOST_LINES

    def line(self, queue: str) -> ReadyLine:
        """The ready line of a queue, made if need be."""
        line = self.lines.get(queue)
        if line is None:
            line = self.lines[queue] = ReadyLine()
        return line

    def filled_lines(self) -> dict[str, ReadyLine]:
        """The lines in which a task waits, by queue."""
        for queue in [queue for queue, line in self._filled.items() if not line]:
            del self._filled[queue]
        return self._filled

    def look_for_crowds(self) -> None:
        """Find the queues that may give out no first attempts now."""
        most = self._most_returned()
        for line in self._filled.values():
            line.crowded = line.is_crowded(most)

    def _most_returned(self) -> int:
        """How many tasks of a queue may be in memory though they were claimed once."""
        rules = self._rules
        return rules.max_retrying if self._bytes < rules.memory_bytes else rules.page

    def room_for_returned(self, queue: str) -> int:
        """How many tasks that are over may be live again in a queue, beside those it has."""
        line = self.lines.get(queue)
        return self._most_returned() - (line.kept if line is not None else 0)

    def begin_turn(self) -> None:
        """A new call of `handle` begins: all that was accepted before is in the store."""
        self.gone_at_once.clear()
        self._taken.clear()
        self._pages.clear()
        self.first_of_turn = self.next_seq

    # ---- coming in -------------------------------------------------------------------------

    def accept(
        self, specs: Sequence[TaskSpec], now: float, fx: Effects, *, stay: bool = False
    ) -> None:
        """Take in new tasks, none of which may be there already.

        Args:
            stay: they are kept in memory, however long their line is.
        """
        tasks = new_tasks(specs, self.next_seq, now)
        self.next_seq += len(tasks)
        fx.changes.inserted += tasks
        fx.changes.tally(tasks, "submitted")
        for line in by_line(tasks):
            for moves_by_time, run in by_motion(line):
                if moves_by_time:  # memory keeps it, however long its line is
                    for task in run:
                        self.place(task, task.seq)
                else:
                    self._append_new(run, stay, fx)

    def _append_new(self, tasks: Sequence[Task], stay: bool, fx: Effects) -> None:
        """Put new tasks of one line in it: those for which memory has no room are paged out.

        Beyond the budget a line that is empty still gets its first task: it need not wait.
        """
        queue, priority = tasks[0].spec.queue, tasks[0].spec.priority
        line, rules = self.line(queue), self._rules
        left = rules.memory_bytes - self._bytes
        kept = len(tasks) if stay else line.room(priority, rules.window if left > 0 else 1)
        sizes = [len(task.spec.arguments) + _TASK_BYTES for task in tasks[:kept]]
        if not stay and 0 < left < sum(sizes):  # the last that is kept is the one that uses it up
            kept = min(kept, 1 + bisect_left(list(accumulate(sizes)), left))
        self._filled[queue] = line
        if kept:
            self._keep(tasks[:kept], sum(sizes[:kept]))
            line.extend(priority, tasks[:kept])
        if len(tasks) > kept:
            self._page_out(line, queue, tasks[kept:], fx)

    def place(self, task: Task, before_seq: int) -> None:
        """Put a live task, new or from the store, where its status says.

        Args:
            before_seq: in its line it comes before all that is accepted from this seq on.
        """
        self._keep([task], len(task.spec.arguments) + _TASK_BYTES)
        if task.status is Status.QUEUED:
            self.line_up(task, before_seq)
        elif task.status in WAITS_FOR_TIME:
            self.wait(task)
        self.timers.expire(task)

    def _keep(self, tasks: Sequence[Task], size: int) -> None:
        live = self.live
        self._bytes += size
        for task in tasks:
            spec = task.spec
            live[spec.id] = task
            if spec.run_at is not None or spec.expires_at is not None:
                self.timed += 1
            if spec.idempotency_key is not None:
                self.keys[spec.idempotency_key] = spec.id

    def replay(self, task: Task, now: float, fx: Effects) -> None:
        """Take in again a task that was over, with a clean slate."""
        task.status = next_status(task.spec.id, task.status, Happening.REPLAY)
        task.failures = task.deaths = 0
        task.in_dlq = task.cancel_requested = False
        task.error = task.progress = task.finished_at = None
        if task.expires_at is not None and task.expires_at <= now:
            task.expires_at = None  # a person wants it now, and it could never start
        self.place(task, self.next_seq)
        self.touch(task, fx)
        fx.replayed += 1
        fx.changes.note(task, "replayed", now)

    # ---- paging ----------------------------------------------------------------------------

    def restore(self, paged_out: PagedOut) -> None:
        """Take over what is only in the store. It comes before all calls of `place`."""
        queue = paged_out.queue
        line = self.line(queue)
        line.restore(paged_out)
        self._filled[queue] = self._paged[queue] = line

    def pages_wanted(self) -> Iterator[tuple[str, int]]:
        """(queue, priority) of the lines that would have the next page of what is paged out."""
        if not self._paged:
            return
        rules = self._rules
        # Not sooner: what is here long before it is claimed leaves the processor's caches.
        most = min(rules.window - rules.page, _PAGES_AHEAD * rules.page)
        if self._bytes >= rules.memory_bytes:
            most = 0
        for queue, line in list(self._paged.items()):
            if not line.paged_out:
                del self._paged[queue]
            for priority in line.pages_wanted(most):
                yield queue, priority

    def may_be_paged_out(self, task_id: str) -> bool:
        """Whether a task may be live though memory does not know it: the store does."""
        return bool(self._paged) and task_id not in self.live

    def page_in(self, queue: str, priority: int, tasks: Sequence[Task], fx: Effects) -> None:
        """Take in the oldest tasks of a line that are paged out."""
        self._keep(tasks, sum(len(task.spec.arguments) + _TASK_BYTES for task in tasks))
        self.lines[queue].page_in(priority, tasks)
        self._paged[queue] = self._paged.pop(queue)  # the last to get another page
        page = (queue, priority, tasks[0].seq, tasks[-1].seq)
        self._pages.append(page)
        fx.changes.paged_in.append(page)

    def take_from_store(self, task: Task, fx: Effects) -> bool:
        """Take in a task that is paged out, to be ended at once.

        Returns whether it is still so: not if it was taken in this very turn, after it was read.
        """
        queue, seq, line = task.spec.queue, task.seq, (task.spec.queue, task.spec.priority)
        if seq in self._taken or task.status is not Status.QUEUED:
            return False
        if any(page[:2] == line and page[2] <= seq <= page[3] for page in self._pages):
            return False
        self._taken.add(seq)
        self.lines[queue].take_from_store(task)
        self._keep([task], len(task.spec.arguments) + _TASK_BYTES)
        fx.changes.paged_in.append((queue, task.spec.priority, task.seq, task.seq))
        return True

    def _page_out(self, line: ReadyLine, queue: str, tasks: Sequence[Task], fx: Effects) -> None:
        line.page_out(tasks)
        self._note_gone([task.spec for task in tasks])
        self._filled[queue] = self._paged[queue] = line
        fx.changes.paged_out += tasks

    def _note_gone(self, specs: Iterable[TaskSpec]) -> None:
        for spec in specs:
            self.gone_at_once[spec.id] = spec.id
            if spec.idempotency_key is not None:
                self.gone_at_once[spec.idempotency_key] = spec.id

    # ---- waiting ---------------------------------------------------------------------------

    def line_up(self, task: Task, before_seq: int) -> None:
        """Put a task that became QUEUED in its line; `before_seq` as of `place`."""
        self._filled[task.spec.queue] = line = self.line(task.spec.queue)
        if task.attempt and not line.has_room_for_returned(self._most_returned()):
            line.append_first(task)
        else:
            line.append(task, before_seq)

    def line_up_first(self, task: Task) -> None:
        """Put a task that was claimed and given back before all others of its line."""
        self._filled[task.spec.queue] = line = self.line(task.spec.queue)
        line.append_first(task)

    def wait(self, task: Task) -> None:
        """Let a SCHEDULED or RETRYING task wait for its time."""
        queue = task.spec.queue
        self.delayed[queue] = self.delayed.get(queue, 0) + 1
        self.line(queue).retrying += task.status is Status.RETRYING
        self.timers.wait(task)

    def _leave(self, task: Task) -> None:
        """Count a task out of the place where it waits."""
        if task.status is Status.QUEUED:
            self.lines[task.spec.queue].forget(task)
        elif task.status in WAITS_FOR_TIME:
            self.delayed[task.spec.queue] -= 1
            self.lines[task.spec.queue].retrying -= task.status is Status.RETRYING

    def pass_time(self, now: float, fx: Effects) -> None:
        """Expire what may not start any more, queue what is due."""
        self._sweep()
        for task in self.timers.expired(now):
            self._leave(task)
            fx.changes.note(task, "expired", now)
            self.end([task], Happening.EXPIRE, "expired", now, fx)
        for task in self.timers.due(now):
            self._leave(task)
            task.status = next_status(task.spec.id, task.status, Happening.DUE)
            self.line_up(task, self.next_seq)
            self.touch(task, fx)

    def _sweep(self) -> None:
        self.timers.sweep(len(self.live))
        if len(self.lines) > self._most_lines:
            self.drop_empty_lines()

    def drop_empty_lines(self) -> None:
        """Forget the queues in which no task waits."""
        self.lines = {q: ln for q, ln in self.lines.items() if ln or self.delayed.get(q)}
        self.delayed = {queue: count for queue, count in self.delayed.items() if count}
        self._most_lines = 2 * len(self.lines) + _MOST_LINES

    # ---- ending ----------------------------------------------------------------------------

    def cancel(self, task: Task, now: float, fx: Effects, report: Report | None = None) -> None:
        """End a task that nobody wants any more; `report`: how the attempt ended that ran it."""
        if report is not None:
            fx.changes.ended.append((task, report))
        self._leave(task)
        fx.changes.note(task, "cancelled", now, report)
        self.end([task], Happening.CANCEL, "cancelled", now, fx)

    def end(
        self, tasks: Sequence[Task], happening: Happening, kind: TallyKind, now: float, fx: Effects
    ) -> None:
        """Let go of tasks that reach a terminal status. They have left the place of the old one."""
        live, touched, first = self.live, fx.changes.touched, self.first_of_turn
        size = 0
        status = tasks[0].status
        after = next_status(tasks[0].spec.id, status, happening)
        for task in tasks:
            spec, seq = task.spec, task.seq
            if task.status is not status:  # the table is asked once for a run of equals
                status = task.status
                after = next_status(spec.id, status, happening)
            task.status = after
            task.finished_at = now
            del live[spec.id]
            size += len(spec.arguments)
            if spec.run_at is not None or spec.expires_at is not None:
                self.timed -= 1
            if spec.idempotency_key is not None:
                del self.keys[spec.idempotency_key]
            if seq < first:
                touched[seq] = task
            else:
                self._note_gone((spec,))
        self._bytes -= size + len(tasks) * _TASK_BYTES
        _unlease(tasks, fx)
        fx.changes.tally(tasks, kind)
        fx.over += tasks

    def touch(self, task: Task, fx: Effects) -> None:
        """Note that a task is not as it was any more. If it is new, its row will tell anyway."""
        if task.seq < self.first_of_turn:
            fx.changes.touched[task.seq] = task
        _unlease((task,), fx)


def _unlease(tasks: Iterable[Task], fx: Effects) -> None:
    """More happened to these tasks in this turn than that they were leased."""
    leased = fx.changes.leased
    if leased:
        for task in tasks:
            leased.pop(task.seq, None)
