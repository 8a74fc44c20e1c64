"""The living tasks and every move they make.

Each method makes one move: the status changes by the transition table, the task goes to the place
that the new status demands (a ready line, a timer, a worker), and the change is noted for the
store. Who may ask for a move, and when, is the machine's business.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import count

from task_queue.core.effects import OTHER_QUEUES, Effects, TallyKind, TimelineEvent, TimelineKind
from task_queue.core.paged_out import PagedOut
from task_queue.core.ready import ReadyLine
from task_queue.core.retry import backoff_seconds
from task_queue.core.settings import Rules
from task_queue.core.status import Happening, Outcome, Status
from task_queue.core.task import Progress, Report, Task, TaskError, TaskSpec
from task_queue.core.transitions import next_status

_WAITS_FOR_TIME = (Status.SCHEDULED, Status.RETRYING)
#: A heap is swept when so many of its entries are stale, beside one for each live task.
_MOST_STALE = 1_000
#: So many queues are remembered though nothing waits in them, beside as many as hold a task.
_MOST_LINES = 1_000
_STARTABLE = (Status.SCHEDULED, Status.RETRYING, Status.QUEUED)
#: What a task takes of memory beside its arguments; see benchmarks/bench_memory.py.
_TASK_BYTES = 900


class TaskBook:
    """All tasks that are not over; those that are paged out are counted, and no more is known."""

    def __init__(self, random: Callable[[], float], next_seq: int, rules: Rules) -> None:
        self._random = random
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
        #: Breaks ties in the heaps, so that tasks are never compared.
        self._pushes = count()
        #: (due_at, push, task): every SCHEDULED or RETRYING task, and stale entries.
        self._due: list[tuple[float, int, Task]] = []
        #: (expires_at, push, task): every live task that may expire yet, and stale entries. A task
        #: that was RUNNING when its time passed has none; it gets one if it is to start again.
        self._expiry: list[tuple[float, int, Task]] = []
        #: Tasks waiting for a time, by queue.
        self.delayed: dict[str, int] = {}
        #: Ids and idempotency keys of tasks that were accepted in this very turn and are over or
        #: paged out, to their ids: neither `live` nor what was asked of the store tells of them.
        self.gone_at_once: dict[str, str] = {}
        #: Seqs of tasks that were taken from the store in this very turn: what was asked of the
        #: store before it is not true any more.
        self._taken: set[int] = set()
        #: Queues that are counted by name; all others together.
        self.tallied: set[str] = set()
        self._first_of_turn = next_seq
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

    def next_time(self) -> float | None:
        """When `pass_time` has something to do, at the earliest."""
        times = [heap[0][0] for heap in (self._due, self._expiry) if heap]
        return min(times) if times else None

    def begin_turn(self) -> None:
        """A new call of `handle` begins: all that was accepted before is in the store."""
        self.gone_at_once.clear()
        self._taken.clear()
        self._first_of_turn = self.next_seq

    # ---- coming in -------------------------------------------------------------------------

    def accept(self, spec: TaskSpec, now: float, fx: Effects, *, stays: bool = False) -> Task:
        """Take in a new task.

        Args:
            stays: it is kept in memory, however long its line is.
        """
        task = Task(spec, self.next_seq, now, expires_at=spec.expires_at)
        self.next_seq += 1
        if spec.run_at is not None and spec.run_at > now:
            task.status = Status.SCHEDULED
            task.due_at = spec.run_at
        if stays or task.due_at or spec.expires_at is not None or self._has_room(spec):
            self.place(task, task.seq)
        else:
            self._page_out(task, fx)
        fx.changes.inserted.append(task)
        self._tally(task, "submitted", fx)
        return task

    def place(self, task: Task, before_seq: int) -> None:
        """Put a live task, new or from the store, where its status says.

        Args:
            before_seq: in its line it comes before all that is accepted from this seq on.
        """
        self._keep(task)
        if task.status is Status.QUEUED:
            self._line_up(task, before_seq)
        elif task.status in _WAITS_FOR_TIME:
            self._wait(task)
        if task.expires_at is not None:
            heappush(self._expiry, (task.expires_at, next(self._pushes), task))

    def _keep(self, task: Task) -> None:
        spec = task.spec
        self.live[spec.id] = task
        self._bytes += _TASK_BYTES + len(spec.arguments)
        self.timed += is_timed(spec)
        if spec.idempotency_key is not None:
            self.keys[spec.idempotency_key] = spec.id

    # ---- paging ----------------------------------------------------------------------------

    def restore(self, paged_out: PagedOut) -> None:
        """Take over what is only in the store. It comes before all calls of `place`."""
        queue = paged_out.queue
        line = self.line(queue)
        line.restore(paged_out)
        self._filled[queue] = self._paged[queue] = line

    def pages_wanted(self) -> Iterator[tuple[str, int]]:
        """(queue, priority) of the lines that would have the next page of what is paged out."""
        rules = self._rules
        most = rules.window - rules.page if self._bytes < rules.memory_bytes else 0
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
        for task in tasks:
            self._keep(task)
            self._taken.add(task.seq)
        self.lines[queue].page_in(priority, tasks)
        self._paged[queue] = self._paged.pop(queue)  # the last to get another page
        fx.changes.paged_in.append((queue, priority, tasks[0].seq, tasks[-1].seq))

    def take_from_store(self, task: Task, fx: Effects) -> bool:
        """Take in a task that is paged out, to be ended at once.

        Returns whether it is still so: not if it was taken in this very turn, after it was read.
        """
        if task.seq in self._taken or task.status is not Status.QUEUED:
            return False
        self._taken.add(task.seq)
        queue = task.spec.queue
        self.lines[queue].take_from_store(task)
        self._keep(task)
        fx.changes.paged_in.append((queue, task.spec.priority, task.seq, task.seq))
        return True

    def _has_room(self, spec: TaskSpec) -> bool:
        # Beyond the budget a line that is empty still gets its first task: it need not wait.
        most = self._rules.window if self._bytes < self._rules.memory_bytes else 1
        line = self.lines.get(spec.queue)
        return line is None or line.has_room(spec.priority, most)

    def _page_out(self, task: Task, fx: Effects) -> None:
        spec = task.spec
        line = self.lines[spec.queue]
        line.page_out(task)
        self._filled[spec.queue] = self._paged[spec.queue] = line
        fx.changes.paged_out.append(task)
        self._note_gone(spec)

    def _note_gone(self, spec: TaskSpec) -> None:
        self.gone_at_once[spec.id] = spec.id
        if spec.idempotency_key is not None:
            self.gone_at_once[spec.idempotency_key] = spec.id

    def replay(self, task: Task, now: float, fx: Effects) -> None:
        """Take in again a task that was over, with a clean slate."""
        task.status = next_status(task.spec.id, task.status, Happening.REPLAY)
        task.failures = task.deaths = 0
        task.in_dlq = task.cancel_requested = False
        task.error = task.progress = task.finished_at = None
        if task.expires_at is not None and task.expires_at <= now:
            task.expires_at = None  # a person wants it now, and it could never start
        self.place(task, self.next_seq)
        self._touch(task, fx)
        fx.replayed += 1
        self.note(task, "replayed", now, fx)

    # ---- running ---------------------------------------------------------------------------

    def claim(self, task: Task, worker_id: str, now: float, fx: Effects) -> None:
        """Lease a task that was just taken from its line."""
        task.status = next_status(task.spec.id, task.status, Happening.CLAIM)
        task.attempt += 1
        task.worker_id = worker_id
        task.claimed_at = now
        task.started_at = task.progress = None
        changes = fx.changes
        if task.seq not in changes.touched:
            changes.touched[task.seq] = changes.leased[task.seq] = task

    def tell_progress(self, task: Task, progress: Progress, fx: Effects) -> None:
        """A running task says how far it is."""
        task.progress = progress
        self._touch(task, fx)

    def succeed(self, task: Task, report: Report, now: float, fx: Effects) -> None:
        fx.changes.ended.append((task, report))
        task.started_at = report.started_at or None
        task.error = None
        self._end(task, Happening.SUCCEED, "completed", now, fx)

    def fail(self, task: Task, report: Report, now: float, fx: Effects) -> None:
        """The task raised or ran into its timeout: retry it or give it up."""
        fx.changes.ended.append((task, report))
        task.started_at = report.started_at or None
        task.error = report.error
        task.failures += 1
        timed_out = report.outcome is Outcome.TIMED_OUT
        self.note(task, "attempt_timed_out" if timed_out else "attempt_failed", now, fx, report)
        if timed_out:
            self._tally(task, "timed_out", fx)
        spec = task.spec
        if report.retryable and task.failures <= spec.max_retries:
            wait = report.retry_after_seconds
            if wait is None:
                wait = backoff_seconds(
                    task.failures, spec.retry_base_seconds, spec.retry_cap_seconds, self._random
                )
            self._retry(task, wait, now, fx)
        else:
            task.in_dlq = True
            self._end(task, Happening.FAIL_FINAL, "failed", now, fx)

    def survive_death(
        self, task: Task, error: TaskError, max_deaths: int, now: float, fx: Effects,
        report: Report | None = None,
    ) -> None:  # fmt: skip
        """The worker or the executor ended under the task. The task need not be to blame."""
        if report is not None:
            fx.changes.ended.append((task, report))
        task.deaths += 1
        self._tally(task, "died", fx)
        self.note(task, "attempt_died", now, fx, report, error)
        if task.deaths >= max_deaths:
            task.error = TaskError(
                "Quarantined",
                f"{task.deaths} workers or executors ended while they ran this task; "
                f"the last: {error.type}: {error.message}",
            )
            task.in_dlq = True
            self.note(task, "quarantined", now, fx, None, task.error)
            self._end(task, Happening.FAIL_FINAL, "failed", now, fx)
            return
        task.error = error
        spec = task.spec
        wait = backoff_seconds(
            task.deaths, spec.retry_base_seconds, spec.retry_cap_seconds, self._random
        )
        self._retry(task, wait, now, fx)

    def release(self, task: Task, now: float, fx: Effects, report: Report | None = None) -> None:
        """Give back a task that did not run to an end through no fault of anybody: it is next."""
        if report is not None and report.started_at:
            fx.changes.ended.append((task, report))
            self.note(task, "attempt_released", now, fx, report)
        else:
            task.unstarted += 1
        self.take_back(task, now, fx)

    def take_back(self, task: Task, now: float, fx: Effects) -> None:
        """As `release`, of a worker that can tell nobody whether the task had begun: the number of
        the attempt is used up, so that no two that ran have the same."""
        task.status = next_status(task.spec.id, task.status, Happening.RELEASE)
        task.worker_id = task.claimed_at = task.started_at = None
        self._filled[task.spec.queue] = line = self.line(task.spec.queue)
        line.append_first(task)
        self._expire_if_past(task, now)
        self._touch(task, fx)

    # ---- ending otherwise ------------------------------------------------------------------

    def request_cancel(self, task: Task, now: float, fx: Effects) -> None:
        """Note that a running task is to be stopped; it is over when its worker says so."""
        task.cancel_requested = True
        self.note(task, "cancel_requested", now, fx)
        self._touch(task, fx)

    def cancel(self, task: Task, now: float, fx: Effects, report: Report | None = None) -> None:
        if report is not None:
            fx.changes.ended.append((task, report))
        self._leave(task)
        self.note(task, "cancelled", now, fx, report)
        self._end(task, Happening.CANCEL, "cancelled", now, fx)

    def pass_time(self, now: float, fx: Effects) -> None:
        """Expire what may not start any more, queue what is due."""
        self._sweep()
        while self._expiry and self._expiry[0][0] <= now:
            entry = heappop(self._expiry)
            task = entry[2]
            if self._may_expire(entry) and task.status in _STARTABLE:
                self._leave(task)
                self.note(task, "expired", now, fx)
                self._end(task, Happening.EXPIRE, "expired", now, fx)
        while self._due and self._due[0][0] <= now:
            entry = heappop(self._due)
            task = entry[2]
            if _waits_for(entry):
                self._leave(task)
                task.status = next_status(task.spec.id, task.status, Happening.DUE)
                self._line_up(task, self.next_seq)
                self._touch(task, fx)

    def note(
        self, task: Task, kind: TimelineKind, now: float, fx: Effects,
        report: Report | None = None, error: TaskError | None = None,
    ) -> None:  # fmt: skip
        """Keep what the task's row will soon not tell any more."""
        error = error or (report.error if report else None)
        fx.changes.timeline.append(
            TimelineEvent(
                task.seq, now, kind, task.attempt_shown, task.worker_id,
                report.started_at or None if report else None,
                report.duration_seconds if report else None,
                error.type if error else "",
                error.message if error else "",
            )
        )  # fmt: skip

    # ---- inside ----------------------------------------------------------------------------

    def _line_up(self, task: Task, before_seq: int) -> None:
        self._filled[task.spec.queue] = line = self.line(task.spec.queue)
        if task.attempt and not line.has_room_for_returned(self._most_returned()):
            line.append_first(task)
        else:
            line.append(task, before_seq)

    def _retry(self, task: Task, wait_seconds: float, now: float, fx: Effects) -> None:
        task.status = next_status(task.spec.id, task.status, Happening.FAIL_RETRYABLE)
        task.due_at = now + wait_seconds
        self._tally(task, "retried", fx)
        self._wait(task)
        self._expire_if_past(task, now)
        self._touch(task, fx)

    def _wait(self, task: Task) -> None:
        queue = task.spec.queue
        self.delayed[queue] = self.delayed.get(queue, 0) + 1
        self.line(queue).retrying += task.status is Status.RETRYING
        heappush(self._due, (task.due_at, next(self._pushes), task))

    def _expire_if_past(self, task: Task, now: float) -> None:
        """Let a task that stopped RUNNING expire now if its time passed meanwhile."""
        if task.expires_at is not None and task.expires_at <= now:
            heappush(self._expiry, (task.expires_at, next(self._pushes), task))

    def _may_expire(self, entry: tuple[float, int, Task]) -> bool:
        expires_at, _, task = entry
        return self.live.get(task.spec.id) is task and task.expires_at == expires_at

    def _sweep(self) -> None:
        """Drop what is stale once it is most of a heap: it holds tasks that are over in memory."""
        most = 2 * len(self.live) + _MOST_STALE
        if len(self._expiry) > most:
            self._expiry = [entry for entry in self._expiry if self._may_expire(entry)]
            heapify(self._expiry)
        if len(self._due) > most:
            self._due = [entry for entry in self._due if _waits_for(entry)]
            heapify(self._due)
        if len(self.lines) > self._most_lines:
            self.drop_empty_lines()

    def drop_empty_lines(self) -> None:
        """Forget the queues in which no task waits."""
        self.lines = {q: ln for q, ln in self.lines.items() if ln or self.delayed.get(q)}
        self.delayed = {queue: count for queue, count in self.delayed.items() if count}
        self._most_lines = 2 * len(self.lines) + _MOST_LINES

    def _leave(self, task: Task) -> None:
        """Count a task out of the place where it waits."""
        if task.status is Status.QUEUED:
            self.lines[task.spec.queue].forget(task)
        elif task.status in _WAITS_FOR_TIME:
            self.delayed[task.spec.queue] -= 1
            self.lines[task.spec.queue].retrying -= task.status is Status.RETRYING

    def _end(
        self, task: Task, happening: Happening, tally: TallyKind, now: float, fx: Effects
    ) -> None:
        spec = task.spec
        task.status = next_status(spec.id, task.status, happening)
        task.finished_at = now
        del self.live[spec.id]
        self._bytes -= _TASK_BYTES + len(spec.arguments)
        self.timed -= is_timed(spec)
        if spec.idempotency_key is not None:
            del self.keys[spec.idempotency_key]
        if task.seq >= self._first_of_turn:
            self._note_gone(spec)
        self._tally(task, tally, fx)
        self._touch(task, fx)
        fx.over.append(task)

    def _touch(self, task: Task, fx: Effects) -> None:
        fx.changes.touched[task.seq] = task
        fx.changes.leased.pop(task.seq, None)

    def _tally(self, task: Task, kind: TallyKind, fx: Effects) -> None:
        tallies, queue = fx.changes.tallies, task.spec.queue
        if queue not in self.tallied:
            queue = self._tallied_as(queue)
        key = (queue, task.spec.name, kind)
        tallies[key] = tallies.get(key, 0) + 1

    def _tallied_as(self, queue: str) -> str:
        """Counts are kept for ever: of names that callers make up, a bounded number."""
        if len(self.tallied) >= self._rules.max_queues:
            return OTHER_QUEUES
        self.tallied.add(queue)
        return queue


def is_timed(spec: TaskSpec) -> bool:
    """Whether a task may have to move when a time comes, so that memory keeps it."""
    return spec.run_at is not None or spec.expires_at is not None


def _waits_for(entry: tuple[float, int, Task]) -> bool:
    """Whether an entry of the heap of due times is not stale."""
    due_at, _, task = entry
    return task.status in _WAITS_FOR_TIME and task.due_at == due_at
