"""Who has the processor first. Priorities are a thread's own, so each test has one for itself."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from actors.give_way import NICER, give_way
from task_queue.executor.launch import be_scheduled_as_usual

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER,
    reason="Linux's own, and only where nobody chose another policy for the tests",
)


def in_a_thread(story: Callable[[], None]) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(story).result()


def test_only_the_thread_that_asks_gives_way() -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)

    def story() -> None:
        for _ in range(2):
            give_way()
            assert os.getpriority(os.PRIO_PROCESS, 0) == min(19, usual + NICER)
            assert os.sched_getscheduler(0) == os.SCHED_BATCH

    in_a_thread(story)
    assert os.getpriority(os.PRIO_PROCESS, 0) == usual
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_policy_that_somebody_chose_stays(play: Callable[..., None]) -> None:
    async def story(driver: Any) -> None:
        assert (await driver.result("scheduling"))[1] == os.SCHED_IDLE

    def idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        give_way()
        assert os.sched_getscheduler(0) == os.SCHED_IDLE
        play(story)

    in_a_thread(idle)


def test_executors_keep_a_policy_that_somebody_chose_for_the_whole_process(
    play: Callable[..., None],
) -> None:
    async def story(driver: Any) -> None:
        assert (await driver.result("scheduling"))[1] == os.SCHED_BATCH

    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        play(story)
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def test_a_sandbox_that_forbids_the_question_stops_no_executor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(_pid: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "sched_getscheduler", forbidden)
    be_scheduled_as_usual(os.getpid())


def test_tasks_are_as_nice_as_their_worker_and_scheduled_as_usual(
    play: Callable[..., None],
) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)

    async def story(driver: Any) -> None:
        assert await driver.result("scheduling") == [usual, os.SCHED_OTHER]

    play(story)

    def gives_way() -> None:
        give_way()

        async def nicer(driver: Any) -> None:
            assert await driver.result("scheduling") == [min(19, usual + NICER), os.SCHED_OTHER]

        play(nicer)

    in_a_thread(gives_way)
