"""The living workers: what they say of themselves, and what becomes of the leases they hold.

How a worker and the machine speak with each other is told in worker.py.
"""

from collections.abc import Mapping, Sequence

from task_queue.core import events as ev
from task_queue.core.attempts import Attempts
from task_queue.core.effects import Answer, Done, Effects, Grant, Refused, Registered
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, WorkerStatus
from task_queue.core.task import Report, Task, TaskError
from task_queue.core.task_book import TaskBook
from task_queue.core.worker import WorkerInfo, WorkerState

#: Worker ids whose last bearer is known: those that ended last.
_MOST_FORMER = 10_000

_SUCCEEDED = Outcome.SUCCEEDED  # read once: an enum's members are found slowly


class WorkerBook:
    """All workers that are not known to have ended, and the leases of each."""

    def __init__(
        self, book: TaskBook, attempts: Attempts, rules: Rules, loaded_at: float,
        former: Mapping[str, WorkerInfo],
    ) -> None:  # fmt: skip
        """Nobody is known yet.

        Args:
            loaded_at: when this machine was loaded, in seconds since the epoch.
            former: the last bearers of worker ids, if they ended.
        """
        self._book = book
        self._attempts = attempts
        self._rules = rules
        self._loaded_at = loaded_at
        self._former = dict(former)
        self.workers: dict[str, WorkerState] = {}
        #: Reports for attempts that were no longer current.
        self.refused_reports = 0

    def restore(self, infos: Sequence[WorkerInfo], running: Sequence[Task], now: float) -> None:
        """Take up where the last scheduler stopped: workers have one lease period to call."""
        for info in infos:
            self.workers[info.worker_id] = WorkerState(info, last_seen=now, confirmed=False)
        for task in running:
            worker = self.workers[task.worker_id or ""]
            worker.held[task.spec.id] = task
            if task.cancel_requested:
                self.tell_cancel(task)

    def tell_cancel(self, task: Task) -> None:
        """Have the worker that runs a task told to stop it."""
        self.workers[task.worker_id or ""].cancels.append((task.spec.id, task.attempt))

    def register(self, event: ev.WorkerRegistered, now: float, fx: Effects) -> Answer:
        info = event.info
        old = self.workers.get(info.worker_id)
        if old is not None and old.info.incarnation != info.incarnation:
            silent = now - old.last_seen
            if old.confirmed and silent < self._rules.lease_seconds:
                return Refused(
                    "duplicate_worker",
                    f"worker_id '{info.worker_id}' belongs to a living worker (pid {old.info.pid} "
                    f"on {old.info.hostname}, heard {silent:.1f} s ago): give this worker "
                    "another worker_id, or end the other one first",
                )
            self._lose(old, "a new worker took its worker_id", now, fx)
        if old is None or old.info.incarnation != info.incarnation:
            former = self._former.get(info.worker_id)
            if former is not None:
                if former.incarnation == info.incarnation:
                    return _refuse_former(former)
                info.restarts = former.restarts + 1
            info.registered_at = now
            self.workers[info.worker_id] = WorkerState(info, last_seen=now)
            fx.changes.workers[info.worker_id] = info
        else:
            old.last_seen = now
        return Registered(self._rules.lease_seconds, self._rules.poll_seconds)

    def resume(self, event: ev.WorkerResumed, now: float, fx: Effects) -> Answer:
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

    def pull(self, event: ev.WorkerPulled, now: float, fx: Effects) -> Answer:
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
            worker.parked_until = now + self._rules.poll_seconds
        if event.reports:
            self._take_reports(worker, event.reports, now, fx)
        for note in event.progress:
            task = worker.held.get(note.task_id)
            if task is not None and task.attempt == note.attempt:
                self._attempts.tell_progress(task, note.progress, fx)
        return Done()

    def deregister(self, event: ev.WorkerDeregistered, now: float, fx: Effects) -> Answer:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is not None:
            for task in list(worker.held.values()):
                self._drop_lease(worker, task)
                self._stop_unfinished(task, now, fx)
            self._forget(worker, "deregistered", now, fx)
        return Done()

    def lose_one(self, event: ev.WorkerLost, now: float, fx: Effects) -> Answer:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is not None:
            self._lose(worker, event.cause, now, fx, blameless=event.blameless)
        return Done()

    def set_status(self, event: ev.WorkerStatusWanted, now: float, fx: Effects) -> Answer:
        worker = self.workers.get(event.worker_id)
        if worker is None:
            return Refused("unknown_worker", f"no living worker is called '{event.worker_id}'")
        if worker.info.status is WorkerStatus.DRAINING is not event.status:
            return Refused("conflict", f"worker '{event.worker_id}' is draining and will end")
        if worker.info.status is not event.status:
            worker.info.status = event.status
            fx.changes.workers[event.worker_id] = worker.info
        if event.status is WorkerStatus.DRAINING and event.within_seconds is not None:
            by = now + event.within_seconds
            worker.leave_by = by if worker.leave_by is None else min(by, worker.leave_by)
            worker.leave_told = False
        return Done()

    def excuse(self, event: ev.Unheard, now: float, fx: Effects) -> Answer:
        for worker in self.workers.values():
            worker.last_seen = min(now, worker.last_seen + event.seconds)
        return Done()

    # ---- time ------------------------------------------------------------------------------

    def next_time(self) -> float | None:
        """When a pull is to be answered, or a worker counts as lost, at the earliest."""
        workers = self.workers.values()
        if not workers:
            return None
        lost = min([worker.last_seen for worker in workers]) + self._rules.lease_seconds
        parked = [w.parked_until for w in workers if w.parked_until is not None]
        return min([lost, *parked])

    def pass_time(self, now: float, fx: Effects) -> None:
        """Lose those that have been silent for too long."""
        most = self._rules.lease_seconds
        for worker in [w for w in self.workers.values() if now - w.last_seen >= most]:
            silent = now - worker.last_seen
            self._lose(worker, f"it was silent for {silent:.1f} s", now, fx)

    # ---- inside ----------------------------------------------------------------------------

    def _known(self, worker_id: str, incarnation: str) -> WorkerState | None:
        worker = self.workers.get(worker_id)
        return worker if worker is not None and worker.info.incarnation == incarnation else None

    # ---- reports ---------------------------------------------------------------------------

    def _take_reports(
        self, worker: WorkerState, reports: list[Report], now: float, fx: Effects
    ) -> None:
        held = worker.held
        succeeded: list[tuple[Task, Report]] = []
        taken, seconds = 0, 0.0
        for report in reports:
            task = held.get(report.task_id)
            if task is None or task.attempt != report.attempt:
                self.refused_reports += 1
                continue
            del held[report.task_id]
            taken += 1
            seconds += report.duration_seconds
            if report.outcome is _SUCCEEDED:
                succeeded.append((task, report))  # most are: they end together
            else:
                self._attempts.succeed(succeeded, now, fx)
                succeeded = []
                self._take_failure(worker, task, report, now, fx)
        self._attempts.succeed(succeeded, now, fx)
        worker.ended += taken
        worker.busy_seconds += seconds
        if worker.cancels:
            worker.cancels = [cancel for cancel in worker.cancels if cancel[0] in held]

    def _take_failure(
        self, worker: WorkerState, task: Task, report: Report, now: float, fx: Effects
    ) -> None:
        if report.outcome is Outcome.RELEASED and not task.cancel_requested:
            self._attempts.release(task, now, fx, report)
            return
        worker.failed += report.outcome is not Outcome.RELEASED
        if task.cancel_requested:  # however it ended, nobody wants it to run again
            self._book.cancel(task, now, fx, report)
        elif report.outcome is Outcome.DIED:
            error = report.error or TaskError("ExecutorDied", "its executor process ended")
            self._attempts.survive_death(task, error, self._rules.max_deaths, now, fx, report)
        elif report.outcome is Outcome.CANCELLED:  # stopped by its worker, not by a person
            self._attempts.release(task, now, fx, report)
        else:
            self._attempts.fail(task, report, now, fx)

    def _drop_lease(self, worker: WorkerState, task: Task) -> None:
        del worker.held[task.spec.id]
        if worker.cancels:
            worker.cancels = [c for c in worker.cancels if c[0] != task.spec.id]

    def _stop_unfinished(self, task: Task, now: float, fx: Effects) -> None:
        if task.cancel_requested:
            self._book.cancel(task, now, fx)
        else:
            self._attempts.release(task, now, fx)

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
                self._book.cancel(task, now, fx)
            elif place >= worker.info.slots:
                self._attempts.take_back(task, now, fx)
            elif not blameless:
                self._attempts.survive_death(task, error, self._rules.max_deaths, now, fx)
            else:
                fx.changes.note(task, "attempt_released", now, None, error)
                self._attempts.take_back(task, now, fx)
        worker.info.status = WorkerStatus.LOST
        self._forget(worker, cause, now, fx)

    def _forget(self, worker: WorkerState, cause: str, now: float, fx: Effects) -> None:
        if worker.parked_until is not None:
            info = worker.info
            fx.grants.append(Grant(info.worker_id, info.incarnation, worker.pull_seq, order="gone"))
        worker.info.ended_at, worker.info.end_cause = now, cause
        self._former.pop(worker.info.worker_id, None)
        self._former[worker.info.worker_id] = worker.info
        if len(self._former) > _MOST_FORMER:
            del self._former[next(iter(self._former))]
        fx.changes.workers[worker.info.worker_id] = worker.info
        del self.workers[worker.info.worker_id]


def _refuse_former(former: WorkerInfo) -> Refused:
    """What was to become of it, a drain for example, went with it."""
    return Refused(
        "unknown_worker",
        f"worker '{former.worker_id}' registers again after its end ({former.end_cause}): "
        "start a new one",
    )
