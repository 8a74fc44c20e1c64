"""What a task costs a worker and its executor process, around the task's own code.

    python -m benchmarks.bench_executor [--short]

An executor pool with one slot, as a worker has it, without scheduler and Ray: leases in, reports
out. For no-op tasks: processor time of the parent (the worker's side) and of the child for each
task. For tasks that use 1 ms of a processor: which part of the child's processor time was the
task's own code, and the time between two tasks.
"""

import asyncio
import time

import psutil

from actors.executor_config import ExecutorConfig
from actors.executor_pool import ExecutorPool
from benchmarks.flags import flags
from benchmarks.own_folder import ROOT
from benchmarks.report import report
from task_queue.clock import SystemClock
from task_queue.core.task import Lease, Report

_NOOPS = 100_000
_BUSY_TASKS = 3_000
_BUSY_SECONDS = 0.001


class Run:
    """Tasks of one name through a pool, with the pool always as full as it asks for."""

    def __init__(self, name: str, arguments: bytes, count: int) -> None:
        self._name = name
        self._arguments = arguments
        self._left = count
        self._seq = 0
        self._news = asyncio.Event()
        config = ExecutorConfig(
            slots=1, task_modules=["benchmarks.busy_tasks"], python_path=[str(ROOT)]
        )
        self._pool = ExecutorPool(config, SystemClock(), self._news.set)

    async def go(self) -> tuple[list[Report], float, float, float]:
        """(reports, wall seconds, parent's and child's processor seconds)."""
        await self._pool.start()
        reports: list[Report] = []
        child = psutil.Process().children()[0]
        wall, parent, before = time.perf_counter(), time.process_time(), _cpu(child)
        wanted = self._left
        while len(reports) < wanted:
            self._fill()
            await self._news.wait()
            self._news.clear()
            reports += self._pool.take_reports()
        spent = time.perf_counter() - wall, time.process_time() - parent, _cpu(child) - before
        await self._pool.stop(1.0)
        return reports, *spent

    def _fill(self) -> None:
        room = min(self._left, self._pool.wanted_leases() - len(self._pool.holding()))
        if room > 0:
            self._left -= room
            self._pool.run([self._lease() for _ in range(room)])

    def _lease(self) -> Lease:
        self._seq += 1
        return Lease(
            f"00000000-0000-7000-8000-{self._seq:012d}", 1, self._seq, self._name, "default", 5,
            self._arguments, None, 3, 0, 0.0, None, None,
        )  # fmt: skip


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    flags(__doc__)  # it is short
    figures: dict[str, float] = {}
    reports, wall, parent, child = asyncio.run(
        Run("task_queue.noop", b'{"args":[],"kwargs":{}}', _NOOPS).go()
    )
    figures["no-op: tasks per second"] = len(reports) / wall
    figures["no-op: worker's CPU microseconds per task"] = parent / len(reports) * 1e6
    figures["no-op: executor's CPU microseconds per task"] = child / len(reports) * 1e6
    busy = b'{"args":[%f],"kwargs":{}}' % _BUSY_SECONDS
    reports, wall, parent, child = asyncio.run(
        Run("benchmarks.busy_tasks.compute", busy, _BUSY_TASKS).go()
    )
    own, in_task = len(reports) * _BUSY_SECONDS, sum(one.duration_seconds for one in reports)
    figures["1 ms: the task's own code, % of the slot's time"] = in_task / wall * 100
    figures["1 ms: the task's own code, % of the executor's CPU"] = own / child * 100
    figures["1 ms: microseconds of the slot around each task"] = (
        (wall - in_task) / len(reports) * 1e6
    )
    figures["1 ms: worker's CPU microseconds per task"] = parent / len(reports) * 1e6
    report("bench_executor", figures)


if __name__ == "__main__":
    main()
