"""The queue's one machine: events in, effects out.

`QueueMachine.handle(events, now)` is the only way to change anything. It reads no clock, draws no
random number and does no I/O: the time is an argument, chance, ids and the calendar are functions
given at construction. Whoever runs it must save `effects.changes` before letting any answer or
grant out, and must throw the machine away and load a new one if saving fails.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

from msgspec import Struct

from task_queue.core import events as ev
from task_queue.core.acceptance import Acceptance
from task_queue.core.attempts import Attempts
from task_queue.core.dispatch import Dispatch
from task_queue.core.effects import Answer, Counted, Done, Effects, Moved, Refused
from task_queue.core.paged_out import PagedOut
from task_queue.core.schedule import NextFiring, Schedule, TraceFiring, untraced
from task_queue.core.schedule_book import ScheduleBook
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.core.tally_names import TallyNames
from task_queue.core.task import Task
from task_queue.core.task_book import TaskBook
from task_queue.core.worker import WorkerInfo
from task_queue.core.worker_book import WorkerBook

#: Of a queue in one go, so that others need not wait for long: who asked asks again.
_MOST_PURGED = 4_000

#: Takes in an event at a time, adds to the effects, and answers.
_Handler = Callable[[Any, float, Effects], Answer]


class Loaded(Struct):
    """What the store knows at start."""

    tasks: list[Task]  #: all that are not over and not paged out, in the order of seq
    next_seq: int
    paused_queues: list[str]
    workers: list[WorkerInfo]  #: those not known to have ended
    schedules: list[Schedule]
    former: dict[str, WorkerInfo] = {}  #: the last bearers of worker ids, if they ended
    paged_out: list[PagedOut] = []
    tallied: list[str] = []  #: queues that are counted by name


class QueueMachine:
    """All the rules of the queue."""

    def __init__(
        self,
        rules: Rules,
        loaded: Loaded,
        now: float,
        *,
        new_id: Callable[[float], str],
        random: Callable[[], float],
        next_firing: NextFiring,
        trace_firing: TraceFiring = untraced,
    ) -> None:
        self.rules = rules
        self.book = TaskBook(loaded.next_seq, rules)
        self._tally_names = TallyNames(loaded.tallied, rules.max_queues)
        self._attempts = Attempts(self.book, random)
        self._schedules = ScheduleBook(
            self.book, rules, loaded.schedules, new_id, next_firing, trace_firing
        )
        self._workers = WorkerBook(self.book, self._attempts, rules, now, loaded.former)
        self.workers = self._workers.workers  #: the living ones, by id
        self._acceptance = Acceptance(self.book, rules, self.workers)
        self.paused: set[str] = set(loaded.paused_queues)
        self._dispatch = Dispatch(self.book, self._attempts, rules, now, self.workers, self.paused)
        self._handlers = self._all_handlers()
        self._restore(loaded, now)

    def _restore(self, loaded: Loaded, now: float) -> None:
        for paged_out in loaded.paged_out:
            self.book.restore(paged_out)
        for task in loaded.tasks:
            self.book.place(task, task.seq)
        running = [task for task in loaded.tasks if task.status is Status.RUNNING]
        self._workers.restore(loaded.workers, running, now)

    @property
    def refused_reports(self) -> int:
        """Reports for attempts that were no longer current, so far."""
        return self._workers.refused_reports

    @property
    def schedules(self) -> dict[str, Schedule]:
        """All schedules, by id."""
        return self._schedules.schedules

    def handle(self, events: Sequence[ev.Event], now: float) -> Effects:
        """Take in `events` in order and say what follows, one answer for each event.

        Args:
            events: what happened since the last call, oldest first.
            now: seconds since the epoch; must not run backwards by more than the clock's own steps.
        """
        fx = Effects()
        self.book.begin_turn()
        for event in events:
            fx.answers.append(self._handlers[type(event)](event, now, fx))
        self._workers.pass_time(now, fx)
        self._schedules.pass_time(now, fx)
        self.book.pass_time(now, fx)
        self._dispatch.answer_pulls(now, fx)
        self._tally_names.bound(fx.changes.tallies)
        return fx

    def next_time(self) -> float | None:
        """When something is due next, at the earliest: call `handle` with `Ticked` then."""
        parts = (self._schedules, self._workers, self.book.timers)
        times = [time for part in parts if (time := part.next_time()) is not None]
        return min(times, default=None)

    def _all_handlers(self) -> "dict[type[Struct], _Handler]":
        workers = self._workers
        return {
            ev.TasksSubmitted: self._acceptance.submit,
            ev.TasksReplayed: self._acceptance.replay,
            ev.CancelRequested: self._cancel_requested,
            ev.TasksPaged: self._tasks_paged,
            ev.QueuePaused: self._queue_paused,
            ev.QueuePurged: self._queue_purged,
            ev.WorkerRegistered: workers.register,
            ev.WorkerResumed: workers.resume,
            ev.WorkerPulled: workers.pull,
            ev.WorkerDeregistered: workers.deregister,
            ev.WorkerLost: workers.lose_one,
            ev.WorkerStatusWanted: workers.set_status,
            ev.ScheduleSaved: self._schedules.save,
            ev.ScheduleDeleted: self._schedules.delete,
            ev.Unheard: workers.excuse,
            ev.Ticked: self._ticked,
        }

    # ---- tasks -----------------------------------------------------------------------------

    def _cancel_requested(self, event: ev.CancelRequested, now: float, fx: Effects) -> Answer:
        task = self.book.live.get(event.task_id) or self._taken_from_store(event, fx)
        if task is None:
            return Refused("not_live", f"task {event.task_id} is over or was never accepted")
        if task.status is not Status.RUNNING:
            self.book.cancel(task, now, fx)
        elif not task.cancel_requested:
            self._attempts.request_cancel(task, now, fx)
            self._workers.tell_cancel(task)
        return Moved(task.spec.id, task.status, task.cancel_requested)

    def _taken_from_store(self, event: ev.CancelRequested, fx: Effects) -> Task | None:
        """The task to be cancelled, if it is paged out."""
        task = event.stored
        if self.book.gone_at_once.get(event.task_id) == event.task_id:  # and no other task's key
            task = next((t for t in fx.changes.paged_out if t.spec.id == event.task_id), None)
        return task if task is not None and self.book.take_from_store(task, fx) else None

    def _tasks_paged(self, event: ev.TasksPaged, now: float, fx: Effects) -> Answer:
        self.book.page_in(event.queue, event.priority, event.tasks, fx)
        return Done()

    def _queue_paused(self, event: ev.QueuePaused, now: float, fx: Effects) -> Answer:
        if event.paused and len(self.paused | {event.queue}) > self.rules.max_queues:
            return Refused(
                "queue_full",
                f"{len(self.paused)} queues are paused already: resume some of them first, or "
                "raise limits.max_queues",
            )
        (self.paused.add if event.paused else self.paused.discard)(event.queue)
        fx.changes.queues[event.queue] = event.paused
        return Done()

    def _queue_purged(self, event: ev.QueuePurged, now: float, fx: Effects) -> Answer:
        doomed = (
            task
            for task in self.book.live.values()
            if task.spec.queue == event.queue
            and task.status is not Status.RUNNING
            and (event.before_seq is None or task.seq < event.before_seq)
        )
        tasks = list(islice(doomed, _MOST_PURGED))
        for task in tasks:
            self.book.cancel(task, now, fx)
        return Counted(len(tasks))

    def _ticked(self, event: ev.Ticked, now: float, fx: Effects) -> Answer:
        return Done()  # every call of `handle` passes the time; this one brings nothing else
