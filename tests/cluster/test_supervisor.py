"""The supervisor keeps pools at their size whatever ends, hangs or fails."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from actors.worker_actor import WorkerOrder
from cluster.generation import generation_in, new_incarnation
from cluster.supervisor import Supervisor
from task_queue.core.events import WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.settings import AutoscalerSettings, PoolSettings, Settings
from task_queue.testing import FakeClock
from tests.cluster.fake_workers import FakeMaker, FakeNodes, FakeProcess, FakeScheduler


class World:
    """A supervisor with all it touches."""

    interval_seconds = 0.001

    def __init__(self, generation: str = "g1", **pools: Any) -> None:
        defined = pools or {"a": PoolSettings(min_workers=1, max_workers=2, drain_seconds=5.0)}
        self.clock = FakeClock()
        self.scheduler = FakeScheduler()
        self.maker = FakeMaker()
        self.nodes = FakeNodes()
        scale = AutoscalerSettings(interval_seconds=self.interval_seconds, idle_seconds=10.0)
        self.settings = Settings(pools=defined, autoscaler=scale)
        self.supervisor = self.another(generation)

    def another(self, generation: str) -> Supervisor:
        scheduler: Any = self.scheduler
        return Supervisor(self.settings, scheduler, self.clock, self.maker, self.nodes, generation)

    def restart(self, generation: str) -> None:
        """The supervisor's process ends, and another one begins."""
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        self.supervisor = self.another(generation)

    async def look(self) -> list[str]:
        """One look. Returns the ids of the workers made since the last one."""
        before = len(self.maker.made)
        await self.supervisor.run_once()
        await settle()
        return [process.order.worker_id for process in self.maker.made[before:]]

    async def grown(self) -> FakeProcess:
        """The first worker, registered and seen."""
        await self.look()
        process = self.maker.made[-1]
        self.scheduler.register(process)
        await self.look()
        return process


class SlowWorld(World):
    """One in which no second look comes by itself."""

    interval_seconds = 3_600.0


async def settle() -> None:
    """Let all tasks run until they wait."""
    for _ in range(20):
        await asyncio.sleep(0)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


def test_a_worker_whose_lease_ran_out_is_killed_and_replaced() -> None:
    async def test() -> None:
        world = World()
        silent = await world.grown()
        silent.hangs = True
        del world.scheduler.workers["a-1"]  # the scheduler has declared it lost
        assert await world.look() == ["a-2"]  # Ray may know a-1 for a while
        assert silent.killed >= 1
        world.scheduler.register(world.maker.made[-1])
        assert await world.look() == []

    run(test())


def test_a_worker_that_has_not_registered_yet_is_not_taken_for_lost() -> None:
    async def test() -> None:
        world = World()
        assert await world.look() == ["a-1"]
        assert await world.look() == []
        assert world.maker.made[0].killed == 0

    run(test())


def test_a_worker_that_ended_is_killed_before_its_id_is_free_and_its_end_told() -> None:
    async def test() -> None:
        world = World()
        worker = await world.grown()
        seen: list[tuple[int, list[str]]] = []

        async def while_told(event: object) -> None:
            seen.append((worker.killed, await world.look()))

        world.scheduler.on_request = while_told
        world.clock.advance(60.0)
        worker.end("ActorDiedError")
        async with asyncio.timeout(30):
            while not world.scheduler.lost:
                await asyncio.sleep(0)
        assert seen == [(1, [])]  # killed already, its id still taken
        assert [lost.worker_id for lost in world.scheduler.lost] == ["a-1"]

    run(test())


def test_the_name_of_a_dead_worker_that_ray_still_knows_is_not_used() -> None:
    async def test() -> None:
        world = World()
        stray = world.maker.create(WorkerOrder("a-1", "someone.g1", "a", ()))
        assert await world.look() == ["a-2"]
        assert stray.killed == 1  # nobody watches it
        del world.maker.names["a-1"]
        world.maker.made[-1].end("drained")
        await settle()
        assert await world.look() == ["a-1"]

    run(test())


def test_a_worker_that_ends_while_it_is_told_to_drain_does_not_stop_the_look() -> None:
    async def test() -> None:
        world = World(a=PoolSettings(min_workers=0, max_workers=1))
        world.scheduler.waiting = 1
        worker = await world.grown()
        world.scheduler.waiting = 0
        world.clock.advance(60.0)
        ended = False

        async def while_told(event: object) -> None:
            nonlocal ended
            if isinstance(event, WorkerStatusWanted) and not ended:
                ended = True
                worker.end("ActorDiedError")
                await settle()

        world.scheduler.on_request = while_told
        await world.look()
        assert ended
        assert await world.look() == []

    run(test())


@pytest.mark.parametrize("error", [RuntimeError("no route"), KeyError("a-1")])
def test_looking_goes_on_after_an_error(error: Exception) -> None:
    async def test() -> None:
        world = World()
        world.scheduler.read_errors = [error]
        world.maker.find_error = RuntimeError("the GCS does not answer")
        endless = asyncio.ensure_future(world.supervisor.run_for_ever())
        async with asyncio.timeout(30):
            while world.scheduler.reads < 3:
                await asyncio.sleep(0.001)
        assert not endless.done()
        world.maker.find_error = None
        world.clock.advance(60.0)
        async with asyncio.timeout(30):
            while not world.maker.made:
                await asyncio.sleep(0.001)
        endless.cancel()

    run(test())


def test_a_pool_that_cannot_grow_waits_longer_each_time_and_the_others_grow() -> None:
    async def test() -> None:
        world = World(bad=PoolSettings(min_workers=1), good=PoolSettings(min_workers=1))
        create = world.maker.create

        def refuse_bad(order: WorkerOrder) -> FakeProcess:
            if order.pool == "bad":
                tries.append(world.clock.now())
                raise ValueError("no such resource")
            return create(order)

        tries: list[float] = []
        world.maker.create = refuse_bad  # type: ignore[method-assign]
        assert await world.look() == ["good-1"]
        for _ in range(80):
            world.clock.advance(0.5)
            await world.look()
        waits = [round(b - a, 1) for a, b in pairwise(tries)]
        assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]

    run(test())


def test_workers_of_another_generation_are_drained_and_replaced_at_once() -> None:
    async def test() -> None:
        world = World("old")
        old = await world.grown()
        world.restart("new")
        assert await world.look() == ["a-2"]
        told = [(event.worker_id, event.status) for event in world.scheduler.told]
        assert told == [("a-1", WorkerStatus.DRAINING)]
        assert old.killed == 0  # what runs on it may end
        assert generation_in(world.maker.made[-1].order.incarnation) == "new"
        world.scheduler.register(world.maker.made[-1])
        old.end("drained")
        await settle()
        assert await world.look() == []

    run(test())


def test_workers_of_a_pool_that_is_gone_are_drained() -> None:
    async def test() -> None:
        world = World("old")
        await world.grown()
        world.settings = Settings(pools={"b": PoolSettings(min_workers=1)})
        world.restart("new")
        assert await world.look() == ["b-1"]
        assert [event.worker_id for event in world.scheduler.told] == ["a-1"]

    run(test())


def test_a_restarted_supervisor_keeps_the_workers_of_its_own_generation() -> None:
    async def test() -> None:
        world = World("same")
        worker = await world.grown()
        world.restart("same")
        assert await world.look() == []
        assert world.scheduler.told == []
        assert worker.killed == 0

    run(test())


def test_a_registered_worker_without_an_actor_is_reported_lost() -> None:
    async def test() -> None:
        world = World()
        await world.grown()
        del world.maker.names["a-1"]
        world.restart("g1")
        assert await world.look() == ["a-2"]  # the reading of this look still has a-1
        assert [lost.cause for lost in world.scheduler.lost] == ["its actor does not exist"]

    run(test())


def test_a_drain_that_takes_too_long_is_ended() -> None:
    async def test() -> None:
        world = World("old")
        worker = await world.grown()
        world.restart("new")
        await world.look()
        assert worker.killed == 0
        world.clock.advance(6.0)
        await world.look()
        assert worker.killed == 1

    run(test())


def test_workers_of_a_machine_that_goes_end_shortly_before_it_and_are_replaced() -> None:
    async def test() -> None:
        world = World()
        worker = await world.grown()
        worker.lingers = True
        gone_at = world.clock.monotonic() + 60.0
        for _ in range(3):  # as often as somebody looks
            world.supervisor.leave_node("node-1", gone_at)
            world.supervisor.leave_node("node-2", world.clock.monotonic() + 1.0)
            await settle()
            world.clock.advance(5.0)
        assert worker.graces == [58.0]  # not the 5 s of its pool: there is more time
        assert [(t.worker_id, t.status) for t in world.scheduler.told] == [
            ("a-1", WorkerStatus.DRAINING)
        ]
        assert await world.look() == ["a-2"]
        assert worker.killed == 0

    run(test())


def test_a_machine_that_goes_sooner_than_was_said_has_its_workers_end_sooner() -> None:
    async def test() -> None:
        world = World()
        worker = await world.grown()
        worker.lingers = True
        now = world.clock.monotonic()
        for gone_at in (now + 60.0, now + 59.9, now + 90.0, now + 10.0, now + 1.0):
            world.supervisor.leave_node("node-1", gone_at)
            await settle()
        assert worker.graces == [58.0, 8.0, 0.5]

    run(test())


def test_a_machine_without_a_time_to_go_gives_tasks_as_long_as_their_pool_does() -> None:
    async def test() -> None:
        world = World()
        worker = await world.grown()
        worker.lingers = True
        for _ in range(3):
            world.supervisor.leave_node("node-1", math.inf)
            await settle()
            world.clock.advance(1.0)
        assert worker.graces == [5.0]

    run(test())


def _leave_first(world: World) -> None:
    world.supervisor.leave_node("node-1", world.clock.monotonic() + 60.0)


def _go_without_a_word(world: World) -> None:
    world.nodes.taken = {"node-1"}


def _fail(world: World) -> None:
    """Only the worker dies."""


def _stay_unknown(world: World) -> None:
    world.nodes.error = TimeoutError("the GCS does not answer")


@pytest.mark.parametrize(
    ("go", "blameless"),
    [(_leave_first, True), (_go_without_a_word, True), (_fail, False), (_stay_unknown, False)],
)
def test_no_task_is_to_blame_for_a_worker_whose_machine_was_taken_away(
    go: Callable[[World], None], blameless: bool
) -> None:
    async def test() -> None:
        world = World()
        worker = await world.grown()
        worker.lingers = True
        go(world)
        await settle()
        worker.end("ActorDiedError")
        async with asyncio.timeout(10):
            while not world.scheduler.lost:
                await asyncio.sleep(0)
        assert [lost.blameless for lost in world.scheduler.lost] == [blameless]

    run(test())


def test_the_machine_of_a_worker_that_died_before_the_next_look_is_known_all_the_same() -> None:
    async def test() -> None:
        world = SlowWorld()
        world.nodes.taken = {"node-1"}
        await world.look()
        process = world.maker.made[-1]
        world.scheduler.register(process)
        process.end("ActorDiedError")
        async with asyncio.timeout(10):
            while not world.scheduler.lost:
                await asyncio.sleep(0)
        assert [lost.blameless for lost in world.scheduler.lost] == [True]

    run(test())


def test_an_incarnation_tells_its_generation() -> None:
    assert generation_in(new_incarnation("01f0-abc", "5e")) == "5e"
    assert generation_in("01f0-abc") == ""


def test_the_end_of_a_worker_is_acted_on_at_once() -> None:
    async def test() -> None:
        world = SlowWorld()
        process = await world.grown()
        looking = asyncio.ensure_future(world.supervisor.run_for_ever())
        await settle()
        looks = world.scheduler.reads
        process.end("killed")
        await settle()
        assert world.scheduler.reads > looks
        looking.cancel()

    run(test())


def test_a_worker_that_cannot_be_told_to_leave_is_killed_and_the_log_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def test() -> None:
        world = World()
        process = await world.grown()

        async def fail(event: object) -> None:
            raise ZeroDivisionError("a fault of ours")

        world.scheduler.on_request = fail
        world.supervisor.leave_node(process.node, world.clock.monotonic() + 10.0)
        await settle()
        assert process.killed

    run(test())
    logged = "".join(capsys.readouterr())
    assert "leaving_failed" in logged and "a fault of ours" in logged
