"""The machine under any sequence of events, late, stale and repeated ones included.

Events of several callers share turns, turns fail to be saved, schedulers are replaced. After each
turn the machine must not contradict itself, must agree with an observer of its leases
(tests/core/lease_model.py), and must equal what another scheduler would load from the store.
"""

from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from task_queue.core import events as ev
from task_queue.core.effects import Effects
from task_queue.core.invariants import check_invariants
from task_queue.core.machine import QueueMachine
from task_queue.core.schedule import Schedule
from task_queue.core.settings import Rules
from task_queue.core.status import TERMINAL, Outcome, Status, WorkerStatus
from task_queue.core.task import Progress, ProgressNote, Report, Task, TaskSpec
from task_queue.core.worker import WorkerInfo
from task_queue.next_firing import next_firing
from task_queue.paging import pages_wanted, read_pages
from task_queue.store.memory import MemoryStore
from tests.core.lease_model import LeaseModel

_RULES = Rules(
    lease_seconds=15.0,
    poll_seconds=5.0,
    max_deaths=3,
    max_queue_length=20,
    window=2,
    max_retrying=2,
)
_START = 1_700_000_000.0
_WORKERS = {
    "any": WorkerInfo("any", "", "p", ("*",), 2),
    "red": WorkerInfo("red", "", "p", ("red",), 1),
    "rest": WorkerInfo("rest", "", "p", ("*",), 2, excluded=("red",)),
}
_QUEUES = st.sampled_from(["red", "blue"])
_NAMES = st.sampled_from(sorted(_WORKERS))
#: Whether the event waits for others and shares their turn.
_SHARED = st.booleans()
_MOST_REMEMBERED = 30


class QueueHistory(RuleBasedStateMachine):
    """Callers, workers and schedulers of one queue."""

    @initialize()
    def begin(self) -> None:
        self.now = _START
        self.store = MemoryStore()
        self.store.take_over()
        self.model = LeaseModel(_RULES)
        self.inbox: list[ev.Event] = []
        self.sent: list[bytes] = []  #: events that may come again, encoded
        self.specs: list[TaskSpec] = []
        self.leases: list[tuple[str, int]] = []  #: every lease ever granted
        self.late: set[str] = set()  #: tasks that did not come straight into their line
        self.ids = 0
        self.incarnations = dict.fromkeys(_WORKERS, 0)
        self.pulls = 0
        self.machine = self.load()

    # ---- turns -----------------------------------------------------------------------------

    def load(self) -> QueueMachine:
        machine = QueueMachine(
            _RULES, self.store.load(), self.now,
            new_id=lambda _now: self.new_id(), random=lambda: 0.5, next_firing=next_firing,
        )  # fmt: skip
        check_invariants(machine)
        return machine

    def new_id(self) -> str:
        self.ids += 1
        return f"t{self.ids}"

    def send(self, event: ev.Event, shared: bool, again: bool = True) -> None:
        # As between processes, nobody keeps a reference to what was sent.
        raw = msgspec.msgpack.encode(event)
        self.inbox.append(msgspec.msgpack.decode(raw, type=ev.Event))
        if again:
            self.sent = [*self.sent[1 - _MOST_REMEMBERED :], raw]
        if not shared:
            self.turn(0.0)

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0, 14.0, 60.0]))
    def turn(self, seconds: float) -> None:
        self.now += seconds
        self.one_turn()
        while pages_wanted(self.machine):
            self.one_turn()
        self.nobody_waits_in_vain()

    def one_turn(self) -> None:
        events = self.next_events()
        fx = self.machine.handle(events, self.now)
        check_invariants(self.machine)
        assert len(fx.answers) == len(events)
        self.model = self.model.after(events, self.now, fx)
        self.store.commit(fx.changes)
        self.check_order(fx)
        self.leases += [(x.task_id, x.attempt) for grant in fx.grants for x in grant.leases]
        self.late |= {
            t.spec.id
            for t in (*fx.changes.inserted, *fx.changes.touched.values())
            if t.status in (Status.SCHEDULED, Status.RETRYING) or t.attempt
        }
        self.late |= {t.spec.id for t in fx.over}

    def next_events(self) -> list[ev.Event]:
        """As a scheduler does: what came in, and what the store was asked for it."""
        events, self.inbox = self.inbox, []
        for event in events:
            if isinstance(event, ev.CancelRequested):
                away = event.task_id not in self.machine.book.live
                event.stored = self.store.get(event.task_id) if away else None
        return [*read_pages(self.machine, self.store), *events]

    @rule()
    def turn_is_not_saved(self) -> None:
        """The commit fails: the machine is thrown away, and what it decided never happened."""
        self.machine.handle(self.next_events(), self.now)
        self.restart()

    @rule()
    def restart(self) -> None:
        self.inbox.clear()
        self.machine = self.load()
        self.model.restart(self.now)
        self.late |= self.machine.book.live.keys()  # lines are now in the order of acceptance

    # ---- callers ---------------------------------------------------------------------------

    @rule(
        queue=_QUEUES,
        priority=st.sampled_from([0, 5, 5, 9]),
        retries=st.sampled_from([0, 1, 3]),
        delay=st.sampled_from([None, None, 3.0, 20.0]),
        life=st.sampled_from([None, None, 4.0, 30.0]),
        key=st.sampled_from([None, None, None, "k1", "k2"]),
        count=st.integers(1, 3),
        shared=_SHARED,
    )
    def submit(
        self, queue: str, priority: int, retries: int, delay: float | None, life: float | None,
        key: str | None, count: int, shared: bool,
    ) -> None:  # fmt: skip
        specs = [
            TaskSpec(
                self.new_id(), "n", queue, priority, b"{}", max_retries=retries,
                retry_cap_seconds=8.0, run_at=self.now + delay if delay else None,
                expires_at=self.now + life if life else None, idempotency_key=key,
            )
            for _ in range(count)
        ]  # fmt: skip
        self.specs += specs
        self.submit_specs(specs, shared)

    @rule(queue=_QUEUES, count=st.integers(4, 8), shared=_SHARED)
    def submit_many(self, queue: str, count: int, shared: bool) -> None:
        """So many that some of them are paged out."""
        specs = [TaskSpec(self.new_id(), "n", queue, 5, b"{}") for _ in range(count)]
        self.specs += specs
        self.submit_specs(specs, shared)

    @precondition(lambda self: self.specs)
    @rule(data=st.data(), shared=_SHARED)
    def submit_again(self, data: st.DataObject, shared: bool) -> None:
        self.submit_specs([data.draw(st.sampled_from(self.specs))], shared)

    def submit_specs(self, specs: list[TaskSpec], shared: bool) -> None:
        """As the scheduler does: the store is asked before the turn."""
        keys = [spec.idempotency_key for spec in specs if spec.idempotency_key is not None]
        known = self.store.known([spec.id for spec in specs], keys)
        self.send(ev.TasksSubmitted(specs, known), shared, again=False)

    @precondition(lambda self: self.model.accepted)
    @rule(data=st.data(), shared=_SHARED)
    def cancel(self, data: st.DataObject, shared: bool) -> None:
        task_id = data.draw(st.sampled_from(sorted(self.model.accepted)))
        self.send(ev.CancelRequested(task_id), shared)

    @precondition(lambda self: self.replayable())
    @rule(data=st.data(), shared=_SHARED)
    def run_again(self, data: st.DataObject, shared: bool) -> None:
        task = self.store.get(data.draw(st.sampled_from(self.replayable())))
        assert task is not None
        self.send(ev.TasksReplayed([task]), shared, again=False)

    def replayable(self) -> list[str]:
        return sorted(i for i, s in self.model.over.items() if s is not Status.COMPLETED)

    @precondition(lambda self: self.model.over)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        self.turn(0.0)
        if self.model.over:
            task_id = data.draw(st.sampled_from(sorted(self.model.over)))
            task = self.store.get(task_id)
            assert task is not None
            assert self.store.delete([task.seq]) == 1
            self.model.forget(task_id)

    @rule(queue=_QUEUES, shared=_SHARED)
    def purge(self, queue: str, shared: bool) -> None:
        self.send(ev.QueuePurged(queue), shared)

    @rule(queue=_QUEUES, paused=st.booleans(), shared=_SHARED)
    def pause(self, queue: str, paused: bool, shared: bool) -> None:
        self.send(ev.QueuePaused(queue, paused), shared)

    @rule(overlap=st.sampled_from(["skip", "allow"]), seconds=st.sampled_from([7.0, 40.0]))
    def schedule(self, overlap: Any, seconds: float) -> None:
        template = TaskSpec("", "clock", "blue", 5, b"{}", idempotency_key="k1")
        schedule = Schedule(
            "s", template, self.now + seconds, interval_seconds=seconds, overlap=overlap
        )
        self.send(ev.ScheduleSaved(schedule), shared=False)

    @rule(shared=_SHARED)
    def unschedule(self, shared: bool) -> None:
        self.send(ev.ScheduleDeleted("s"), shared)

    # ---- workers ---------------------------------------------------------------------------

    def incarnation(self, name: str) -> str:
        return f"i{self.incarnations[name]}"

    @rule(name=_NAMES, fresh=st.booleans(), shared=_SHARED)
    def register(self, name: str, fresh: bool, shared: bool) -> None:
        self.incarnations[name] += fresh
        info = msgspec.structs.replace(_WORKERS[name], incarnation=self.incarnation(name))
        self.send(ev.WorkerRegistered(info), shared)

    @rule(
        name=_NAMES,
        want=st.integers(0, 4),
        outcomes=st.lists(st.sampled_from(list(Outcome)), max_size=3),
        data=st.data(),
        shared=_SHARED,
    )
    def pull(
        self, name: str, want: int, outcomes: list[Outcome], data: st.DataObject, shared: bool
    ) -> None:
        reports = []
        for outcome in outcomes if self.leases else ():
            task_id, attempt = data.draw(st.sampled_from(self.mostly_held(name)))
            retryable, wait = data.draw(st.sampled_from([(True, None), (True, 0.0), (False, None)]))
            reports.append(
                Report(
                    task_id, attempt, outcome, self.now, 1.0, b"1", retryable=retryable,
                    retry_after_seconds=wait,
                )
            )  # fmt: skip
        progress = [ProgressNote(r.task_id, r.attempt, Progress(0.5)) for r in reports[:1]]
        self.pulls += 1
        event = ev.WorkerPulled(name, self.incarnation(name), self.pulls, want, reports, progress)
        self.send(event, shared)

    def mostly_held(self, name: str) -> list[tuple[str, int]]:
        """The leases that the worker has, if any; else whatever was ever granted to anybody."""
        worker = self.model.workers.get(name)
        held = sorted(worker.leases.items()) if worker is not None else []
        return held * 3 + self.leases[-3:]

    @rule(name=_NAMES, all_of_it=st.booleans(), shared=_SHARED)
    def resume(self, name: str, all_of_it: bool, shared: bool) -> None:
        worker = self.model.workers.get(name)
        holding = sorted(worker.leases.items()) if worker is not None else []
        event = ev.WorkerResumed(
            name, self.incarnation(name), holding if all_of_it else holding[1:]
        )
        self.send(event, shared)

    @rule(name=_NAMES, lost=st.booleans(), blameless=st.booleans(), shared=_SHARED)
    def leave(self, name: str, lost: bool, blameless: bool, shared: bool) -> None:
        incarnation = self.incarnation(name)
        self.send(
            ev.WorkerLost(name, incarnation, "died", blameless)
            if lost
            else ev.WorkerDeregistered(name, incarnation),
            shared,
        )

    @rule(
        name=_NAMES,
        status=st.sampled_from([WorkerStatus.ACTIVE, WorkerStatus.PAUSED, WorkerStatus.DRAINING]),
        within=st.sampled_from([None, 0.0, 5.0]),
        shared=_SHARED,
    )
    def want_status(
        self, name: str, status: WorkerStatus, within: float | None, shared: bool
    ) -> None:
        self.send(ev.WorkerStatusWanted(name, status, within), shared)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), shared=_SHARED)
    def anything_comes_again(self, data: st.DataObject, shared: bool) -> None:
        raw = data.draw(st.sampled_from(self.sent))
        self.send(msgspec.msgpack.decode(raw, type=ev.Event), shared, again=False)

    # ---- what must hold --------------------------------------------------------------------

    def check_order(self, fx: Effects) -> None:
        """Nobody was given a task while a better one of its queues waits."""
        waiting = self.waiting()
        for grant in fx.grants:
            worker = self.machine.workers.get(grant.worker_id)
            if worker is None:
                continue
            passed_over = [t for t in waiting if self.serves(worker.info, t.spec.queue)]
            for lease in grant.leases:
                for task in passed_over:
                    assert task.spec.priority <= lease.priority
                    if (task.spec.queue, task.spec.priority) == (lease.queue, lease.priority):
                        fresh = lease.attempt == 1 and not {task.spec.id, lease.task_id} & self.late
                        assert not fresh or task.attempt or lease.seq < task.seq

    def nobody_waits_in_vain(self) -> None:
        waiting = self.waiting()
        for worker in self.machine.workers.values():
            if worker.takes_work and len(worker.held) < worker.want:
                assert not [t for t in waiting if self.serves(worker.info, t.spec.queue)]

    def serves(self, info: WorkerInfo, queue: str) -> bool:
        named = queue in info.queues or ("*" in info.queues and queue not in info.excluded)
        return named and queue not in self.machine.paused

    def waiting(self) -> list[Task]:
        return [t for t in self.live() if t.status is Status.QUEUED] + self.away()

    def away(self) -> list[Task]:
        """What is paged out."""
        lines = self.store.load().paged_out
        return [t for line in lines for t in self.store.page(line.queue, line.priority, 99, 10**6)]

    def live(self) -> list[Task]:
        return list(self.machine.book.live.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        if not self.model.accepted:
            return
        found = self.store.find(sorted(self.model.accepted))
        assert found.keys() == self.model.accepted
        over = {i: task.status for i, task in found.items() if task.status in TERMINAL}
        assert over == self.model.over
        away = {task.spec.id for task in self.away()}
        assert self.machine.book.live.keys() == self.model.accepted - over.keys() - away

    @invariant()
    def leases_are_as_expected(self) -> None:
        held = {i: w for w, worker in self.machine.workers.items() for i in worker.held}
        assert held == self.model.leased()

    @invariant()
    def nothing_waits_past_its_time(self) -> None:
        for task in self.live():
            if task.status is not Status.RUNNING:
                assert task.expires_at is None or task.expires_at > self.now
            if task.status in (Status.SCHEDULED, Status.RETRYING):
                assert task.due_at > self.now

    @invariant()
    def the_store_equals_the_machine(self) -> None:
        loaded, machine = self.store.load(), self.machine
        assert {t.spec.id: _frozen(t) for t in loaded.tasks} == {
            t.spec.id: _frozen(t) for t in self.live()
        }
        assert set(loaded.paused_queues) == machine.paused
        assert {s.id: _frozen(s) for s in loaded.schedules} == {
            i: _frozen(s) for i, s in machine.schedules.items()
        }
        assert {w.worker_id: _frozen(w) for w in loaded.workers} == {
            i: _frozen(w.info) for i, w in machine.workers.items()
        }
        assert {(p.queue, p.priority): p.count for p in loaded.paged_out} == {
            (p.queue, p.priority): p.count
            for line in machine.book.lines.values()
            for p in line.paged_out
        }
        assert loaded.next_seq > max((t.seq for t in loaded.tasks), default=0)

    def teardown(self) -> None:
        """Whatever happened, one healthy worker brings every accepted task to its end."""
        if not hasattr(self, "machine"):
            return
        self.turn(0.0)
        self.send(ev.ScheduleDeleted("s"), shared=True)
        for queue in ("red", "blue"):
            self.send(ev.QueuePaused(queue, paused=False), shared=True)
        for name, worker in list(self.machine.workers.items()):
            self.send(ev.WorkerLost(name, worker.info.incarnation, "over"), shared=True)
        self.send(ev.WorkerRegistered(WorkerInfo("last", "i", "p", ("*",), 99)), shared=False)
        for _ in range(20):
            held = self.machine.workers["last"].held.values()
            reports = [
                Report(t.spec.id, t.attempt, Outcome.SUCCEEDED, self.now, 1.0, b"1") for t in held
            ]
            self.pulls += 1
            self.send(ev.WorkerPulled("last", "i", self.pulls, 99, reports), shared=True)
            self.turn(4.0)
        assert self.live() == self.away() == []
        assert self.model.over.keys() == self.model.accepted


def _frozen(record: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(record)


TestQueueHistory = QueueHistory.TestCase
