"""`down` ends every worker that Ray knows, and kills what does not end by itself."""

import asyncio
from typing import Any

from actors.worker_actor import WorkerOrder
from cluster.end_workers import end_workers
from cluster.supervised import WorkerProcess
from task_queue.scheduler_api import SchedulerUnavailable
from tests.cluster.fake_workers import FakeProcess, FakeScheduler

_GRACE = 30.0


class Workers:
    """Some workers without a supervisor: a WorkerFinder too."""

    def __init__(self) -> None:
        self.scheduler = FakeScheduler()
        self.said: list[str] = []
        self._processes: dict[str, FakeProcess] = {}
        self._late: dict[str, FakeProcess] = {}

    def add(self, worker_id: str, registered: bool = True, late: bool = False) -> FakeProcess:
        """`late`: Ray knows it only after the first question."""
        process = FakeProcess(WorkerOrder(worker_id, f"{worker_id}.i", "a", ()))
        (self._late if late else self._processes)[worker_id] = process
        if registered:
            self.scheduler.register(process)
        return process

    async def all(self) -> dict[str, WorkerProcess]:
        found: dict[str, WorkerProcess] = {
            name: one for name, one in self._processes.items() if not one.killed
        }
        self._processes.update(self._late)
        return found

    async def end(self) -> int:
        scheduler: Any = self.scheduler
        return await end_workers(self, scheduler, _GRACE, self.said.append)


def test_each_is_told_to_leave_and_leaves_no_process() -> None:
    async def test() -> None:
        workers = Workers()
        processes = [workers.add("a-1"), workers.add("a-2")]
        assert await workers.end() == 2
        assert [process.graces for process in processes] == [[_GRACE], [_GRACE]]
        assert [process.killed for process in processes] == [1, 1]
        assert workers.said == []

    asyncio.run(test())


def test_for_one_that_died_the_scheduler_is_told_that_no_task_is_to_blame() -> None:
    async def test() -> None:
        workers = Workers()
        workers.add("a-1").die("ActorDiedError")
        other = workers.add("a-2")
        workers.scheduler.deregisters = True
        assert await workers.end() == 2
        [lost] = workers.scheduler.lost
        assert (lost.incarnation, lost.blameless) == ("a-1.i", True)
        assert other.graces == [_GRACE]
        assert workers.said == ["worker a-1 was killed: ActorDiedError"]

    asyncio.run(test())


def test_one_that_has_not_registered_is_killed_without_a_word() -> None:
    async def test() -> None:
        workers = Workers()
        process = workers.add("a-1", registered=False)
        assert await workers.end() == 1
        assert (process.graces, process.killed) == ([], 1)

    asyncio.run(test())


def test_without_a_scheduler_to_give_back_to_they_are_killed() -> None:
    async def test() -> None:
        workers = Workers()
        process = workers.add("a-1")
        workers.scheduler.read_errors.append(SchedulerUnavailable("it is away"))
        assert await workers.end() == 1
        assert (process.graces, process.killed) == ([], 1)
        assert "can give nothing back: it is away" in workers.said[0]

    asyncio.run(test())


def test_one_that_was_just_being_started_is_killed_too() -> None:
    async def test() -> None:
        workers = Workers()
        workers.add("a-1")
        late = workers.add("a-2", registered=False, late=True)
        assert await workers.end() == 1
        assert (late.graces, late.killed) == ([], 1)
        assert workers.said == []

    asyncio.run(test())


def test_whatever_goes_wrong_none_is_left() -> None:
    async def test() -> None:
        workers = Workers()
        processes = [workers.add("a-1"), workers.add("a-2")]

        async def fail(event: object) -> None:
            workers.scheduler.on_request = None
            raise ZeroDivisionError("a fault of ours")

        workers.scheduler.on_request = fail
        assert await workers.end() == 2
        assert [process.killed for process in processes] == [1, 1]
        assert "a fault of ours" in workers.said[0]

    asyncio.run(test())
