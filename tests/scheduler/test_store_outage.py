"""A scheduler whose PostgreSQL is killed and comes back: a real server, nothing else is real."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from benchmarks.local_scheduler import LocalWorker, local_scheduler, succeeded
from benchmarks.peers.private_postgres import PrivatePostgres
from task_queue.core.effects import Accepted
from task_queue.core.status import Status
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store import open_store
from task_queue.testing import task_spec


def test_nothing_is_accepted_and_nothing_lost_while_postgresql_is_away(
    start_postgres: Callable[[], PrivatePostgres],
) -> None:
    asyncio.run(_outage(start_postgres()))


async def _outage(server: PrivatePostgres) -> None:
    async with local_scheduler(lambda: open_store(server.url)) as scheduler:
        worker = LocalWorker(scheduler)
        await worker.register()
        kept = [task_spec() for _ in range(3)]
        await scheduler.submit(kept)
        leases = await worker.pull(3, [])
        assert len(leases) == 3

        server.kill()
        late = [task_spec()]
        for _ in range(2):  # the turn that fails, and what comes after it
            with pytest.raises(SchedulerUnavailable):
                await scheduler.submit(late)
            with pytest.raises(SchedulerUnavailable):
                await worker.report(succeeded(leases))
        with pytest.raises(SchedulerUnavailable):
            await scheduler.read()

        server.start()
        await asyncio.wait_for(scheduler.started(), 30)
        # Both are repeated, as the streams do; each is done once.
        answer = await scheduler.submit(late, repeated=True)
        assert answer == Accepted([late[0].id])
        answer = await scheduler.submit(late, repeated=True)
        assert answer == Accepted([late[0].id], [0])
        await worker.report(succeeded(leases))
        await worker.report(succeeded(leases))
        reader = open_store(server.url)
        found = reader.find([spec.id for spec in (*kept, *late)])
        statuses = [task.status for task in found.values()]
        assert statuses == [Status.COMPLETED] * 3 + [Status.QUEUED]
        assert {t.kind: t.count for t in reader.tallies()} == {"submitted": 4, "completed": 3}
        reader.close()


def test_a_queue_at_rest_comes_back_when_only_submits_with_keys_arrive(
    start_postgres: Callable[[], PrivatePostgres],
) -> None:
    """They ask the store first, so that no turn finds out that it is away."""
    asyncio.run(_only_keys(start_postgres()))


async def _only_keys(server: PrivatePostgres) -> None:
    async with local_scheduler(lambda: open_store(server.url)) as scheduler:
        spec = task_spec(idempotency_key="order-7")
        server.kill()
        with pytest.raises(SchedulerUnavailable):
            await scheduler.submit([spec])
        server.start()
        async with asyncio.timeout(30):
            while True:
                with suppress(SchedulerUnavailable):
                    assert await scheduler.submit([spec]) == Accepted([spec.id])
                    return
                await asyncio.sleep(0.05)
