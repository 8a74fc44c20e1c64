"""What a fair observer expects of the machine: who holds which lease, and what is over.

It knows nothing of lines, heaps and timers. From the events of a turn it says which reports must
count and whose leases must end; from the effects it checks that nothing else happened.
"""

from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field

from task_queue.core import events as ev
from task_queue.core.effects import Effects
from task_queue.core.settings import Rules
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Report


@dataclass
class WorkerModel:
    """A worker that the scheduler believes to be alive."""

    incarnation: str
    last_seen: float
    confirmed: bool = True
    leases: dict[str, int] = field(default_factory=dict)  #: task id to attempt


@dataclass
class LeaseModel:
    """Leases and endings, event by event."""

    rules: Rules
    workers: dict[str, WorkerModel] = field(default_factory=dict)
    last_attempt: dict[str, int] = field(default_factory=dict)
    accepted: set[str] = field(default_factory=set)
    over: dict[str, Status] = field(default_factory=dict)

    def after(self, events: list[ev.Event], now: float, fx: Effects) -> "LeaseModel":
        """The model after a turn.

        Raises:
            AssertionError: the effects are not what had to follow.
        """
        following = deepcopy(self)
        counted = [r for event in events for r in following._take(event, now)]
        assert [(t.spec.id, r.attempt) for t, r in fx.changes.ended if r.started_at] == [
            (r.task_id, r.attempt) for r in counted if r.started_at
        ]
        for worker_id, worker in list(following.workers.items()):
            if now - worker.last_seen >= self.rules.lease_seconds:
                del following.workers[worker_id]
        following._end(fx)
        following._grant(fx)
        return following

    def restart(self, now: float) -> None:
        """Another scheduler has loaded the store."""
        for worker in self.workers.values():
            worker.last_seen, worker.confirmed = now, False

    def leased(self) -> dict[str, str]:
        """Task id to worker id."""
        return {i: w for w, worker in self.workers.items() for i in worker.leases}

    def forget(self, task_id: str) -> None:
        """The task was deleted from the store."""
        self.accepted.discard(task_id)
        self.over.pop(task_id, None)

    # ---- one event -------------------------------------------------------------------------

    def _take(self, event: ev.Event, now: float) -> list[Report]:
        """Follow one event; the reports in it that must count."""
        if isinstance(event, ev.WorkerRegistered):
            self._register(event, now)
        elif isinstance(event, ev.WorkerPulled):
            return self._pull(event, now)
        elif isinstance(event, ev.WorkerResumed):
            self._resume(event, now)
        elif (
            isinstance(event, ev.WorkerLost | ev.WorkerDeregistered)
            and self._known(event.worker_id, event.incarnation) is not None
        ):
            del self.workers[event.worker_id]
        return []

    def _known(self, worker_id: str, incarnation: str) -> WorkerModel | None:
        worker = self.workers.get(worker_id)
        return worker if worker is not None and worker.incarnation == incarnation else None

    def _register(self, event: ev.WorkerRegistered, now: float) -> None:
        info = event.info
        old = self.workers.get(info.worker_id)
        if old is not None:
            silent = now - old.last_seen >= self.rules.lease_seconds
            if old.incarnation == info.incarnation or (old.confirmed and not silent):
                return
        self.workers[info.worker_id] = WorkerModel(info.incarnation, now)

    def _pull(self, event: ev.WorkerPulled, now: float) -> list[Report]:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is None:
            return []
        worker.last_seen = now
        counted = []
        for report in event.reports:
            if worker.leases.get(report.task_id) == report.attempt:
                del worker.leases[report.task_id]
                counted.append(report)
        return counted

    def _resume(self, event: ev.WorkerResumed, now: float) -> None:
        worker = self._known(event.worker_id, event.incarnation)
        if worker is None:
            return
        worker.last_seen = now
        if not worker.confirmed:
            worker.confirmed = True
            kept = set(worker.leases.items()) & set(event.holding)
            worker.leases = dict(kept)

    # ---- what came of it -------------------------------------------------------------------

    def _end(self, fx: Effects) -> None:
        for task in fx.changes.inserted:
            assert task.spec.id not in self.accepted, "accepted twice"
            self.accepted.add(task.spec.id)
        # In one turn a task may be run again by hand, be cancelled, and be run again.
        seqs = {t.seq: t.spec.id for t in (*fx.changes.inserted, *fx.changes.touched.values())}
        lives = Counter(seqs[e.seq] for e in fx.changes.timeline if e.kind == "replayed")
        ends = Counter(task.spec.id for task in fx.over)
        statuses = self.over | {task.spec.id: task.status for task in fx.over}
        for task_id in lives.keys() | ends.keys():
            assert task_id in self.accepted
            is_over = (task_id in self.over) - lives[task_id] + ends[task_id]
            assert is_over in (0, 1), "over twice, or run again while it lives"
            self.over.pop(task_id, None)
            if is_over:
                assert statuses[task_id] in TERMINAL
                self.over[task_id] = statuses[task_id]

    def _grant(self, fx: Effects) -> None:
        leased = self.leased()
        for grant in fx.grants:
            worker = self._known(grant.worker_id, grant.incarnation)
            assert worker is not None or not grant.leases
            for lease in grant.leases:
                assert worker is not None
                assert worker.confirmed, "granted before the worker said what it holds"
                assert lease.task_id not in leased, "two live leases on one task"
                assert lease.task_id not in self.over, "a lease on a task that is over"
                assert lease.attempt > self.last_attempt.get(lease.task_id, 0)
                self.last_attempt[lease.task_id] = lease.attempt
                leased[lease.task_id] = grant.worker_id
                worker.leases[lease.task_id] = lease.attempt
