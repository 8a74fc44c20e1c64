"""The clients of one schedule: they submit, cancel, ask for ends, and have tasks run again.

They note what they are told.

Every submit carries an idempotency key and is repeated until it is answered, so that in the end
each task that may exist is known. What is done is drawn from the seed; when, is up to the world.
"""

import asyncio
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from msgspec import UNSET, Struct

from cluster.chaos.plan import Plan
from task_queue import AsyncClient
from task_queue.client.outcome import Outcome
from task_queue.client.submission import submit_request
from task_queue.clock import Clock
from task_queue.errors import Conflict, NotFound, QueueUnreachable, RequestRefused
from task_queue.history import Kind, Record
from task_queue.history.ledger_task import LEDGER_TASK
from task_queue.wire import SubmitRequest, TaskFilter

#: Answers of a queue that is in trouble and says so.
_TROUBLED = (429, 502, 503, 504)
_BATCHES, _TWICE, _CANCELS, _FAILS, _DEAD = 0.15, 0.1, 0.1, 0.05, 0.04  #: shares
_RERUNS = 0.6  #: of those that are CANCELLED or FAILED
_MOST_IN_BATCH = 8
_WORK_SECONDS = ((0.01, 80), (0.1, 15), (0.6, 5))  #: how long tasks take, and their weights
_PRIORITIES = (2, 5, 8)
_AGAIN_SECONDS = (0.05, 0.3)
_LOOK_SECONDS = 1.0


class Where(Struct, frozen=True):
    """What the load goes to."""

    queue: str
    ledger: Path  #: of this schedule alone
    prefix: str  #: of its idempotency keys: no two schedules on a store have the same


class Load:
    """One schedule's clients. `run` may be called once."""

    def __init__(self, client: AsyncClient, where: Where, plan: Plan, clock: Clock) -> None:
        self.records: list[Record] = []
        self.answers: Counter[str] = Counter()  #: those that were no success, by what they were
        self.closed = False  #: every submit was answered, and all that was accepted is over
        self._client = client
        self._where = where
        self._plan = plan
        self._clock = clock
        self._random = Random(f"load of {plan.seed}")
        self._accepted: dict[str, None] = {}  # in order
        self._over: dict[str, Outcome] = {}
        self._keys: dict[str, str] = {}  # of each task, which is its tag as well
        self._ended: set[str] = set()  # those that ended once, and perhaps run again
        self._unsure: set[str] = set()  # whose cancel may come yet
        self._reruns: dict[str, asyncio.Task[None]] = {}

    async def run(self, close_seconds: float) -> None:
        """Load the queue for as long as the plan says, then wait until all has ended.

        Args:
            close_seconds: for the ends. What is not over then stays without one in the records.
        """
        watcher = asyncio.create_task(self._watch())
        submits: list[asyncio.Task[None]] = []
        until = self._clock.monotonic() + self._plan.load_seconds
        try:
            while self._clock.monotonic() < until:
                submits.append(asyncio.create_task(self._submit(self._some_requests())))
                await asyncio.sleep(self._random.expovariate(self._plan.tasks_per_second))
            async with asyncio.timeout(close_seconds):
                await asyncio.gather(*submits)
                while set(self._over) != set(self._accepted) or self._run_again():
                    await asyncio.sleep(0.05)
                await self._ask_again()
            self.closed = True
        except TimeoutError:
            self.answers["tasks not over in time"] = len(self._accepted) - len(self._over)
            self.answers["submits not answered in time"] = sum(not sent.done() for sent in submits)
        finally:
            await _end([watcher, *submits, *self._reruns.values()])

    # ---- submits and cancels ---------------------------------------------------------------

    def _some_requests(self) -> list[SubmitRequest]:
        count = 1
        if self._random.random() < _BATCHES:
            count = self._random.randint(2, _MOST_IN_BATCH)
        return [self._request() for _ in range(count)]

    def _request(self) -> SubmitRequest:
        random = self._random
        times, weights = zip(*_WORK_SECONDS, strict=True)
        (seconds,) = random.choices(times, weights)
        dice = random.random()
        options = {"max_retries": 0} if dice < _DEAD else {}
        key = f"{self._where.prefix}-{random.getrandbits(64):016x}"
        return submit_request(
            LEDGER_TASK, str(self._where.ledger), seconds, int(dice < _DEAD + _FAILS),
            queue=self._where.queue, priority=random.choice(_PRIORITIES),
            tags=[self._where.prefix, key], idempotency_key=key, **options,
        )  # fmt: skip

    async def _submit(self, requests: list[SubmitRequest]) -> None:
        twice, cancelled = self._random.random() < _TWICE, self._random.random() < _CANCELS
        pause = self._random.uniform(0.0, 0.3)
        sends = [self._send(requests) for _ in range(2 if twice else 1)]
        (task_id, *_), *_ = await asyncio.gather(*sends)
        if cancelled:
            await asyncio.sleep(pause)
            await self._cancel(task_id)

    async def _send(self, requests: list[SubmitRequest]) -> list[str]:
        """Until the answer is known."""
        sent_at = self._clock.monotonic()
        while True:
            try:
                handles = await self._client.submit_many(requests)
                break
            except (QueueUnreachable, RequestRefused) as error:
                self._note_trouble("submit", error)
            await asyncio.sleep(self._random.uniform(*_AGAIN_SECONDS))
        for request, handle in zip(requests, handles, strict=True):
            key, queue = request.idempotency_key or "", request.queue or ""
            self.records.append(
                Record(
                    sent_at, Kind.SUBMIT_SENT, handle.task_id, queue=queue, key=key,
                    priority=request.priority or 0, retries=request.max_retries,
                )
            )  # fmt: skip
            self._tell(Kind.ACCEPTED, handle.task_id, key=key)
            self._accepted[handle.task_id] = None
            self._keys[handle.task_id] = key
        return [handle.task_id for handle in handles]

    async def _cancel(self, task_id: str) -> None:
        """Once: a cancel whose answer is lost may or may not have been carried out."""
        try:
            view = await self._client.cancel(task_id)
        except Conflict:
            return  # it is over
        except (QueueUnreachable, RequestRefused) as error:
            self._note_trouble("cancel", error)
            self._unsure.add(task_id)
        else:
            self._tell(Kind.CANCEL_ACKNOWLEDGED, task_id, status=view.status)

    # ---- again -----------------------------------------------------------------------------

    def _run_again(self) -> bool:
        """Ask for some of those that have ended badly, once each; whether any are asked for now."""
        for task_id, outcome in self._over.items():
            if task_id in self._ended:
                continue
            self._ended.add(task_id)
            wanted = outcome.status in ("FAILED", "CANCELLED") and task_id not in self._unsure
            if wanted and self._random.random() < _RERUNS:
                self._reruns[task_id] = asyncio.create_task(self._rerun(task_id, outcome.status))
        return not all(rerun.done() for rerun in self._reruns.values())

    async def _rerun(self, task_id: str, status: str) -> None:
        """By a retry, or by a replay of the one dead letter; it may or may not be carried out if
        its answer is lost. Nobody asks for the end meanwhile, so what is told later is new."""
        by_replay = status == "FAILED" and self._random.random() < 0.5
        await asyncio.sleep(self._random.uniform(0.0, 0.3))
        self._tell(Kind.RERUN_SENT, task_id)
        try:
            if by_replay:
                await self._replay(task_id)
            else:
                await self._client.retry(task_id)
                self._tell(Kind.RERUN_ACKNOWLEDGED, task_id)
        except (QueueUnreachable, RequestRefused) as error:
            self._note_trouble("rerun", error)
        del self._over[task_id]

    async def _replay(self, task_id: str) -> None:
        answer = await self._client.dlq_replay(TaskFilter(tag=self._keys[task_id]))
        # What is told to be FAILED is a dead letter, and nobody else takes it.
        assert (answer.count, answer.incomplete) == (1, UNSET), f"{task_id}: {answer}"
        self._tell(Kind.RERUN_ACKNOWLEDGED, task_id)

    # ---- ends ------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Ask for ends for ever."""
        while True:
            self._run_again()
            pending = [task_id for task_id in self._accepted if task_id not in self._over]
            if pending:
                await self._ask(pending)
            await asyncio.sleep(0.05)

    async def _ask(self, task_ids: list[str]) -> None:
        """Note those that are over within a moment."""
        handles = [self._client.handle(task_id) for task_id in task_ids]
        try:
            async for handle in self._client.as_completed(handles, timeout=_LOOK_SECONDS):
                assert handle.outcome is not None  # as_completed yields handles that know
                self._note_end(handle.outcome)
        except TimeoutError:
            return
        except NotFound as error:  # one of them is lost; the others must not be lost with it
            self._note_trouble("end", error)
            if len(task_ids) > 1:
                middle = len(task_ids) // 2
                await self._ask(task_ids[:middle])
                await self._ask(task_ids[middle:])
        except (QueueUnreachable, RequestRefused) as error:
            self._note_trouble("end", error)
            await asyncio.sleep(_AGAIN_SECONDS[1])

    async def _ask_again(self) -> None:
        """Who asks again is told the same."""
        self._over.clear()
        while set(self._over) != set(self._accepted):
            await self._ask([task_id for task_id in self._accepted if task_id not in self._over])

    def _note_end(self, outcome: Outcome) -> None:
        self._over[outcome.task_id] = outcome
        result = outcome.value() if outcome.status == "COMPLETED" else ""
        self._tell(Kind.OVER, outcome.task_id, status=outcome.status, result=result)
        error = outcome.error
        if outcome.status == "FAILED" and error is not None and error.type != "RuntimeError":
            self.answers[f"FAILED: {error.type}: {error.message}"] += 1  # not as it was asked to

    def _note_trouble(self, what: str, error: QueueUnreachable | RequestRefused) -> None:
        if not isinstance(error, RequestRefused):
            self.answers[f"{what}: unreachable"] += 1
        elif error.status in _TROUBLED:
            self.answers[f"{what}: {error.status}"] += 1
        else:
            self.answers[f"{what}: {error}"] += 1

    def _tell(self, kind: Kind, task_id: str, **fields: Any) -> None:
        self.records.append(Record(self._clock.monotonic(), kind, task_id, **fields))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel what still runs, and raise what one of them failed with."""
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome
