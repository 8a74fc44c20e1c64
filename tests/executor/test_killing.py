"""Timeouts, cancels, and processes that end under their task."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

Play = Callable[..., None]
ROOT = Path(__file__).parents[2]


def is_gone(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_a_timeout_kills_a_loop_that_never_yields(play: Play) -> None:
    async def story(driver: Any) -> None:
        began = driver.clock.now()
        task_id = driver.give("spin", timeout_seconds=0.5)
        pid = int(await driver.told(task_id))
        await driver.let_pass(0.25)
        assert not is_gone(pid)
        driver.clock.advance(0.25)
        report = await driver.report(task_id)
        assert (report.outcome, report.error.type) == ("timed_out", "Timeout")
        assert "timeout of 0.5 s" in report.error.message
        assert report.logs == "spinning\n"
        assert (report.started_at, report.duration_seconds) == (began, 0.5)
        assert is_gone(pid)
        assert await driver.result("add", 1) == 1

    play(story)


@pytest.mark.parametrize("new_session", [False, True])
def test_a_kill_takes_the_descendants_along(play: Play, new_session: bool) -> None:
    async def story(driver: Any) -> None:
        task_id = driver.give("stubborn", new_session, timeout_seconds=1.0)
        pids = [int(text) for text in (await driver.told(task_id)).split()]
        assert len(pids) == 3
        driver.clock.advance(1.0)
        assert (await driver.report(task_id)).outcome == "timed_out"
        await driver.until(lambda: all(is_gone(pid) for pid in pids), "the end of all three")

    play(story)


def test_the_timeout_counts_from_the_start_of_the_task_itself(play: Play, tmp_path: Path) -> None:
    """Not from when it was sent: those sent along with it come first."""

    async def story(driver: Any) -> None:
        driver.teach("wait_for")  # it is known to be quick, so these go in one chunk
        gates = [tmp_path / str(number) for number in range(3)]
        leases = [driver.lease("wait_for", str(gate), timeout_seconds=0.04) for gate in gates]
        driver.pool.run(leases)
        for lease, gate in zip(leases, gates, strict=True):
            await driver.told(lease.task_id)
            await driver.let_pass(0.03)
            gate.touch()
            assert (await driver.report(lease.task_id)).outcome == "succeeded"

    play(story)


def test_cancel_of_running_buffered_and_unknown(play: Play) -> None:
    async def story(driver: Any) -> None:
        running, waiting = driver.give("spin"), driver.give("add", 1)
        await driver.told(running)
        driver.pool.cancel([("nobody", 1), (running, 7)])
        driver.cancel(waiting)
        driver.collect()  # at once
        assert driver.reports[waiting].outcome == "cancelled"
        assert driver.reports[waiting].started_at == 0.0
        assert running not in driver.reports
        driver.cancel(running)
        report = await driver.report(running)
        assert (report.outcome, report.logs) == ("cancelled", "spinning\n")
        assert report.started_at > 0
        assert await driver.result("add", 1) == 1

    play(story)


def test_cancel_in_a_chunk_spares_its_neighbours(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        driver.teach("wait_for")
        leases = [driver.lease("wait_for", str(gate)) for _ in range(5)]
        driver.pool.run(leases)
        ids = [lease.task_id for lease in leases]
        await driver.told(ids[0])
        driver.cancel(ids[2])
        driver.cancel(ids[0])
        assert (await driver.report(ids[0])).outcome == "cancelled"
        assert (await driver.report(ids[2])).outcome == "cancelled"
        assert driver.reports[ids[2]].started_at == 0.0
        gate.touch()
        for task_id in (ids[1], ids[3], ids[4]):
            assert (await driver.report(task_id)).outcome == "succeeded"

    play(story)


@pytest.mark.parametrize(
    ("how", "cause", "said"),
    [
        ("exit", "exited with code 3", ""),
        ("segv", "killed by signal 11 (SIGSEGV)", "Fatal Python error: Segmentation fault"),
        ("kill", "killed by signal 9 (SIGKILL) that some process sent", ""),
        ("close", "closed its pipe to the worker", ""),
    ],
)
def test_the_end_of_a_process_is_told_with_its_cause(
    play: Play, how: str, cause: str, said: str
) -> None:
    async def story(driver: Any) -> None:
        task_id, other = driver.give("ends", how), driver.give("add", 1)
        report = await driver.report(task_id)
        assert (report.outcome, report.error.type) == ("died", "ExecutorDied")
        assert report.error.message.startswith(cause)
        assert report.logs.startswith("last words\n")
        assert said in report.logs
        assert (await driver.report(other)).outcome == "succeeded"

    play(story)


def test_a_death_leaves_the_other_slots_and_its_own_chunk_alone(play: Play, tmp_path: Path) -> None:
    async def story(driver: Any) -> None:
        gate = tmp_path / "gate"
        driver.teach("wait_for")
        leases = [driver.lease("wait_for", str(gate)) for _ in range(4)]
        driver.pool.run(leases)
        victim, other, *rest = [lease.task_id for lease in leases]
        await driver.told(victim)
        await driver.let_pass(0.06)  # it is not quick, so the others do not stay behind it
        pids = {task_id: int(await driver.told(task_id)) for task_id in (victim, other)}
        os.kill(pids[victim], signal.SIGKILL)
        assert (await driver.report(victim)).outcome == "died"
        gate.touch()
        for task_id in (other, *rest):
            assert (await driver.report(task_id)).outcome == "succeeded"
        assert driver.reports[other].result == str(pids[other]).encode()

    play(story, slots=2)


def test_no_zombies_and_no_descriptors_are_left(play: Play) -> None:
    async def story(driver: Any) -> None:
        await driver.run("add", 1)
        this = psutil.Process()
        children, descriptors = len(this.children()), this.num_fds()
        for _ in range(5):
            await driver.run("ends", "exit")
        await driver.run("add", 1)
        assert len(this.children()) == children
        assert this.num_fds() == descriptors

    play(story)


def test_children_end_when_the_worker_is_killed(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import asyncio
        from actors.executor_pool import ExecutorConfig, ExecutorPool
        from task_queue.clock import SystemClock
        from task_queue.core.task import Lease

        async def main():
            config = ExecutorConfig(
                slots=1, python_path=[{str(Path(__file__).parent / "samples")!r}],
                task_modules=["sample_tasks"],
            )
            changed = asyncio.Event()
            pool = ExecutorPool(config, SystemClock(), changed.set)
            await pool.start()
            pool.run([Lease("t", 1, 1, "spin", "q", 5, b'{{}}', None, 0, 0, 0.0, None, None)])
            while not (notes := pool.take_progress()):
                changed.clear()
                await changed.wait()
            print(notes[0].progress.message, flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
        """
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    child = psutil.Process(int(worker.stdout.readline()))
    assert child.is_running()
    worker.kill()
    worker.wait()
    worker.stdout.close()
    child.wait(timeout=10)
