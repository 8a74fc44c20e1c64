"""A machine that a test drives in its own words, and what came of it.

Everything goes in through `handle`, and every turn is saved. What is paged out comes in as a
scheduler would see to it.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from task_queue.core import events as ev
from task_queue.core.effects import Accepted, Answer, Effects, Grant, Refused, TimelineKind
from task_queue.core.invariants import check_invariants
from task_queue.core.machine import QueueMachine
from task_queue.core.schedule import Schedule
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, Status, WorkerStatus
from task_queue.core.task import Lease, ProgressNote, Report, Task, TaskError
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.paging import pages_wanted, read_pages
from task_queue.store.memory import MemoryStore
from task_queue.testing import task_spec

START = 1_700_000_000.0


class DrivenMachine:
    """The queue as its callers see it."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.now = START
        self.random = 0.5  #: what every draw gives
        self.tasks: dict[str, Task] = {}  #: as saved last, by id
        self.store = MemoryStore()
        self.store.take_over()
        self.kinds: dict[int, list[TimelineKind]] = {}  #: the timeline, by seq
        self.tallies: dict[str, int] = {}
        self.over: list[tuple[str, Status]] = []  #: endings, in order
        self.last = Effects()
        self._pulls: dict[str, int] = {}
        self.machine = self._load()

    # ---- the way in ------------------------------------------------------------------------

    def handle(self, *events: ev.Event, after: float = 0.0) -> Effects:
        """One turn, `after` seconds later, and those that follow at once to page in."""
        self.now += after
        fx = self.last = self._turn(events)
        while pages_wanted(self.machine):
            more = self._turn(())
            fx.grants += more.grants
            fx.over += more.over
        return fx

    def _turn(self, events: Sequence[ev.Event]) -> Effects:
        pages = read_pages(self.machine, self.store)
        fx = self.machine.handle([*pages, *events], self.now)
        fx.answers = fx.answers[len(pages) :]
        check_invariants(self.machine)
        assert len(fx.answers) == len(events)
        self._save(fx)
        return fx

    def ask(self, event: ev.Event, after: float = 0.0) -> Answer:
        """The answer to one event."""
        return self.handle(event, after=after).answers[0]

    def tick(self, seconds: float) -> Effects:
        return self.handle(ev.Ticked(), after=seconds)

    def restart(self) -> None:
        """Another scheduler loads what was saved."""
        self.machine = self._load()

    @property
    def infos(self) -> dict[str, WorkerInfo]:
        """Workers as saved last, by id."""
        return {info.worker_id: info for info in self.store.workers()}

    @property
    def schedules(self) -> dict[str, Schedule]:
        """Schedules as saved last, by id."""
        return {schedule.id: schedule for schedule in self.store.schedules()}

    # ---- tasks -----------------------------------------------------------------------------

    def submit(self, **fields: Any) -> str:
        """Submit one task; its id."""
        answer = self.ask(ev.TasksSubmitted([task_spec(now=self.now, **fields)]))
        assert isinstance(answer, Accepted)
        return answer.task_ids[0]

    def submit_all(self, *fields: dict[str, Any]) -> list[str]:
        """Submit several tasks in one event; their ids."""
        specs = [task_spec(now=self.now, **f) for f in fields]
        answer = self.ask(ev.TasksSubmitted(specs))
        assert isinstance(answer, Accepted)
        return answer.task_ids

    def cancel(self, task_id: str) -> Answer:
        return self.ask(ev.CancelRequested(task_id))

    def replay(self, *task_ids: str) -> Answer:
        return self.ask(ev.TasksReplayed([self.saved(task_id) for task_id in task_ids]))

    def saved(self, task_id: str) -> Task:
        """A copy of a task, as the store would give it."""
        return msgspec.msgpack.decode(msgspec.msgpack.encode(self.tasks[task_id]), type=Task)

    def status(self, task_id: str) -> Status:
        return self.tasks[task_id].status

    def story(self, task_id: str) -> list[TimelineKind]:
        return self.kinds.get(self.tasks[task_id].seq, [])

    # ---- workers ---------------------------------------------------------------------------

    def register(
        self,
        worker_id: str = "w1",
        slots: int = 1,
        queues: tuple[str, ...] = ("*",),
        incarnation: str = "a",
        excluded: tuple[str, ...] = (),
    ) -> Answer:
        info = WorkerInfo(worker_id, incarnation, "pool", queues, slots, excluded)
        return self.ask(ev.WorkerRegistered(info))

    def pull_event(
        self,
        worker_id: str = "w1",
        want: int = 1,
        reports: Sequence[Report] = (),
        progress: Sequence[ProgressNote] = (),
        incarnation: str = "a",
    ) -> ev.WorkerPulled:
        """The worker's next pull."""
        seq = self._pulls[worker_id] = self._pulls.get(worker_id, 0) + 1
        return ev.WorkerPulled(worker_id, incarnation, seq, want, list(reports), list(progress))

    def pull(
        self,
        worker_id: str = "w1",
        want: int = 1,
        reports: Sequence[Report] = (),
        progress: Sequence[ProgressNote] = (),
        incarnation: str = "a",
    ) -> Grant | None:
        """Pull; the grant that answers it now, or None while it is parked."""
        event = self.pull_event(worker_id, want, reports, progress, incarnation)
        self.handle(event)
        return self.grant(worker_id, event.seq)

    def grant(self, worker_id: str = "w1", seq: int | None = None) -> Grant | None:
        """The last turn's grant to a worker."""
        found = [g for g in self.last.grants if g.worker_id == worker_id and seq in (None, g.seq)]
        assert len(found) <= 1, f"one pull, {len(found)} answers"
        return found[0] if found else None

    def leases(self, worker_id: str = "w1", want: int = 1) -> list[Lease]:
        """What a pull is granted at once."""
        grant = self.pull(worker_id, want)
        return grant.leases if grant is not None else []

    def lease(self, worker_id: str = "w1") -> Lease:
        """The one lease that a pull is granted at once."""
        held = len(self.machine.workers[worker_id].held)
        (lease,) = self.leases(worker_id, want=held + 1)
        return lease

    def start(self, **fields: Any) -> Lease:
        """Submit a task of which worker w1, registered if need be, holds the lease."""
        if "w1" not in self.machine.workers:
            self.register(slots=100)
        task_id = self.submit(**fields)
        lease = self.lease()
        assert lease.task_id == task_id
        return lease

    def report(self, *reports: Report, worker_id: str = "w1") -> None:
        """A pull that wants nothing and reports."""
        self.pull(worker_id, 0, reports)

    def want_status(
        self,
        status: WorkerStatus,
        worker_id: str = "w1",
        within_seconds: float | None = None,
    ) -> Answer:
        return self.ask(ev.WorkerStatusWanted(worker_id, status, within_seconds))

    def holds(self, worker_id: str = "w1") -> set[str]:
        """Ids of the tasks whose leases the worker has."""
        return set(self.machine.workers[worker_id].held)

    # ---- inside ----------------------------------------------------------------------------

    def _save(self, fx: Effects) -> None:
        changes = fx.changes
        self.store.commit(changes)
        for task in (*changes.inserted, *changes.touched.values()):
            copy = msgspec.msgpack.decode(msgspec.msgpack.encode(task), type=Task)
            self.tasks[task.spec.id] = copy
        for event in changes.timeline:
            self.kinds.setdefault(event.seq, []).append(event.kind)
        for (_, _, kind), count in changes.tallies.items():
            self.tallies[kind] = self.tallies.get(kind, 0) + count
        self.over += [(task.spec.id, task.status) for task in fx.over]

    def _load(self) -> QueueMachine:
        return QueueMachine(
            self.rules, self.store.load(), self.now,
            new_id=new_task_id, random=lambda: self.random, next_firing=next_firing,
        )  # fmt: skip


def succeeded(lease: Lease, result: bytes = b"1") -> Report:
    return Report(lease.task_id, lease.attempt, Outcome.SUCCEEDED, START, 2.0, result)


def failed(lease: Lease, **fields: Any) -> Report:
    """The task raised."""
    return ended(lease, Outcome.FAILED, **fields)


def ended(lease: Lease, outcome: Outcome, **fields: Any) -> Report:
    """The attempt ended otherwise than by success."""
    error = TaskError("ValueError", "no") if outcome is Outcome.FAILED else None
    report = Report(lease.task_id, lease.attempt, outcome, START, 2.0, error=error)
    return msgspec.structs.replace(report, **fields)


def refusal(answer: Answer) -> str:
    """Why a request was refused."""
    assert isinstance(answer, Refused), answer
    return answer.reason
