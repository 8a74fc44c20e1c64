"""The watch of machines that are about to go passes on what Ray says, and outlives its silence."""

import asyncio
import math

import pytest

from cluster.node_watch import NodeWatch
from task_queue.testing import FakeClock


class SaidNodes:
    """Nodes: says what the test gave it."""

    def __init__(self) -> None:
        self.answers: list[dict[str, float] | Exception] = []

    async def draining(self) -> dict[str, float]:
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def taken_away(self, node_id: str) -> bool:
        return False


class Leaver:
    """A NodeLeaver: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float]] = []

    def leave_node(self, node_id: str, gone_at: float) -> None:
        self.told.append((node_id, gone_at))


def test_times_of_the_wall_become_times_of_the_steady_clock() -> None:
    nodes, leaver, clock = SaidNodes(), Leaver(), FakeClock()
    nodes.answers = [{"n1": clock.now() + 30.0, "n2": math.inf}]
    asyncio.run(NodeWatch(nodes, leaver, clock).run_once())
    assert leaver.told == [("n1", pytest.approx(clock.monotonic() + 30.0)), ("n2", math.inf)]


def test_it_looks_again_after_ray_did_not_answer() -> None:
    async def test() -> None:
        nodes, leaver = SaidNodes(), Leaver()
        nodes.answers = [ConnectionError("the GCS is away"), {"n1": math.inf}]
        watching = asyncio.ensure_future(NodeWatch(nodes, leaver, FakeClock()).run_for_ever())
        async with asyncio.timeout(10):
            while not leaver.told:
                await asyncio.sleep(0.01)
        watching.cancel()

    asyncio.run(test())
