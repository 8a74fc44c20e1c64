"""What others ask of the queue: see `scheduler_api.py`.

Each call becomes an event for the turn loop, a look at the store, or both.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from task_queue.core.effects import Accepted, Answer, Counted, Effects, Grant, Moved, Refused
from task_queue.core.events import (
    CancelRequested,
    Event,
    QueuePurged,
    TasksReplayed,
    TasksSubmitted,
    WorkerPulled,
)
from task_queue.core.machine import QueueMachine
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import TaskSpec
from task_queue.dead_letters import fill_in_arguments, still_dead
from task_queue.histogram import sum_of
from task_queue.latency_book import LatencyBook
from task_queue.over_waiters import OverWaiters, told
from task_queue.paging import wants_page
from task_queue.recent_grants import PullId, RecentGrants
from task_queue.replica_book import ReplicaBook, ReplicaReport
from task_queue.scheduler_api import (
    DeadLetter,
    Ended,
    SchedulerReading,
    SchedulerUnavailable,
    StoreReading,
)
from task_queue.scheduler_parts import SchedulerParts
from task_queue.scheduler_reading import read_machine
from task_queue.store.protocol import Pruned, Store
from task_queue.store.query import Pool
from task_queue.tasks import TaskType
from task_queue.turn_loop import TurnLoop

T = TypeVar("T")

_REPLAYABLE = (Status.FAILED, Status.CANCELLED, Status.EXPIRED)


class Scheduler:
    """A SchedulerApi over one store. One event loop, no threads."""

    def __init__(self, parts: SchedulerParts) -> None:
        self._clock = parts.clock
        self._started_at = parts.clock.now()
        self._turns = TurnLoop(parts, self)
        #: The pulls that are open, with who asks: more than one if a pull was repeated.
        self._pulls: dict[PullId, list[asyncio.Future[Grant]]] = {}
        self._grants = RecentGrants()
        self._waiters = OverWaiters()
        #: Tasks in the store that are over.
        self._ended = 0
        self._latencies = LatencyBook()
        self._replicas = ReplicaBook(self._started_at)

    def start(self) -> None:
        """Begin to load the store. Until that is done, every call raises SchedulerUnavailable.

        Repeating it is harmless: what is loaded stays.
        """
        self._turns.start()

    async def started(self) -> None:
        """Wait until the store is loaded."""
        await self._turns.started()

    def stop(self) -> None:
        """Answer nothing more and let the store go."""
        self._turns.stop()

    def tick(self) -> None:
        """Let the machine see the time."""
        self._turns.tick()

    # ---- calls -----------------------------------------------------------------------------

    async def submit(self, specs: Sequence[TaskSpec], repeated: bool = False) -> Accepted | Refused:
        specs = list(specs)  # of runs each look makes them anew
        ids = [spec.id for spec in specs] if repeated else []
        keys = [spec.idempotency_key for spec in specs if spec.idempotency_key is not None]
        known: dict[str, str] = {}
        if ids or keys:
            await self._turns.settled()
            known = self._turns.ask(lambda store: store.known(ids, keys))
        answer = await self.request(TasksSubmitted(specs, known))
        assert isinstance(answer, Accepted | Refused)
        return answer

    async def request(self, event: Event) -> Answer:
        if isinstance(event, CancelRequested) and self._may_be_paged_out(event.task_id):
            await self._turns.settled()
            event.stored = self._turns.ask(lambda store: store.get(event.task_id))
        return await self._turns.request(event)

    def _may_be_paged_out(self, task_id: str) -> bool:
        return self._turns.require_machine().book.may_be_paged_out(task_id)

    async def pull(self, event: WorkerPulled) -> Grant:
        self._turns.require_machine()
        pull = (event.worker_id, event.incarnation, event.seq)
        granted = self._grants.get(pull)
        if granted is not None:
            return granted  # its answer was lost on the way
        answer: asyncio.Future[Grant] = asyncio.get_running_loop().create_future()
        askers = self._pulls.get(pull)
        if askers is not None:  # it is repeated while it is open: its reports are taken already
            askers.append(answer)
            return await answer
        askers = self._pulls[pull] = [answer]
        try:
            await self._turns.request(event)
        except SchedulerUnavailable:
            if self._pulls.get(pull) is askers:  # the machine has never seen it
                del self._pulls[pull]
            raise
        return await answer

    async def retry(self, task_id: str, request_id: str) -> Moved | Refused:
        await self._turns.settled()
        if self._turns.ask(lambda store: store.answered(request_id)) is not None:
            return Moved(task_id, Status.QUEUED, cancel_requested=False)
        task = self._turns.ask(lambda store: store.get(task_id))
        if task is None:
            return Refused("not_live", f"no task has the id '{task_id}'")
        if task.status not in _REPLAYABLE:
            return Refused(
                "conflict",
                f"{task.status}: only FAILED, CANCELLED or EXPIRED ones can be retried",
            )
        answer = await self.request(TasksReplayed([task], request_id))
        if isinstance(answer, Refused):
            return answer
        return Moved(task_id, Status.QUEUED, cancel_requested=False)

    async def replay(self, letters: Sequence[DeadLetter], request_id: str) -> Counted | Refused:
        await self._turns.settled()
        answered = self._turns.ask(lambda store: store.answered(request_id))
        if answered is not None:
            return Counted(answered)
        # No turn can come between this look and the one that takes the event: the list is true.
        tasks = self._turns.ask(partial(still_dead, letters))
        if not self._turns.ask(partial(fill_in_arguments, tasks)):
            return Refused("too_large", f"the arguments of {len(tasks)} tasks are too large")
        answer = await self.request(TasksReplayed(tasks, request_id))
        assert isinstance(answer, Counted | Refused)
        return answer

    async def purge_dlq(self, letters: Sequence[DeadLetter]) -> int:
        await self._turns.caught_up()  # what has come in may concern these tasks and came first
        tasks = self._turns.ask(partial(still_dead, letters))
        deleted = self._turns.ask(lambda store: store.delete([task.seq for task in tasks]))
        self._ended -= deleted
        return deleted

    async def purge_queue(self, queue: str) -> int:
        await self._turns.caught_up()  # what has come in came first
        before_seq = self._turns.require_machine().book.next_seq
        count = 0
        while True:  # what is paged out comes in, page by page, before each look
            answer = await self.request(QueuePurged(queue, before_seq))
            assert isinstance(answer, Counted)
            count += answer.count
            if not answer.count and not wants_page(self._turns.require_machine(), queue):
                return count

    async def wait_over(self, task_ids: Sequence[str], timeout_seconds: float) -> None:
        if self._absent(task_ids):
            await self._turns.settled()  # else the end of one of them may not be saved yet
            if self._is_over_or_unknown(task_ids):
                return
        await self._waiters.wait(task_ids, timeout_seconds)

    async def end_of(self, task_id: str, timeout_seconds: float) -> Ended | None:
        with self._waiters.waiting([task_id]) as end:
            if self._absent([task_id]):
                await self._turns.caught_up()  # its submit may be among what has come in
                if not end.done() and self._is_over_or_unknown([task_id]):
                    return None
            return await told(end, timeout_seconds)

    def _is_over_or_unknown(self, task_ids: Sequence[str]) -> bool:
        """Whether one of them is; what has come in must be settled."""
        absent = self._absent(task_ids)
        return bool(absent) and not (self._may_be_paged_out(absent[0]) and self._all_wait(absent))

    def _absent(self, task_ids: Sequence[str]) -> list[str]:
        live = self._turns.require_machine().book.live
        return [task_id for task_id in task_ids if task_id not in live]

    def _all_wait(self, task_ids: Sequence[str]) -> bool:
        found = self._turns.ask(lambda store: store.find(task_ids))
        return len(found) == len(task_ids) and not any(t.status in TERMINAL for t in found.values())

    async def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        await self._turns.settled()
        self._turns.ask(lambda store: store.declare(pools, task_types))

    async def read(self, told: ReplicaReport | None = None) -> SchedulerReading:
        machine, now, stats = self._turns.require_machine(), self._clock.now(), self._turns.stats
        if told is not None:
            self._replicas.take(told, now)
        reading = read_machine(
            machine, now, self._started_at, self._turns.epoch, stats.turns,
            stats.commit_seconds_total, stats.commit_seconds_last,
        )  # fmt: skip
        reading.latencies = self._latencies.queues()
        reading.replicas = self._replicas.sums
        reading.store = self._store_reading(now)
        return reading

    def _store_reading(self, now: float) -> StoreReading:
        stats, asked = self._turns.stats, self._replicas.sums.query_seconds
        in_use, available = self._replicas.connections(now)
        # The scheduler's own connection works only during a turn, when nobody can look.
        return StoreReading(
            stats.inserts, stats.updates, sum(asked.counts), sum_of((stats.commits, asked)),
            in_use, available + 1, self._turns.commit_waits_seconds,
        )  # fmt: skip

    async def prune(self, ended_before: float, most_ended: int, limit: int) -> Pruned:
        """Delete results past their time, tasks that ended before a time, and the oldest of them
        beyond a number."""
        await self._turns.caught_up()
        # There may have been no turn for long: nothing is due where no worker is.
        now = max(self._turns.now, self._clock.now())
        surplus = max(0, self._ended - most_ended)
        pruned = self._turns.ask(lambda store: store.prune(now, ended_before, surplus, limit))
        self._ended -= pruned.tasks
        return pruned

    async def between_turns(self, question: Callable[[Store], T]) -> T:
        """A word with the store that concerns no live task."""
        await self._turns.settled()
        return self._turns.ask(question)

    async def prune_workers(self, ended_before: float) -> int:
        """Forget workers that ended before a time."""
        await self._turns.settled()
        return self._turns.ask(lambda store: store.prune_workers(ended_before))

    # ---- what the turn loop tells --------------------------------------------------------------

    def loaded(self, store: Store) -> None:
        self._ended = store.count_ended()
        self._grants = RecentGrants()

    def saved(self, fx: Effects, machine: QueueMachine, now: float) -> None:
        self._grants.take(fx.grants, machine.workers)
        for grant in fx.grants:
            for asker in self._pulls.pop((grant.worker_id, grant.incarnation, grant.seq), ()):
                if not asker.done():
                    asker.set_result(grant)
        if fx.over:
            self._waiters.wake(fx)
        self._ended += len(fx.over) - fx.replayed
        self._latencies.take(fx.changes.ended, now)

    def lost(self, error: SchedulerUnavailable) -> None:
        self._waiters.wake_all()
        for askers in self._pulls.values():
            for asker in askers:
                if not asker.done():
                    asker.set_exception(error)
                    asker.exception()  # its caller may never look: it failed in the same turn
        self._pulls.clear()
