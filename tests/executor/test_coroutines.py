"""The "async" executor."""

import socket
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from task_queue.clock import SystemClock
from task_queue.core.task import Lease
from task_queue.executor import coroutines
from task_queue.executor.coroutines import CoroutineRunner

pytestmark = pytest.mark.anyio

Play = Callable[..., None]


def test_coroutines_run_at_the_same_time_in_one_process(play: Play) -> None:
    async def story(driver: Any) -> None:
        ids = [driver.give("meet", 5) for _ in range(5)]
        for task_id in ids:
            report = await driver.report(task_id)
            assert report.result == f'"{task_id}"'.encode()
        assert sum(host.kind == "async" for host in driver.pool._hosts) == 1

    play(story, slots=5)


def test_cancel_and_timeout_end_one_coroutine_and_no_other(play: Play) -> None:
    async def story(driver: Any) -> None:
        kept, cancelled = driver.give("sleep_long"), driver.give("sleep_long")
        timed = driver.give("sleep_long", timeout_seconds=0.2)
        pids = {await driver.told(task_id) for task_id in (kept, cancelled, timed)}
        assert len(pids) == 1
        driver.cancel(cancelled)
        report = await driver.report(cancelled)
        assert (report.outcome, report.logs) == ("cancelled", "asleep\n")
        driver.clock.advance(0.2)
        report = await driver.report(timed)
        assert (report.outcome, report.error.type) == ("timed_out", "Timeout")
        assert await driver.result("async_add", 1) == 1
        assert kept not in driver.reports

    play(story, slots=4)


def test_a_blocked_loop_does_not_silence_the_timeout(play: Play) -> None:
    async def story(driver: Any) -> None:
        other = driver.give("sleep_long")
        await driver.told(other)
        blocker = driver.give("blocks", timeout_seconds=0.2)
        await driver.told(blocker)
        await driver.let_pass(0.2)
        driver.clock.advance(0.1)
        report = await driver.report(blocker)
        assert (report.outcome, report.logs) == ("timed_out", "blocking\n")
        assert (await driver.report(other)).outcome == "released"
        assert await driver.result("async_add", 1) == 1

    play(story, slots=2, kill_grace_seconds=0.1)


def test_a_swallowed_cancellation_is_followed_by_a_kill(play: Play) -> None:
    async def story(driver: Any) -> None:
        task_id = driver.give("swallows")
        await driver.told(task_id)
        driver.cancel(task_id)
        await driver.tick()
        assert task_id not in driver.reports
        driver.clock.advance(0.1)
        assert (await driver.report(task_id)).outcome == "cancelled"

    play(story, kill_grace_seconds=0.1)


def test_a_cancel_that_comes_before_the_first_step_is_heard(play: Play) -> None:
    async def story(driver: Any) -> None:
        await driver.run("async_add", 1)
        task_id = driver.give("sleep_long")
        driver.cancel(task_id)
        assert (await driver.report(task_id)).outcome == "cancelled"

    play(story, kill_grace_seconds=60.0)


def test_the_death_of_the_process_is_told_to_all_that_ran_in_it(play: Play) -> None:
    async def story(driver: Any) -> None:
        other = driver.give("sleep_long")
        await driver.told(other)
        report = await driver.run("async_ends")
        assert report.outcome == "died"
        assert "exited with code 3; 1 other coroutine task" in report.error.message
        assert (await driver.report(other)).outcome == "died"

    play(story, slots=2)


async def test_an_end_that_cannot_be_told_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its attempt would run for ever, as far as the worker knows."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(coroutines, "report_of", fail)
    with socket.socket() as never:
        pipe = SimpleNamespace(command_fd=never.fileno(), send=lambda _frame: None)
        boot = SimpleNamespace(log_cap_bytes=9, result_cap_bytes=9)
        runner = CoroutineRunner(pipe, boot, SystemClock(), lambda _lease: None)  # type: ignore[arg-type]
        monkeypatch.setattr(runner, "_read", lambda: None)
        runner._start(Lease("t", 1, 1, "no.task", "q", 5, b"{}", None, 0, 0, 0.0, None, None))
        with pytest.raises(ZeroDivisionError):
            await runner.serve()
