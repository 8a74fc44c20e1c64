"""The loop around the machine: gather what happened, decide, save, answer.

Everything that arrives while the event loop is busy shares one turn: one call of the machine and
one transaction. Nothing is answered before its turn is committed. If a commit fails, the machine
has decided things that never became true: it is thrown away, everybody in that turn is told
SchedulerUnavailable, and a new one is loaded from the store as soon as the store answers.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct, field

from task_queue.clock import Clock
from task_queue.core.effects import Accepted, Answer, Counted, Effects, Grant, Moved, Refused
from task_queue.core.events import (
    CancelRequested,
    Event,
    QueuePurged,
    TasksReplayed,
    TasksSubmitted,
    Ticked,
    Unheard,
    WorkerPulled,
)
from task_queue.core.machine import QueueMachine
from task_queue.core.schedule import NextFiring
from task_queue.core.settings import Rules
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task, TaskSpec
from task_queue.histogram import Histogram, sum_of
from task_queue.latency_book import LatencyBook
from task_queue.over_waiters import OverWaiters
from task_queue.paging import pages_wanted, read_pages
from task_queue.recent_grants import PullId, RecentGrants
from task_queue.replica_book import ReplicaBook, ReplicaReport
from task_queue.scheduler_api import SchedulerReading, SchedulerUnavailable, StoreReading
from task_queue.scheduler_reading import read_machine
from task_queue.store.protocol import Pruned, StaleEpoch, Store, StoreError
from task_queue.store.query import Pool, TaskQuery
from task_queue.tasks import TaskType

_RELOAD_DELAYS_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0)
_PURGE_BATCH = 1_000
#: The wall clock was set if it gained so much on the steady one between two turns.
_STEP_SECONDS = 0.02

T = TypeVar("T")

_REPLAYABLE = (Status.FAILED, Status.CANCELLED, Status.EXPIRED)


class TurnStats(Struct):
    """What the turns cost so far."""

    turns: int = 0
    commit_seconds_total: float = 0.0
    commit_seconds_last: float = 0.0
    inserts: int = 0  #: commits that accepted tasks
    updates: int = 0  #: other commits
    commits: Histogram = field(default_factory=Histogram)  #: seconds


class SchedulerParts(Struct):
    """What the scheduler is made of; tests replace what they need to hold still."""

    open_store: Callable[[], Store]
    rules: Rules
    clock: Clock
    new_id: Callable[[float], str]
    random: Callable[[], float]
    next_firing: NextFiring
    #: Called after each committed turn with its time; must not raise.
    on_turn: Callable[[Effects, float], None] = lambda _fx, _now: None
    #: Called with what went wrong, in words, when a turn failed or the store was away.
    on_trouble: Callable[[str, BaseException], None] = lambda _what, _error: None
    #: Called once when another scheduler has taken over the store: this one must go.
    on_dethroned: Callable[[], None] = lambda: None
    #: Called in every turn, before it is saved, with the machine; raises if it contradicts itself.
    check: Callable[[QueueMachine], None] = lambda _machine: None


class Scheduler:
    """A SchedulerApi over one store. One event loop, no threads."""

    def __init__(self, parts: SchedulerParts) -> None:
        self._parts = parts
        self._clock = parts.clock
        self._started_at = parts.clock.now()
        self._store: Store | None = None
        self._machine: QueueMachine | None = None
        self._epoch = 0
        self._now = 0.0
        self._steady = parts.clock.monotonic()
        self._inbox: list[tuple[Event, asyncio.Future[Answer]]] = []
        self._turn_is_due = False
        self._timer: asyncio.TimerHandle | None = None
        #: The pulls that are open.
        self._pulls: dict[PullId, asyncio.Future[Grant]] = {}
        self._grants = RecentGrants()
        self._waiters = OverWaiters()
        self._loading: asyncio.Task[None] | None = None
        self._stats = TurnStats()
        #: Tasks in the store that are over.
        self._ended = 0
        self._latencies = LatencyBook()
        self._replicas = ReplicaBook(self._started_at)
        self._stopped = False

    # ---- life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to load the store. Until that is done, every call raises SchedulerUnavailable.

        Repeating it is harmless: what is loaded stays.
        """
        if self._machine is None and (self._loading is None or self._loading.done()):
            self._loading = asyncio.get_running_loop().create_task(self._load())

    async def started(self) -> None:
        """Wait until the store is loaded."""
        self.start()
        if self._loading is not None:
            await asyncio.shield(self._loading)

    def stop(self) -> None:
        """Answer nothing more and let the store go."""
        self._stopped = True
        self._machine = None
        if self._timer is not None:
            self._timer.cancel()
        if self._loading is not None:
            self._loading.cancel()
        self._fail_everybody(SchedulerUnavailable("the scheduler was stopped"))
        self._close_store()

    def _close_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except StoreError as error:
                self._parts.on_trouble("the store cannot be closed", error)

    async def _load(self) -> None:
        """Build the machine from the store, however long the store stays away."""
        attempt = 0
        while True:
            try:
                self._try_load()
            except Exception as error:  # noqa: BLE001  nobody else would ever try again
                self._parts.on_trouble("the store cannot be loaded", error)
                self._close_store()
            if self._machine is not None or self._stopped:
                return  # else the first turn failed, and said so
            delay = _RELOAD_DELAYS_SECONDS[min(attempt, len(_RELOAD_DELAYS_SECONDS) - 1)]
            attempt += 1
            await asyncio.sleep(delay)

    def _try_load(self) -> None:
        parts = self._parts
        if self._store is None:
            self._store = parts.open_store()
            self._epoch = self._store.take_over()
        # A store that cannot be written is no store: until it can, everybody is told so.
        self._store.check_writable()
        loaded = self._store.load()
        self._ended = self._store.count_ended()
        self._now = max(self._now, self._clock.now())
        self._steady = self._clock.monotonic()
        self._machine = QueueMachine(
            parts.rules, loaded, self._now,
            new_id=parts.new_id, random=parts.random, next_firing=parts.next_firing,
        )  # fmt: skip
        self._grants = RecentGrants()
        self._turn()

    # ---- calls -----------------------------------------------------------------------------

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        ids = [spec.id for spec in specs] if repeated else []
        keys = [spec.idempotency_key for spec in specs if spec.idempotency_key is not None]
        known = self._ask(lambda store: store.known(ids, keys)) if ids or keys else {}
        answer = await self.request(TasksSubmitted(list(specs), known))
        assert isinstance(answer, Accepted | Refused)
        return answer

    async def request(self, event: Event) -> Answer:
        machine = self._require_machine()
        if isinstance(event, CancelRequested) and machine.book.may_be_paged_out(event.task_id):
            # No turn comes between this look and the one that takes the event: it is true.
            event.stored = self._ask(lambda store: store.get(event.task_id))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._inbox.append((event, future))
        self._want_turn()
        return await future

    async def pull(self, event: WorkerPulled) -> Grant:
        self._require_machine()
        pull = (event.worker_id, event.incarnation, event.seq)
        granted = self._grants.get(pull)
        if granted is not None:
            return granted  # its answer was lost on the way
        future = self._pulls.get(pull)
        if future is None:  # else it is repeated while it is open: its reports are taken already
            future = self._pulls[pull] = asyncio.get_running_loop().create_future()
            await self.request(event)
        return await asyncio.shield(future)  # shared with whoever repeats the pull

    async def retry(self, task_id: str, request_id: str) -> Moved | Refused:
        if self._ask(lambda store: store.answered(request_id)) is not None:
            return Moved(task_id, Status.QUEUED, cancel_requested=False)
        task = self._ask(lambda store: store.get(task_id))
        if task is None:
            return Refused("not_live", f"no task has the id '{task_id}'")
        if task.status not in _REPLAYABLE:
            return Refused(
                "conflict",
                f"{task.status}: only FAILED, CANCELLED or EXPIRED ones can be retried",
            )
        await self.request(TasksReplayed([task], request_id))
        return Moved(task_id, Status.QUEUED, cancel_requested=False)

    async def replay(self, query: TaskQuery, limit: int, dry_run: bool, request_id: str) -> int:
        answered = self._ask(lambda store: store.answered(request_id))
        if answered is not None:
            return answered
        tasks = self._dead_letters(query, limit)
        if dry_run:
            return len(tasks)
        # No turn can come between the search and the one that takes the event: the list is true.
        answer = await self.request(TasksReplayed(tasks, request_id))
        return getattr(answer, "count", 0)

    async def purge_dlq(self, query: TaskQuery) -> int:
        self._turn()  # what waits in the inbox may concern these tasks and came first
        count = 0
        while tasks := self._dead_letters(query, _PURGE_BATCH):
            deleted = self._ask(partial(_delete, tasks))
            self._ended -= deleted
            count += deleted
            await asyncio.sleep(0)
            self._turn()
        return count

    async def purge_queue(self, queue: str) -> int:
        self._turn()  # what waits in the inbox came first
        before_seq = self._require_machine().book.next_seq
        count = 0
        while True:  # what is paged out comes in, page by page, before each look
            answer = await self.request(QueuePurged(queue, before_seq))
            assert isinstance(answer, Counted)
            if not answer.count:
                return count
            count += answer.count

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        book = self._require_machine().book
        absent = [task_id for task_id in task_ids if task_id not in book.live]
        if absent and not (book.may_be_paged_out(absent[0]) and self._all_wait(absent)):
            return
        await self._waiters.wait(task_ids, timeout_seconds)

    def _all_wait(self, task_ids: Sequence[str]) -> bool:
        found = self._ask(lambda store: store.find(task_ids))
        return len(found) == len(task_ids) and not any(t.status in TERMINAL for t in found.values())

    async def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        self._ask(lambda store: store.declare(pools, task_types))

    async def read(self, told: ReplicaReport | None = None) -> SchedulerReading:
        machine, now, stats = self._require_machine(), self._clock.now(), self._stats
        if told is not None:
            self._replicas.take(told, now)
        reading = read_machine(
            machine, now, self._started_at, self._epoch, stats.turns,
            stats.commit_seconds_total, stats.commit_seconds_last,
        )  # fmt: skip
        reading.latencies = self._latencies.queues()
        reading.replicas = self._replicas.sums
        reading.store = self._store_reading(now)
        return reading

    def _store_reading(self, now: float) -> StoreReading:
        stats, asked = self._stats, self._replicas.sums.query_seconds
        in_use, available = self._replicas.connections(now)
        # The scheduler's own connection works only during a turn, when nobody can look.
        return StoreReading(
            stats.inserts, stats.updates, sum(asked.counts), sum_of((stats.commits, asked)),
            in_use, available + 1,
        )  # fmt: skip

    def prune(self, ended_before: float, most_ended: int, limit: int) -> Pruned:
        """Delete results past their time, tasks that ended before a time, and the oldest of them
        beyond a number."""
        self._turn()
        surplus = max(0, self._ended - most_ended)
        pruned = self._ask(lambda store: store.prune(self._now, ended_before, surplus, limit))
        self._ended -= pruned.tasks
        return pruned

    def between_turns(self, question: Callable[[Store], T]) -> T:
        """A word with the store that concerns no live task."""
        return self._ask(question)

    def prune_workers(self, ended_before: float) -> int:
        """Forget workers that ended before a time."""
        return self._ask(lambda store: store.prune_workers(ended_before))

    def tick(self) -> None:
        """Let the machine see the time."""
        if self._machine is not None:
            self._note(Ticked())
            self._turn()

    def _note(self, event: Ticked | Unheard) -> None:
        """Tell the machine something to which nobody waits for an answer."""
        self._inbox.insert(0, (event, asyncio.get_running_loop().create_future()))

    # ---- turns -----------------------------------------------------------------------------

    def _want_turn(self) -> None:
        if not self._turn_is_due:
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Handle, save and answer all that has come in."""
        self._turn_is_due = False
        machine, store = self._machine, self._store
        if machine is None or store is None:
            away = SchedulerUnavailable("the store does not answer; try again shortly")
            self._fail(self._take_inbox(), away)
            return
        self._look_at_clock()
        inbox = self._take_inbox()
        refused = machine.refused_reports
        try:
            pages = read_pages(machine, store)
            fx = machine.handle([*pages, *(event for event, _ in inbox)], self._now)
            self._parts.check(machine)
            self._save(store, fx, machine.refused_reports > refused)
        except StaleEpoch as error:
            self._give_up(inbox, error)
        except Exception as error:  # noqa: BLE001  whatever it was, memory and store may differ now
            self._start_over(inbox, error)
        else:
            self._grants.take(fx.grants, machine.workers)
            self._answer(inbox, fx.answers[len(pages) :], fx)
            self._ended += len(fx.over) - fx.replayed
            self._latencies.take(fx.changes.ended, self._now)
            self._parts.on_turn(fx, self._now)
            self._arm_timer(machine)
            if pages_wanted(machine):
                self._want_turn()

    def _take_inbox(self) -> list[tuple[Event, asyncio.Future[Answer]]]:
        inbox, self._inbox = self._inbox, []
        return inbox

    def _look_at_clock(self) -> None:
        """What was sent while this process was stopped is still on its way: nobody is to blame."""
        before, self._now = self._now, max(self._now, self._clock.now())
        passed = self._now - before
        steady, self._steady = self._steady, self._clock.monotonic()
        jumped = passed - (self._steady - steady)
        if passed > 2 * self._parts.rules.poll_seconds:  # a turn comes at least once in that time
            self._note(Unheard(passed))
        elif jumped > _STEP_SECONDS:  # the clock was set ahead: a lease is no shorter for that
            self._note(Unheard(jumped))

    def _save(self, store: Store, fx: Effects, has_refused: bool) -> None:
        """Save the turn. Who refuses a report without saving anything proves that he may: one that
        was replaced does not know the newer leases, and the worker forgets what was refused."""
        self._stats.turns += 1
        if fx.changes:
            before = self._clock.monotonic()
            store.commit(fx.changes)
            self._stats.commit_seconds_last = self._clock.monotonic() - before
            self._stats.commit_seconds_total += self._stats.commit_seconds_last
            self._stats.commits.add(self._stats.commit_seconds_last)
            if fx.changes.inserted:
                self._stats.inserts += 1
            else:
                self._stats.updates += 1
        elif has_refused:
            store.check_writable()

    def _answer(
        self, inbox: list[tuple[Event, asyncio.Future[Answer]]], answers: list[Answer], fx: Effects
    ) -> None:
        for (_, future), answer in zip(inbox, answers, strict=True):
            if not future.done():  # its caller may have gone away
                future.set_result(answer)
        for grant in fx.grants:
            pull = self._pulls.pop((grant.worker_id, grant.incarnation, grant.seq), None)
            if pull is not None and not pull.done():
                pull.set_result(grant)
        if fx.over:
            self._waiters.wake(task.spec.id for task in fx.over)

    def _start_over(
        self, inbox: list[tuple[Event, asyncio.Future[Answer]]], error: Exception
    ) -> None:
        self._machine = None
        self._parts.on_trouble("a turn failed; its callers were told so", error)
        unavailable = SchedulerUnavailable(f"nothing was saved: {error}")
        self._fail(inbox, unavailable)
        self._fail_everybody(unavailable)
        if not self._stopped:
            self.start()

    def _give_up(
        self, inbox: list[tuple[Event, asyncio.Future[Answer]]], error: StaleEpoch
    ) -> None:
        self._machine = None
        self._stopped = True
        unavailable = SchedulerUnavailable(str(error))
        self._fail(inbox, unavailable)
        self._fail_everybody(unavailable)
        self._parts.on_trouble("another scheduler has taken over", error)
        self._parts.on_dethroned()

    def _fail(
        self, inbox: list[tuple[Event, asyncio.Future[Answer]]], error: SchedulerUnavailable
    ) -> None:
        for event, future in inbox:
            if not future.done() and not isinstance(event, Ticked | Unheard):
                future.set_exception(error)

    def _fail_everybody(self, error: SchedulerUnavailable) -> None:
        self._waiters.wake_all()
        for pull in self._pulls.values():
            if not pull.done():
                pull.set_exception(error)
                pull.exception()  # its caller may never look: it failed in the same turn
        self._pulls.clear()

    def _arm_timer(self, machine: QueueMachine) -> None:
        due = machine.next_time()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            # Once in a poll period at least: a longer time means that this process stood still.
            delay = max(0.001, min(due - self._clock.now(), self._parts.rules.poll_seconds))
            self._timer = asyncio.get_running_loop().call_later(delay, self.tick)

    # ---- store -----------------------------------------------------------------------------

    def _require_machine(self) -> QueueMachine:
        if self._machine is None:
            raise SchedulerUnavailable("the store is being loaded; try again shortly")
        return self._machine

    def _ask(self, question: Callable[[Store], T]) -> T:
        """A direct word with the store, outside a turn."""
        self._require_machine()
        assert self._store is not None
        try:
            return question(self._store)
        except StoreError as error:
            self._start_over_if_away(self._store)
            raise SchedulerUnavailable(str(error)) from error

    def _start_over_if_away(self, store: Store) -> None:
        """After a question that failed: no turn may come that would find out."""
        try:
            store.check_writable()
        except StaleEpoch as error:
            self._give_up(self._take_inbox(), error)
        except StoreError as error:
            self._start_over(self._take_inbox(), error)

    def _dead_letters(self, query: TaskQuery, limit: int) -> list[Task]:
        """Matching tasks of the dead-letter queue, whole."""
        tasks = self._ask(lambda store: store.search(_in_dlq(query), limit))
        arguments = self._ask(lambda store: store.arguments([task.seq for task in tasks]))
        for task in tasks:
            task.spec.arguments = arguments[task.seq]
        tasks.sort(key=lambda task: task.seq)  # they run again in the order of their acceptance
        return tasks


def _delete(tasks: Sequence[Task], store: Store) -> int:
    return store.delete([task.seq for task in tasks])


def _in_dlq(query: TaskQuery) -> TaskQuery:
    fields = {name: getattr(query, name) for name in query.__struct_fields__}
    return TaskQuery(**{**fields, "in_dlq": True, "statuses": (Status.FAILED,)})
