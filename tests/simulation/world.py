"""A whole queue in virtual time, from one seed: its history is always the same.

Real are the scheduler, its machine and the worker's protocol. Simulated are the store, the
executors, the network, the clients and the clock.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Coroutine
from math import inf
from random import Random
from typing import Any

import msgspec

from task_queue.core.effects import Accepted, Moved
from task_queue.core.events import CancelRequested
from task_queue.core.status import TERMINAL
from task_queue.core.task import Lease, Task, TaskSpec
from task_queue.history import Bounds, Kind, Record, Violation, check_history
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.testing import task_spec
from tests.simulation.executors import SimulatedExecutors
from tests.simulation.faulty_store import FaultyStore
from tests.simulation.hosts import RULES, SchedulerHost, VirtualClock, WorkerHost
from tests.simulation.network import Network
from tests.simulation.operators import QUEUES, Operators
from tests.simulation.plan import CALM, Plan
from tests.simulation.virtual_loop import VirtualLoop

_SETTLE_SECONDS = 600.0
_LOOK_SECONDS = 0.25
#: Memory holds little of a line and of what is tried again, or all.
_RULES = (msgspec.structs.replace(RULES, window=4, max_retrying=2), RULES)
#: Longer than any chain of crashes and failing commits that the plans make likely.
_OUTAGE_SECONDS = 10.0
#: How long a commit takes at most; 0: nobody can see that it takes any time.
_COMMIT_SECONDS = (0.0, 0.05)
_LONGEST_PAUSE_SECONDS = 3 * RULES.lease_seconds


class World:
    """One run. `run` may be called once."""

    def __init__(self, seed: int, plan: Plan) -> None:
        self.history: list[Record] = []
        self.seconds = 0.0  #: virtual time that the run took
        self._plan = self._weather = plan
        self._random = Random(seed)
        self._clock = VirtualClock()
        self.store = FaultyStore()
        self.store.on_pruned = self._note_pruned
        self._commit_seconds = _COMMIT_SECONDS[seed // 6 % len(_COMMIT_SECONDS)]
        rules = _RULES[seed // 3 % len(_RULES)]
        self.host = SchedulerHost(self.store, self._clock, self._random, rules)
        self._networks: list[Network] = []
        self._executors: list[SimulatedExecutors] = []
        self._background: set[asyncio.Future[None]] = set()
        self._workers: list[WorkerHost] = []
        self._accepted: list[str] = []
        self._pruned: set[str] = set()

    def run(self) -> list[Violation]:
        """Live through the plan, let everything end, and judge the history."""
        loop = VirtualLoop()
        try:
            loop.run_until_complete(self._live())
            self.seconds = loop.time()
        finally:
            loop.close()
        return check_history(self.history, self._bounds())

    def digest(self) -> str:
        """Of the whole history: two runs of one seed have the same."""
        return hashlib.sha256(msgspec.json.encode(self.history)).hexdigest()

    def _bounds(self) -> Bounds:
        plan = self._plan
        calm = msgspec.structs.replace(plan, busy_seconds=0, tasks=0, workers=0) == (
            msgspec.structs.replace(CALM, busy_seconds=0, tasks=0, workers=0)
        )
        held = 0.0 if calm else RULES.lease_seconds + _LONGEST_PAUSE_SECONDS + 60.0
        leases, late = plan.slots + plan.read_ahead, inf if plan.clock_jumps else 0.0
        return Bounds(
            plan.workers * leases, held, leases, late, late + _OUTAGE_SECONDS, plan.keep_seconds
        )

    async def _live(self) -> None:
        plan, random = self._plan, self._random
        operators = self._operators()
        self.store.fails = lambda: random.random() < self._weather.commit_fails
        self.store.is_in_doubt = lambda: random.random() < self._weather.commit_in_doubt
        if self._commit_seconds:
            self.store.takes = lambda: random.uniform(0.001, self._commit_seconds)
        self.host.start()
        for number in range(plan.workers):
            worker = WorkerHost(
                f"w{number}", self._clock, self._network(), self._make_executors, self._spawn
            )
            self._workers.append(worker)
            self._spawn(worker.live())
        watcher = asyncio.ensure_future(self._watch_ends())
        clients = [asyncio.ensure_future(self._client()) for _ in range(plan.tasks)]
        clients += [asyncio.ensure_future(work) for work in operators.work()]
        if plan.keep_seconds:
            self._spawn(operators.prune())
        troubles = asyncio.ensure_future(self._make_trouble())
        try:
            await asyncio.sleep(plan.busy_seconds)
            troubles.cancel()
            self._calm_down()
            async with asyncio.timeout(_SETTLE_SECONDS):
                await asyncio.gather(*clients)
            await self._settle(watcher)
            self._look(self._accepted)  # who asks again is told the same
        finally:
            await self._end([watcher, troubles, *clients, *self._background])

    async def _end(self, tasks: list[asyncio.Future[None]]) -> None:
        self.host.stop()
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, SchedulerUnavailable):
                raise result
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for other in rest:
            other.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _calm_down(self) -> None:
        calm = msgspec.structs.replace(
            CALM, workers=self._plan.workers, slots=self._plan.slots,
            read_ahead=self._plan.read_ahead, tasks=self._plan.tasks,
        )  # fmt: skip
        self._weather = calm
        for network in self._networks:
            network.plan = calm
        for executors in self._executors:
            executors.plan = calm
        if not self.host.made:
            self.host.start()

    async def _settle(self, watcher: asyncio.Future[None]) -> None:
        try:
            await asyncio.wait_for(watcher, _SETTLE_SECONDS)
        except TimeoutError:
            return  # what is not over by now is lost, and the checker says so

    # ---- trouble ---------------------------------------------------------------------------

    async def _make_trouble(self) -> None:
        plan, random = self._plan, self._random
        kinds = {
            self._crash_scheduler: plan.scheduler_crashes,
            self.host.start: plan.scheduler_forks,
            self._crash_worker: plan.worker_crashes,
            self._pause_worker: plan.worker_pauses,
            self._set_clock: plan.clock_jumps,
        }
        total = sum(kinds.values())
        while total:
            await asyncio.sleep(random.expovariate(total))
            random.choices(list(kinds), weights=list(kinds.values()))[0]()

    def _crash_scheduler(self) -> None:
        self._spawn(self.host.crash())

    def _crash_worker(self) -> None:
        self._random.choice(self._workers).crash(self._random.random() < 0.5)

    def _pause_worker(self) -> None:
        seconds = self._random.uniform(0.0, _LONGEST_PAUSE_SECONDS)
        self._spawn(self._random.choice(self._workers).pause(seconds))

    def _set_clock(self) -> None:
        self._clock.ahead += self._random.uniform(-10.0, 60.0)

    # ---- clients ---------------------------------------------------------------------------

    async def _client(self) -> None:
        """Submit one task, and perhaps cancel it, at random moments."""
        random, network = self._random, self._network()
        await asyncio.sleep(random.uniform(0.0, self._plan.busy_seconds))
        key = f"key-{random.randrange(self._plan.tasks)}" if random.random() < 0.3 else None
        now, retries = self._clock.now(), random.choice((0, 2, 100))
        ttl = random.uniform(0.1, 5.0) if random.random() < self._plan.expires else None
        spec = task_spec(
            id=self.host.new_id(now), queue=random.choice(QUEUES),
            priority=random.choice((2, 5, 8)), max_retries=retries, retry_cap_seconds=2.0,
            idempotency_key=key, expires_at=None if ttl is None else now + ttl,
        )  # fmt: skip
        expires = None if ttl is None else asyncio.get_running_loop().time() + ttl
        self._tell(
            Kind.SUBMIT_SENT, spec.id, queue=spec.queue, priority=spec.priority, key=key or "",
            expires=expires, retries=retries,
        )  # fmt: skip
        task_id = await self._submit(network, spec)
        if random.random() < 0.15:
            await asyncio.sleep(random.uniform(0.0, 1.0))
            await self._cancel(network, task_id)

    async def _submit(self, network: Network, spec: TaskSpec) -> str:
        repeated = False
        while True:
            try:
                answer = await network.submit([spec], repeated)
            except SchedulerUnavailable:
                repeated = True
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            assert isinstance(answer, Accepted)
            task_id = answer.task_ids[0]
            self._tell(Kind.ACCEPTED, task_id, key=spec.idempotency_key or "")
            self._accepted.append(task_id)
            return task_id

    async def _cancel(self, network: Network, task_id: str) -> None:
        while True:
            try:
                answer = await network.request(CancelRequested(task_id))
            except SchedulerUnavailable:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            if isinstance(answer, Moved):
                self._tell(Kind.CANCEL_ACKNOWLEDGED, task_id, status=str(answer.status))
            return

    async def _watch_ends(self) -> None:
        """Ask for ends until there is nothing more to wait for."""
        told: set[str] = set()
        while True:
            told |= self._pruned
            pending = [i for i in dict.fromkeys(self._accepted) if i not in told]
            told.update(self._look(pending))
            over = asyncio.get_running_loop().time() > 2 * self._plan.busy_seconds + 10.0
            if over and told.issuperset(self._accepted):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self, task_ids: list[str]) -> list[str]:
        found: list[str] = []
        for task_id in dict.fromkeys(task_ids):
            task = self.store.get(task_id)
            if task is not None and task.status in TERMINAL:
                self._tell_over(task, self.store.results([task.seq]).get(task.seq, b""))
                found.append(task_id)
        return found

    def _tell_over(self, task: Task, result: bytes) -> None:
        self._tell(Kind.OVER, task.spec.id, status=str(task.status), result=result.decode())

    def _note_pruned(self, task: Task, result: bytes, age_seconds: float) -> None:
        if task.status in TERMINAL:
            self._tell_over(task, result)  # as who had asked before was told
        self._tell(Kind.PRUNED, task.spec.id, status=str(task.status), seconds=age_seconds)
        self._pruned.add(task.spec.id)

    # ---- parts -----------------------------------------------------------------------------

    def _operators(self) -> Operators:
        # A copy that comes when all is said and done would be another word of the operator.
        network = self._network(msgspec.structs.replace(self._plan, duplicate=0.0))
        operators = Operators(
            self._plan, self._random, self._clock, self.host, self._workers, network, self._tell,
            self._accepted.append,
        )  # fmt: skip
        self.store.on_fired = operators.note_fired
        return operators

    def _network(self, plan: Plan | None = None) -> Network:
        network = Network(plan or self._plan, self._random, self.host.find, self._spawn)
        self._networks.append(network)
        return network

    def _make_executors(self, worker: str) -> SimulatedExecutors:
        def tell(kind: Kind, lease: Lease, result: str) -> None:
            attempt = lease.attempt - lease.unstarted  # as the task itself is told
            self._tell(kind, lease.task_id, attempt=attempt, worker=worker, result=result)

        plan = self._executors[0].plan if self._executors else self._plan
        self._executors.append(SimulatedExecutors(plan, self._random, tell))
        return self._executors[-1]

    def _tell(self, kind: Kind, task_id: str = "", **fields: Any) -> None:
        at = asyncio.get_running_loop().time()
        self.history.append(Record(at, kind, task_id, **fields))

    def _spawn(self, work: Awaitable[None] | Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
