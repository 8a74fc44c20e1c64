"""The queue's one machine: events in, effects out.

`QueueMachine.handle(events, now)` is the only way to change anything. It reads no clock, draws no
random number and does no I/O: the time is an argument, chance, ids and the calendar are functions
given at construction. Whoever runs it must save `effects.changes` before letting any answer or
grant out, and must throw the machine away and load a new one if saving fails.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from msgspec import Struct
from msgspec.structs import replace

from task_queue.core import events as ev
from task_queue.core.acceptance import Acceptance
from task_queue.core.effects import (
    Answer,
    Counted,
    Done,
    Effects,
    Grant,
    Moved,
    Refused,
    Registered,
)
from task_queue.core.paged_out import PagedOut
from task_queue.core.ready import ReadyLine, take_in_order
from task_queue.core.schedule import (
    NextFiring,
    Schedule,
    TraceFiring,
    fires,
    take_over_history,
    untraced,
)
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, Status, WorkerStatus
from task_queue.core.task import Lease, Report, Task, TaskError, lease_of
from task_queue.core.task_book import TaskBook
from task_queue.core.worker import WorkerInfo, WorkerState

#: Worker ids whose restarts are counted: those that ended last.
_MOST_RESTARTS = 10_000


class Loaded(Struct):
    """What the store knows at start."""

    tasks: list[Task]  #: all that are not over and not paged out, in the order of seq
    next_seq: int
    paused_queues: list[str]
    workers: list[WorkerInfo]  #: those not known to have ended
    schedules: list[Schedule]
    #: Of worker ids whose last bearer ended: how many there were before the next one.
    restarts: dict[str, int] = {}
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
        self._loaded_at = now
        self.book = TaskBook(random, loaded.next_seq, rules)
        self.book.tallied.update(loaded.tallied)
        self.workers: dict[str, WorkerState] = {}
        self._acceptance = Acceptance(self.book, rules, self.workers)
        self.paused: set[str] = set(loaded.paused_queues)
        self.schedules: dict[str, Schedule] = {s.id: s for s in loaded.schedules}
        self._restarts = dict(loaded.restarts)
        #: Reports for attempts that were no longer current.
        self.refused_reports = 0
        self._new_id = new_id
        self._next_firing = next_firing
        self._trace_firing = trace_firing
        self._restore(loaded, now)

    def handle(self, events: Sequence[ev.Event], now: float) -> Effects:
        """Take in `events` in order and say what follows, one answer for each event.

        Args:
            events: what happened since the last call, oldest first.
            now: seconds since the epoch; must not run backwards by more than the clock's own steps.
        """
        fx = Effects()
        self.book.begin_turn()
        for event in events:
            fx.answers.append(_HANDLERS[type(event)](self, event, now, fx))
        self._pass_time(now, fx)
        self._dispatch(now, fx)
        if fx.changes.inserted:  # rows not yet in the store are written as they now are, once
            for task in fx.changes.inserted:
                fx.changes.touched.pop(task.seq, None)
        return fx

    def next_time(self) -> float | None:
        """When something is due next, at the earliest: call `handle` with `Ticked` then."""
        times = [s.next_run_at for s in self.schedules.values()]
        times += [w.parked_until for w in self.workers.values() if w.parked_until is not None]
        times += [w.last_seen + self.rules.lease_seconds for w in self.workers.values()]
        due = self.book.next_time()
        if due is not None:
            times.append(due)
        return min(times) if times else None

    # ---- tasks -----------------------------------------------------------------------------

    def _tasks_submitted(self, event: ev.TasksSubmitted, now: float, fx: Effects) -> Answer:
        return self._acceptance.submit(event, now, fx)

    def _tasks_replayed(self, event: ev.TasksReplayed, now: float, fx: Effects) -> Answer:
        return self._acceptance.replay(event, now, fx)

    def _cancel_requested(self, event: ev.CancelRequested, now: float, fx: Effects) -> Answer:
        task = self.book.live.get(event.task_id) or self._taken_from_store(event, fx)
        if task is None:
            return Refused("not_live", f"task {event.task_id} is over or was never accepted")
        if task.status is not Status.RUNNING:
            self.book.cancel(task, now, fx)
        elif not task.cancel_requested:
            self.book.request_cancel(task, now, fx)
            self.workers[task.worker_id or ""].cancels.append((task.spec.id, task.attempt))
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
        doomed = [
            task
            for task in self.book.live.values()
            if task.spec.queue == event.queue
            and task.status is not Status.RUNNING
            and (event.before_seq is None or task.seq < event.before_seq)
        ]
        for task in doomed:
            self.book.cancel(task, now, fx)
        return Counted(len(doomed))

    # ---- workers ---------------------------------------------------------------------------

    def _worker_registered(self, event: ev.WorkerRegistered, now: float, fx: Effects) -> Answer:
        info = event.info
        old = self.workers.get(info.worker_id)
        if old is not None and old.info.incarnation != info.incarnation:
            silent = now - old.last_seen
            if old.confirmed and silent < self.rules.lease_seconds:
                return Refused(
                    "duplicate_worker",
                    f"worker_id '{info.worker_id}' belongs to a living worker (pid {old.info.pid} "
                    f"on {old.info.hostname}, heard {silent:.1f} s ago): give this worker "
                    "another worker_id, or end the other one first",
                )
            self._lose(old, "a new worker took its worker_id", now, fx)
        if old is None or old.info.incarnation != info.incarnation:
            info.restarts = self._restarts.get(info.worker_id, 0)
            info.registered_at = now
            self.workers[info.worker_id] = WorkerState(info, last_seen=now)
            fx.changes.workers[info.worker_id] = info
        else:
            old.last_seen = now
        return Registered(self.rules.lease_seconds, self.rules.poll_seconds)

    def _worker_resumed(self, event: ev.WorkerResumed, now: float, fx: Effects) -> Answer:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is None:
            return Refused("unknown_worker", f"worker {event.worker_id} is not registered")
        if event.asked_by not in (None, self._loaded_at):
            return Done()  # meant for an earlier scheduler: this one asks for itself
        worker.last_seen = now
        if worker.confirmed:  # said before; what was granted since then is not in a repeated list
            return Done()
        if event.seq is not None:
            if not worker.pull_seq or event.seq < worker.pull_seq:
                return Done()  # a late copy, of an answer to an earlier scheduler: ask again
            worker.resumed_seq = event.seq
        holding = set(event.holding)
        for task in list(worker.held.values()):
            if (task.spec.id, task.attempt) not in holding:  # its grant never arrived
                self._drop_lease(worker, task)
                self._stop_unfinished(task, now, fx)
        worker.confirmed = True
        return Done()

    def _worker_pulled(self, event: ev.WorkerPulled, now: float, fx: Effects) -> Answer:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is None:
            fx.grants.append(Grant(event.worker_id, event.incarnation, event.seq, order="gone"))
            return Done()
        worker.last_seen = now
        if (
            event.seq < worker.pull_seq or event.seq <= worker.resumed_seq
        ):  # overtaken on its way: its reports count, its want not
            fx.grants.append(Grant(event.worker_id, event.incarnation, event.seq))
        else:
            if worker.parked_until is not None and event.seq != worker.pull_seq:
                fx.grants.append(Grant(event.worker_id, event.incarnation, worker.pull_seq))
            worker.pull_seq = event.seq
            worker.want = event.want
            worker.parked_until = now + self.rules.poll_seconds
        if event.reports:
            self._take_reports(worker, event.reports, now, fx)
        for note in event.progress:
            task = worker.held.get(note.task_id)
            if task is not None and task.attempt == note.attempt:
                self.book.tell_progress(task, note.progress, fx)
        return Done()

    def _worker_deregistered(self, event: ev.WorkerDeregistered, now: float, fx: Effects) -> Answer:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is not None:
            for task in list(worker.held.values()):
                self._drop_lease(worker, task)
                self._stop_unfinished(task, now, fx)
            self._forget(worker, "deregistered", now, fx)
        return Done()

    def _worker_lost(self, event: ev.WorkerLost, now: float, fx: Effects) -> Answer:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is not None:
            self._lose(worker, event.cause, now, fx, blameless=event.blameless)
        return Done()

    def _worker_status(self, event: ev.WorkerStatusWanted, now: float, fx: Effects) -> Answer:
        worker = self.workers.get(event.worker_id)
        if worker is None:
            return Refused("unknown_worker", f"no living worker is called '{event.worker_id}'")
        if worker.info.status is WorkerStatus.DRAINING is not event.status:
            return Refused("conflict", f"worker '{event.worker_id}' is draining and will end")
        worker.info.status = event.status
        fx.changes.workers[event.worker_id] = worker.info
        return Done()

    def _known(self, worker_id: str, incarnation: str) -> WorkerState | None:
        worker = self.workers.get(worker_id)
        return worker if worker is not None and worker.info.incarnation == incarnation else None

    # ---- reports ---------------------------------------------------------------------------

    def _take_reports(
        self, worker: WorkerState, reports: list[Report], now: float, fx: Effects
    ) -> None:
        held, book = worker.held, self.book
        for report in reports:
            task = held.get(report.task_id)
            if task is None or task.attempt != report.attempt:
                self.refused_reports += 1
                continue
            self._drop_lease(worker, task)
            worker.ended += 1
            worker.busy_seconds += report.duration_seconds
            if report.outcome is Outcome.SUCCEEDED:
                book.succeed(task, report, now, fx)
            else:
                self._take_failure(worker, task, report, now, fx)

    def _take_failure(
        self, worker: WorkerState, task: Task, report: Report, now: float, fx: Effects
    ) -> None:
        if report.outcome is Outcome.RELEASED and not task.cancel_requested:
            self.book.release(task, now, fx, report)
            return
        worker.failed += report.outcome is not Outcome.RELEASED
        if task.cancel_requested:  # however it ended, nobody wants it to run again
            self.book.cancel(task, now, fx, report)
        elif report.outcome is Outcome.DIED:
            error = report.error or TaskError("ExecutorDied", "its executor process ended")
            self.book.survive_death(task, error, self.rules.max_deaths, now, fx, report)
        elif report.outcome is Outcome.CANCELLED:  # stopped by its worker, not by a person
            self.book.release(task, now, fx, report)
        else:
            self.book.fail(task, report, now, fx)

    def _drop_lease(self, worker: WorkerState, task: Task) -> None:
        del worker.held[task.spec.id]
        if worker.cancels:
            worker.cancels = [c for c in worker.cancels if c[0] != task.spec.id]

    def _stop_unfinished(self, task: Task, now: float, fx: Effects) -> None:
        if task.cancel_requested:
            self.book.cancel(task, now, fx)
        else:
            self.book.release(task, now, fx)

    def _lose(
        self, worker: WorkerState, cause: str, now: float, fx: Effects, *, blameless: bool = False
    ) -> None:
        """Void the leases of a worker that is gone.

        At most as many leases as it has slots ran when it was lost. Its oldest ones count a death,
        all others go back as read-ahead. A later lease of higher priority may have overtaken an
        older one inside the worker; then the death is counted for the older one. Before that, any
        of them may have run to an end that the worker could not tell.

        Args:
            blameless: its machine was taken away. Then no death is counted.
        """
        error = TaskError("WorkerLost", f"worker {worker.info.worker_id} was lost: {cause}")
        for place, task in enumerate(list(worker.held.values())):
            self._drop_lease(worker, task)
            if task.cancel_requested:
                self.book.cancel(task, now, fx)
            elif place >= worker.info.slots:
                self.book.take_back(task, now, fx)
            elif not blameless:
                self.book.survive_death(task, error, self.rules.max_deaths, now, fx)
            else:
                self.book.note(task, "attempt_released", now, fx, None, error)
                self.book.take_back(task, now, fx)
        worker.info.status = WorkerStatus.LOST
        self._forget(worker, cause, now, fx)

    def _forget(self, worker: WorkerState, cause: str, now: float, fx: Effects) -> None:
        if worker.parked_until is not None:
            info = worker.info
            fx.grants.append(Grant(info.worker_id, info.incarnation, worker.pull_seq, order="gone"))
        worker.info.ended_at, worker.info.end_cause = now, cause
        self._restarts.pop(worker.info.worker_id, None)
        self._restarts[worker.info.worker_id] = worker.info.restarts + 1
        if len(self._restarts) > _MOST_RESTARTS:
            del self._restarts[next(iter(self._restarts))]
        fx.changes.workers[worker.info.worker_id] = worker.info
        del self.workers[worker.info.worker_id]

    # ---- schedules and time ----------------------------------------------------------------

    def _schedule_saved(self, event: ev.ScheduleSaved, now: float, fx: Effects) -> Answer:
        schedule = event.schedule
        older = self.schedules.get(schedule.id)
        if older is None and len(self.schedules) >= self.rules.max_schedules:
            return Refused(
                "queue_full",
                f"there are {self.rules.max_schedules} schedules already; delete some first",
            )
        if older is not None:
            take_over_history(schedule, older, self._next_firing)
        self.schedules[schedule.id] = fx.changes.schedules[schedule.id] = schedule
        return Done()

    def _schedule_deleted(self, event: ev.ScheduleDeleted, now: float, fx: Effects) -> Answer:
        if self.schedules.pop(event.schedule_id, None) is None:
            return Refused("not_live", f"no schedule has the id '{event.schedule_id}'")
        fx.changes.schedules[event.schedule_id] = None
        return Done()

    def _unheard(self, event: ev.Unheard, now: float, fx: Effects) -> Answer:
        for worker in self.workers.values():
            worker.last_seen = min(now, worker.last_seen + event.seconds)
        return Done()

    def _ticked(self, event: ev.Ticked, now: float, fx: Effects) -> Answer:
        return Done()  # every call of `handle` passes the time; this one brings nothing else

    def _pass_time(self, now: float, fx: Effects) -> None:
        for worker in list(self.workers.values()):
            silent = now - worker.last_seen
            if silent >= self.rules.lease_seconds:
                self._lose(worker, f"it was silent for {silent:.1f} s", now, fx)
        for schedule in self.schedules.values():
            if schedule.next_run_at <= now:
                self._fire(schedule, now, fx)
        self.book.pass_time(now, fx)

    def _fire(self, schedule: Schedule, now: float, fx: Effects) -> None:
        if fires(schedule, now, schedule.last_task_id in self.book.live):
            # Each firing is a task of its own: a key would make the second one a duplicate.
            task_id = self._new_id(now)
            trace = self._trace_firing(task_id, now)
            spec = replace(schedule.template, id=task_id, idempotency_key=None, traceparent=trace)
            schedule.last_task_id = self.book.accept(spec, now, fx, stays=True).spec.id
            schedule.last_run_at = now
            schedule.runs += 1
        else:
            schedule.skips += 1
        schedule.next_run_at = self._next_firing(schedule, now)
        fx.changes.schedules[schedule.id] = schedule

    # ---- leases ----------------------------------------------------------------------------

    def _dispatch(self, now: float, fx: Effects) -> None:
        """Answer the parked pulls that have something to be told.

        Free slots of all workers are filled before any worker gets read-ahead, so that a burst
        smaller than the fleet is spread over it.
        """
        parked = [w for w in self.workers.values() if w.parked_until is not None]
        given: dict[str, list[Lease]] = {}
        takers = [w for w in parked if w.takes_work and len(w.held) < w.want]
        if takers:
            self.book.look_for_crowds()
        for worker in takers:
            limit = min(worker.want, worker.info.slots)
            given[worker.info.worker_id] = self._lease(worker, limit, now, fx)
        for worker in takers:
            given[worker.info.worker_id] += self._lease(worker, worker.want, now, fx)
        for worker in parked:
            self._answer_pull(worker, given.get(worker.info.worker_id, []), now, fx)

    def _lease(self, worker: WorkerState, limit: int, now: float, fx: Effects) -> list[Lease]:
        leases: list[Lease] = []
        room = limit - len(worker.held)
        if room <= 0:
            return leases
        claim, worker_id = self.book.claim, worker.info.worker_id
        asked_at = (worker.parked_until or now) - self.rules.poll_seconds
        for task in islice(take_in_order(self._lines_for(worker)), room):
            claim(task, worker_id, now, fx)
            worker.held[task.spec.id] = task
            leases.append(lease_of(task, asked_at))
        return leases

    def _lines_for(self, worker: WorkerState) -> list[ReadyLine]:
        lines, info = self.book.filled_lines(), worker.info
        queues: Iterable[str] = (name for name in info.queues if name in lines)
        if "*" in info.queues:
            queues = (n for n in lines if n in info.queues or n not in info.excluded)
        return [lines[queue] for queue in queues if queue not in self.paused]

    def _answer_pull(
        self, worker: WorkerState, leases: list[Lease], now: float, fx: Effects
    ) -> None:
        order = "" if worker.confirmed else "resync"
        if worker.drained and worker.confirmed:
            order = "end"
        over = worker.parked_until is not None and worker.parked_until <= now
        if leases or order or worker.cancels or over:
            info = worker.info
            fx.grants.append(
                Grant(info.worker_id, info.incarnation, worker.pull_seq, leases, worker.cancels,
                      order,  # type: ignore[arg-type]  # the three words above are of its type
                      self._loaded_at if order == "resync" else None)
            )  # fmt: skip
            worker.parked_until = None
            worker.cancels = []

    # ---- start -----------------------------------------------------------------------------

    def _restore(self, loaded: Loaded, now: float) -> None:
        """Take up where the last scheduler stopped: workers have one lease period to call."""
        for info in loaded.workers:
            self.workers[info.worker_id] = WorkerState(info, last_seen=now, confirmed=False)
        for paged_out in loaded.paged_out:
            self.book.restore(paged_out)
        for task in loaded.tasks:
            self.book.place(task, task.seq)
            if task.status is Status.RUNNING:
                worker = self.workers[task.worker_id or ""]
                worker.held[task.spec.id] = task
                if task.cancel_requested:
                    worker.cancels.append((task.spec.id, task.attempt))


_HANDLERS: dict[type[Struct], Callable[..., Answer]] = {
    ev.TasksSubmitted: QueueMachine._tasks_submitted,
    ev.TasksReplayed: QueueMachine._tasks_replayed,
    ev.CancelRequested: QueueMachine._cancel_requested,
    ev.TasksPaged: QueueMachine._tasks_paged,
    ev.QueuePaused: QueueMachine._queue_paused,
    ev.QueuePurged: QueueMachine._queue_purged,
    ev.WorkerRegistered: QueueMachine._worker_registered,
    ev.WorkerResumed: QueueMachine._worker_resumed,
    ev.WorkerPulled: QueueMachine._worker_pulled,
    ev.WorkerDeregistered: QueueMachine._worker_deregistered,
    ev.WorkerLost: QueueMachine._worker_lost,
    ev.WorkerStatusWanted: QueueMachine._worker_status,
    ev.ScheduleSaved: QueueMachine._schedule_saved,
    ev.ScheduleDeleted: QueueMachine._schedule_deleted,
    ev.Unheard: QueueMachine._unheard,
    ev.Ticked: QueueMachine._ticked,
}
