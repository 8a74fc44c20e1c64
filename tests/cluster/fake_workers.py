"""Workers and a scheduler for tests of the supervisor: they do what the test tells them."""

import asyncio
from typing import Any

from actors.handles import WorkerEnded
from actors.worker_actor import WorkerOrder
from cluster.supervised import WorkerProcess
from task_queue.core.effects import Done, Refused
from task_queue.core.events import WorkerLost, WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.scheduler_api import QueueState, SchedulerReading, WorkerReading


class FakeProcess:
    """One worker: a WorkerProcess."""

    def __init__(self, order: WorkerOrder) -> None:
        self.order = order
        self.ends: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.killed = 0
        self.hangs = False  #: like a process that is stopped: it answers nothing
        self.node = "node-1"
        self.graces: list[float] = []  #: with which it was told to leave, roughly
        self.lingers = False  #: its tasks take as long as they may

    async def run(self) -> str:
        return await asyncio.shield(self.ends)

    async def watch(self) -> str:
        return await asyncio.shield(self.ends)

    def leave(self, within_seconds: float) -> None:
        """The scheduler has told it to."""
        self.graces.append(round(within_seconds, 1))
        if not self.hangs and not (self.lingers and within_seconds):
            self.end("drained")

    @property
    def has_left(self) -> bool:
        return self.ends.done() and self.ends.exception() is None

    def kill(self) -> None:
        self.killed += 1
        self.end("killed")

    def die(self, cause: str) -> None:
        """Without a word of its own: Ray tells of it."""
        self.ends.set_exception(WorkerEnded(cause))

    def end(self, cause: str) -> None:
        if not self.ends.done():
            self.ends.set_result(cause)


class FakeMaker:
    """A WorkerMaker: remembers what it made; a name is taken until the test frees it."""

    def __init__(self) -> None:
        self.made: list[FakeProcess] = []
        self.names: dict[str, FakeProcess] = {}
        self.create_error: Exception | None = None
        self.find_error: Exception | None = None

    def create(self, order: WorkerOrder) -> FakeProcess:
        if self.create_error is not None:
            raise self.create_error
        if order.worker_id in self.names:
            raise ValueError(f"the name {order.worker_id} is already taken")
        process = self.names[order.worker_id] = FakeProcess(order)
        self.made.append(process)
        return process

    async def all(self) -> dict[str, WorkerProcess]:
        return dict(self.names)

    async def find(self, worker_id: str) -> FakeProcess | None:
        if self.find_error is not None:
            raise self.find_error
        return self.names.get(worker_id)


class FakeScheduler:
    """What the supervisor needs of a SchedulerApi."""

    def __init__(self) -> None:
        self.workers: dict[str, WorkerReading] = {}
        self.processes: dict[str, FakeProcess] = {}
        self.waiting = 0
        self.lost: list[WorkerLost] = []
        self.told: list[WorkerStatusWanted] = []
        self.read_errors: list[Exception] = []
        self.reads = 0
        self.deregisters = False  #: a worker that leaves says so
        self.on_request: Any = None  #: called with each event before it is answered

    def register(self, process: FakeProcess) -> None:
        order = process.order
        info = WorkerInfo(
            order.worker_id, order.incarnation, order.pool, ("*",), 2, node_id=process.node
        )
        self.processes[order.worker_id] = process
        self.workers[order.worker_id] = WorkerReading(info, 0.0, [], 0, 0, 0.0)

    async def read(self, told: object = None) -> SchedulerReading:
        self.reads += 1
        if self.read_errors:
            raise self.read_errors.pop(0)
        queue = QueueState("default", False, [self.waiting] + [0] * 9, 0, 0, None)
        return SchedulerReading(
            0.0, 0.0, 1, [queue], list(self.workers.values()), 0, 0, 0.0, 0.0
        )  # fmt: skip

    async def request(self, event: Any) -> Done | Refused:
        if self.on_request is not None:
            await self.on_request(event)
        if isinstance(event, WorkerLost):
            self.lost.append(event)
            self.workers.pop(event.worker_id, None)
        if isinstance(event, WorkerStatusWanted):
            self.told.append(event)
            if event.worker_id not in self.workers:
                return Refused("unknown_worker", event.worker_id)
            self.workers[event.worker_id].info.status = WorkerStatus(event.status)
            if event.within_seconds is not None:
                process = self.processes[event.worker_id]
                process.leave(event.within_seconds)
                if self.deregisters and process.has_left:
                    del self.workers[event.worker_id]
        return Done()


class FakeNodes:
    """Nodes, some of which are gone."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.error: Exception | None = None

    async def draining(self) -> dict[str, float]:
        return {}

    async def taken_away(self, node_id: str) -> bool:
        if self.error is not None:
            raise self.error
        return node_id in self.taken
