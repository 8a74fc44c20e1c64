"""Work in the background: a fault in it is heard of, and it goes on."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from monitoring.chores import AGAIN_SECONDS, Chores
from monitoring.logs import configure_logs

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class _Naps:
    """A sleep that a test ends."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._ends = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._ends.acquire()

    async def end_one(self) -> None:
        self._ends.release()
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def naps() -> _Naps:
    return _Naps()


@pytest.fixture
async def chores(naps: _Naps) -> AsyncIterator[Chores]:
    made = Chores("scheduler", naps.sleep)
    yield made
    made.stop()


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    configure_logs("INFO", "json", stream)
    yield stream
    configure_logs("INFO", "json")


async def test_it_is_done_again_after_as_long_as_it_says(chores: Chores, naps: _Naps) -> None:
    pauses = iter([3.0, 4.0])

    async def work() -> float | None:
        return next(pauses, None)

    chores.start("prune", work, 2.0)
    await asyncio.sleep(0)
    for _ in range(4):
        await naps.end_one()
    assert naps.asked == [2.0, 3.0, 4.0]
    assert chores.failures == {"prune": 0}


async def test_a_fault_is_an_error_with_its_traceback_is_counted_and_the_work_goes_on(
    chores: Chores, naps: _Naps, log: io.StringIO
) -> None:
    done = 0

    async def work() -> float:
        nonlocal done
        done += 1
        if done == 2:
            raise ZeroDivisionError("a fault of ours")
        return 5.0

    chores.start("trends", work)
    await asyncio.sleep(0)
    for _ in range(3):
        await naps.end_one()
    assert done == 3
    assert naps.asked == [0.0, 5.0, AGAIN_SECONDS, 5.0]
    assert chores.failures["trends"] == 1
    (line,) = map(json.loads, log.getvalue().splitlines())
    assert (line["level"], line["event"], line["chore"]) == ("ERROR", "chore_failed", "trends")
    assert "in work" in line["exception"] and "a fault of ours" in line["exception"]


async def test_one_that_fails_does_not_hold_up_another(chores: Chores, naps: _Naps) -> None:
    done: list[str] = []

    async def fails() -> float:
        raise RuntimeError

    async def works() -> float:
        done.append("again")
        return 0.0

    chores.start("prune", fails)
    chores.start("trends", works)
    await asyncio.sleep(0)
    for _ in range(6):
        await naps.end_one()
    assert len(done) >= 2
    assert chores.failures["prune"] >= 1


async def test_after_the_end_nothing_is_done(chores: Chores, naps: _Naps) -> None:
    done: list[str] = []

    async def work() -> float:
        done.append("late")
        return 0.0

    chores.start("prune", work)
    await asyncio.sleep(0)
    chores.stop()
    await naps.end_one()
    assert done == []
