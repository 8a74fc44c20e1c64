"""`down` ends every worker that Ray knows, and kills what does not end by itself."""

import asyncio
from typing import Any

from actors.worker_actor import WorkerOrder
from cluster.end_workers import end_workers
from task_queue.scheduler_api import SchedulerUnavailable
from tests.cluster.fake_workers import FakeMaker, FakeProcess, FakeScheduler

_GRACE = 30.0


class Workers:
    """Some workers without a supervisor."""

    def __init__(self) -> None:
        self.maker = FakeMaker()
        self.scheduler = FakeScheduler()
        self.said: list[str] = []

    def add(self, worker_id: str, registered: bool = True) -> FakeProcess:
        process = self.maker.create(WorkerOrder(worker_id, f"{worker_id}.i", "a", ()))
        if registered:
            self.scheduler.register(process)
        return process

    async def end(self) -> int:
        scheduler: Any = self.scheduler
        return await end_workers(self.maker, scheduler, _GRACE, self.said.append)


def test_each_is_told_to_leave_and_leaves_no_process() -> None:
    async def test() -> None:
        workers = Workers()
        processes = [workers.add("a-1"), workers.add("a-2")]
        assert await workers.end() == 2
        assert [process.graces for process in processes] == [[_GRACE], [_GRACE]]
        assert [process.killed for process in processes] == [1, 1]
        assert workers.scheduler.lost == []
        assert workers.said == []

    asyncio.run(test())


def test_of_one_that_died_the_scheduler_is_told() -> None:
    async def test() -> None:
        workers = Workers()
        workers.add("a-1").die("ActorDiedError")
        other = workers.add("a-2")
        assert await workers.end() == 2
        [lost] = workers.scheduler.lost
        assert (lost.incarnation, lost.cause) == ("a-1.i", "ActorDiedError")
        assert other.graces == [_GRACE]
        assert workers.said == ["worker a-1 was killed: ActorDiedError"]

    asyncio.run(test())


def test_one_that_has_not_registered_is_killed_at_once() -> None:
    async def test() -> None:
        workers = Workers()
        process = workers.add("a-1", registered=False)
        process.hangs = True  # Ray has no place for it, so it answers nothing
        assert await workers.end() == 1
        assert process.killed == 1

    asyncio.run(test())


def test_without_a_scheduler_to_give_back_to_they_are_killed() -> None:
    async def test() -> None:
        workers = Workers()
        process = workers.add("a-1")
        workers.scheduler.read_errors.append(SchedulerUnavailable("away"))
        assert await workers.end() == 1
        assert (process.graces, process.killed) == ([], 1)

    asyncio.run(test())


def test_trouble_with_one_does_not_spare_the_others() -> None:
    async def test() -> None:
        workers = Workers()
        troubled, other = workers.add("a-1"), workers.add("a-2")
        troubled.kill_error = RuntimeError("no")
        assert await workers.end() == 2
        assert other.killed == 1
        assert "could not be ended" in workers.said[0]

    asyncio.run(test())
