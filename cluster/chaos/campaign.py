"""Schedules of faults, one after the other, against one queue that runs on this machine.

The clients write down what they are told, the tasks write down what they do, and the checker of
`task_queue.history` judges both together. A schedule ends when all that was accepted is over.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from cluster.chaos.blows import Blow
from cluster.chaos.judge import Judge
from cluster.chaos.load import Load, Where
from cluster.chaos.plan import Fault, FaultKind, Plan, plan_of
from cluster.chaos.report import CampaignReport, Hit, ScheduleReport, counts_of, ends_of
from cluster.chaos.traces import process_lines, worker_lines
from cluster.chaos.victims import Victims
from task_queue import AsyncClient
from task_queue.clock import SystemClock
from task_queue.errors import QueueUnreachable, RequestRefused, TaskQueueError
from task_queue.history import Bounds
from task_queue.history.ledger_task import LEDGER_TASK

_HEALTHY_SECONDS = 90.0
_CLOSE_SECONDS = 120.0
_TIMEOUT_SECONDS = 10.0
#: Under faults a task may be overtaken for as long as a silent worker keeps it: no order to judge.
_NO_ORDER_SECONDS = 3_600.0
#: Of one slot. A worker fetches what runs within 0.05 s, and no task of the load is below 0.01.
_READ_AHEAD = 10


class ChaosError(TaskQueueError):
    """The campaign cannot begin or go on; the message says why and what helps."""


class Target(Struct, frozen=True):
    """The queue, and what may be done to it."""

    name: str  #: for people
    url: str  #: of its HTTP API
    queue: str  #: that the load is submitted to
    lease_seconds: float
    most_leases: int  #: that all workers hold together, read-ahead included
    workers: int  #: that there are at least, once all is well
    blows: Mapping[FaultKind, Blow]
    victims: Victims
    folder: Path  #: for ledgers; those of failing seeds stay


def most_leases(slots: int) -> int:
    """How many leases workers with so many slots in all can hold of the tasks of `Load`."""
    return slots * (1 + _READ_AHEAD)


class Campaign:
    """Runs seeds. Everything that it finds is in `report`."""

    def __init__(self, target: Target, load_seconds: float, say: Callable[[str], None]) -> None:
        self.report = CampaignReport(target.name, load_seconds, sorted(map(str, target.blows)))
        self._target = target
        self._load_seconds = load_seconds
        self._say = say
        self._clock = SystemClock()
        self._judge = Judge()

    async def run(self, seeds: Iterable[int]) -> CampaignReport:
        """Run the seeds, then look once more for what began late.

        Raises:
            ChaosError: the queue does not know the task, does not become healthy, or does not
                get back the workers that it lost.
        """
        self._target.folder.mkdir(parents=True, exist_ok=True)
        async with self._client() as client:
            await self._wait_until_healthy(client)
            await self._refuse_without_task(client)
            for seed in seeds:
                plan = plan_of(
                    seed, self._target.blows, self._load_seconds, self._target.lease_seconds
                )
                self.report.schedules.append(await self._live_through(client, plan))
                self._say(str(self.report.schedules[-1]))
        self.report.late_violations = self._judge.look_again()
        return self.report

    async def _live_through(self, client: AsyncClient, plan: Plan) -> ScheduleReport:
        began = self._clock.monotonic()
        await self._wait_until_healthy(client)
        prefix = f"chaos-{plan.seed}-{began:.3f}"
        ledger = self._target.folder / f"{prefix}.ledger"
        ledger.touch()
        load = Load(client, Where(self._target.queue, ledger, prefix), plan, self._clock)
        strike = asyncio.create_task(self._strike_all(plan))
        try:
            await load.run(_CLOSE_SECONDS)
            hits = await strike
        finally:
            strike.cancel()
        bounds = Bounds(self._target.most_leases, _NO_ORDER_SECONDS if plan.faults else 0.0)
        traces = [] if load.closed else await self._traces(client)
        history, violations = self._judge.judge(ledger, load.records, bounds)
        return ScheduleReport(
            plan, self._clock.monotonic() - began, hits, counts_of(history), ends_of(history),
            dict(load.answers), violations, load.closed, traces,
        )  # fmt: skip

    async def _strike_all(self, plan: Plan) -> list[Hit]:
        """Each fault at its time: a long one does not hold up the next."""
        return list(await asyncio.gather(*(self._strike(fault) for fault in plan.faults)))

    async def _strike(self, fault: Fault) -> Hit:
        await asyncio.sleep(fault.at)
        return Hit(fault, await asyncio.to_thread(self._target.blows[fault.kind], fault))

    # ---- the queue -------------------------------------------------------------------------

    def _client(self) -> AsyncClient:
        # Without retries of its own: each trouble is counted.
        return AsyncClient(self._target.url, timeout_seconds=_TIMEOUT_SECONDS, retry_seconds=0.0)

    async def _wait_until_healthy(self, client: AsyncClient) -> None:
        deadline = self._clock.monotonic() + _HEALTHY_SECONDS
        while True:
            try:
                lacking = await client.health()
                workers = await client.workers()
                active = sum(worker.status in ("active", "paused") for worker in workers)
                if lacking["status"] == "healthy" and active >= self._target.workers:
                    return
                lacking["workers"] = f"{active} of {self._target.workers}"
            except (QueueUnreachable, RequestRefused) as error:
                lacking = {"status": str(error)}
            if self._clock.monotonic() > deadline:
                seen = "\n  ".join([str(lacking), *await self._traces(client)])
                raise ChaosError(f"not healthy after {_HEALTHY_SECONDS:.0f} s: {seen}")
            await asyncio.sleep(0.1)

    async def _traces(self, client: AsyncClient) -> list[str]:
        lines = await asyncio.to_thread(process_lines, self._target.victims, self._clock)
        return [*await worker_lines(client), *lines]

    async def _refuse_without_task(self, client: AsyncClient) -> None:
        if not any(known.name == LEDGER_TASK for known in await client.task_types()):
            raise ChaosError(
                f"no pool knows the task {LEDGER_TASK}: add task_queue.history.ledger_task to the "
                "task_modules of the pool that is to be tried, and roll it out with "
                "'python -m cluster up'"
            )
