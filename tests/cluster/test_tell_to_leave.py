"""A worker is told to leave by the scheduler, again if need be, and for so long as it may take."""

import asyncio
from typing import Any

import pytest

from actors.worker_actor import WorkerOrder
from cluster import tell_to_leave as module
from cluster.tell_to_leave import tell_to_leave
from task_queue.scheduler_api import SchedulerUnavailable
from tests.cluster.fake_workers import FakeProcess, FakeScheduler


class Parting:
    """One worker that is to go."""

    def __init__(self, registered: bool = True) -> None:
        self.scheduler = FakeScheduler()
        self.process = FakeProcess(WorkerOrder("a-1", "i", "a", ()))
        if registered:
            self.scheduler.register(self.process)

    async def tell(self, grace_seconds: float) -> str:
        ended = asyncio.ensure_future(self.process.watch())
        scheduler: Any = self.scheduler
        return await tell_to_leave(scheduler, "a-1", ended, grace_seconds)


def test_it_returns_when_the_worker_has_ended() -> None:
    async def test() -> None:
        parting = Parting()
        parting.process.lingers = True
        telling = asyncio.ensure_future(parting.tell(30.0))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (telling.done(), parting.process.graces) == (False, [30.0])
        parting.process.end("drained")
        assert await telling == ""

    asyncio.run(test())


def test_a_worker_that_does_not_go_is_to_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        parting = Parting()
        parting.process.hangs = True
        monkeypatch.setattr(module, "_KILL_SECONDS", 0.02)
        assert "has not ended" in await parting.tell(0.0)

    asyncio.run(test())


def test_a_worker_that_nobody_knows_is_to_be_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr(module, "_LAST_SECONDS", 0.01)
        assert "does not know it" in await Parting(registered=False).tell(30.0)

    asyncio.run(test())


def test_a_worker_that_has_deregistered_may_send_its_spans() -> None:
    async def test() -> None:
        parting = Parting(registered=False)
        telling = asyncio.ensure_future(parting.tell(30.0))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not telling.done()
        parting.process.end("drained")
        assert await telling == ""

    asyncio.run(test())


def test_it_is_told_again_with_what_is_left_because_a_new_scheduler_has_not_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        parting = Parting()
        parting.process.lingers = True
        monkeypatch.setattr(module, "_REPEAT_SECONDS", 0.05)
        assert await parting.tell(0.3) == ""
        graces = parting.process.graces
        assert len(graces) > 2
        assert graces == sorted(graces, reverse=True)
        assert graces[-1] == 0.0

    asyncio.run(test())


def test_a_scheduler_that_is_away_for_a_moment_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test() -> None:
        parting = Parting()
        monkeypatch.setattr(module, "_RETRY_SECONDS", 0.001)
        tries = 0

        async def away_at_first(event: object) -> None:
            nonlocal tries
            tries += 1
            if tries < 3:
                raise SchedulerUnavailable("away")

        parting.scheduler.on_request = away_at_first
        assert await parting.tell(30.0) == ""
        assert parting.process.graces == [30.0]

    asyncio.run(test())
