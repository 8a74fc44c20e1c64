"""A scheduler whose PostgreSQL has no byte left on its disk: a real server on a small disk."""

import asyncio
import os
from contextlib import suppress

import psycopg
import pytest

from benchmarks.local_scheduler import LocalWorker, local_scheduler, succeeded
from benchmarks.peers.private_postgres import PrivatePostgres
from task_queue.core.events import WorkerResumed
from task_queue.core.status import Status
from task_queue.core.task import TaskSpec
from task_queue.scheduler import Scheduler
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store import open_store
from task_queue.testing import task_spec
from tests.chaos.postgres_blows import use_up_log
from tests.chaos.private_disk import PrivateDisk

_LONG_BYTES = 500_000
_MOST_LONG = 20
_DEADLINE_SECONDS = 60.0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("what", ["table", "log"])
def test_nothing_is_accepted_and_nothing_lost_while_the_disk_of_postgresql_is_full(
    postgres_on_small_disk: tuple[PrivateDisk, PrivatePostgres], what: str
) -> None:
    """A table that cannot grow fails a statement; a log that cannot ends the server."""
    disk, server = postgres_on_small_disk
    asyncio.run(_full(disk, server, uses_up_log=what == "log"))


async def _full(disk: PrivateDisk, server: PrivatePostgres, *, uses_up_log: bool) -> None:
    async with local_scheduler(lambda: open_store(server.url)) as scheduler:
        worker = LocalWorker(scheduler)
        await worker.register()
        accepted = [task_spec() for _ in range(5)]
        await scheduler.submit(accepted)
        leases = await worker.pull(2, [])
        refused: list[TaskSpec] = []
        with disk.full() as fill:
            if uses_up_log:
                with pytest.raises(psycopg.OperationalError):
                    use_up_log(server.url)
            for _ in range(_MOST_LONG):
                fill()
                spec = _long()
                try:
                    await scheduler.submit([spec])
                except SchedulerUnavailable:
                    refused.append(spec)
                else:
                    accepted.append(spec)
            assert refused, "the disk was not full"
            with pytest.raises(SchedulerUnavailable):
                await scheduler.submit([refused[0]], repeated=True)
        late = _long()
        await _insist(scheduler, late, server)
        accepted.append(late)
        reader = open_store(server.url)
        assert reader.find([spec.id for spec in refused]) == {}
        holding = [(lease.task_id, lease.attempt) for lease in leases]
        await scheduler.request(WorkerResumed(worker.id, "i", holding))
        await worker.report(succeeded(leases))
        await worker.work(len(accepted) - len(leases))
        found = reader.find([spec.id for spec in accepted])
        assert [task.status for task in found.values()] == [Status.COMPLETED] * len(accepted)
        assert {task.attempt for task in found.values()} == {1}
        reader.close()


def _long() -> TaskSpec:
    """A task whose arguments no database makes any shorter."""
    text = os.urandom(_LONG_BYTES // 2).hex()
    return task_spec(arguments=b'{"args":["%s"],"kwargs":{}}' % text.encode())


async def _insist(scheduler: Scheduler, spec: TaskSpec, server: PrivatePostgres) -> None:
    """Submit until it is accepted; start the server if it has given up, as its keeper would."""
    async with asyncio.timeout(_DEADLINE_SECONDS):
        while True:
            with suppress(SchedulerUnavailable):
                await scheduler.submit([spec], repeated=True)
                return
            if not server.lives:
                server.stop()
                server.start()
            await asyncio.sleep(0.1)
