"""How many workers, and how many tasks a second, does one scheduler carry?

    python -m benchmarks.bench_workers [--short]

A scheduler with a SQLite store in this process; its workers are coroutines with four slots each, so
what is measured is the scheduler (and these coroutines) without the way to it. Processor
microseconds per task, medians of three, with tasks that take no time:
  - 1, 2, 4 ... 64 workers that all pull, four tasks or one at a time: a turn serves them all;
  - one that pulls, four tasks or one at a time, while the others are full: a turn for each pull.
scheduler_model.py is fitted to these. From it: the most workers whose slots, when each task is
reported alone, lose no more than a tenth of their time to turns that they wait for. That is tried,
with that many workers, or 256 if it is more, whose tasks sleep for 10 and for 100 ms.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.flags import flags
from benchmarks.local_scheduler import (
    LocalWorker,
    batches,
    local_scheduler,
    sqlite_in,
    submit,
    succeeded,
)
from benchmarks.own_folder import own_folder
from benchmarks.report import report
from benchmarks.scheduler_model import Point, SchedulerModel, Shard
from task_queue.core.task import Report
from task_queue.scheduler import Scheduler

_WORKERS = (1, 2, 4, 8, 16, 32, 64)
_SLOTS = 4
_TASKS_ALL = 8_000
_TASKS_ONE = 2_000  #: with a turn for each
_RUNS = 3
_TASK_SECONDS = (0.01, 0.1, 1.0)
_MOST_SLEEPERS = 256
_SLEEP_RUN_SECONDS = 3.0


async def all_pull(folder: Path, workers: int, want: int) -> list[Point]:
    """Every worker pulls."""
    async with local_scheduler(sqlite_in(folder, f"all-{workers}-{want}")) as scheduler:
        fleet = await _fleet(scheduler, workers)
        points = []
        for _ in range(_RUNS):
            await submit(scheduler, batches(_TASKS_ALL if workers > 1 else _TASKS_ONE))
            name = f"{workers} pull {want}"
            points.append(await _measured(name, scheduler, fleet, fleet, want))
    return points


async def one_pulls(folder: Path, workers: int, want: int) -> list[Point]:
    """One worker pulls; the others have all that they can hold and a pull that waits for news."""
    async with local_scheduler(sqlite_in(folder, f"one-{workers}-{want}")) as scheduler:
        fleet = await _fleet(scheduler, workers)
        await submit(scheduler, batches((workers - 1) * _SLOTS))
        for worker in fleet[1:]:
            await worker.pull(_SLOTS, [])
        waiting = [asyncio.ensure_future(worker.pull(_SLOTS, [])) for worker in fleet[1:]]
        points = []
        for _ in range(_RUNS):
            await submit(scheduler, batches(_TASKS_ONE))
            name = f"1 of {workers} pulls {want}"
            points.append(await _measured(name, scheduler, fleet, fleet[:1], want))
        for pull in waiting:
            pull.cancel()
    return points


async def _measured(
    name: str, scheduler: Scheduler, fleet: list[LocalWorker], pulling: list[LocalWorker], want: int
) -> Point:
    """Do all that waits with those of the fleet that pull."""
    tasks = sum(map(sum, (queue.waiting for queue in (await scheduler.read()).queues)))
    turns, pulls = (await scheduler.read()).turns, sum(worker.pulls for worker in pulling)
    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker.work(tasks // len(pulling), want) for worker in pulling))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    turns = (await scheduler.read()).turns - turns
    pulls = sum(worker.pulls for worker in pulling) - pulls
    return Point(
        name,
        len(fleet),
        turns / tasks,
        pulls / tasks,
        cpu / tasks * 1e6,
        (wall - cpu) / turns * 1e6,
    )


async def _fleet(scheduler: Scheduler, workers: int) -> list[LocalWorker]:
    fleet = [LocalWorker(scheduler, number, _SLOTS) for number in range(workers)]
    for worker in fleet:
        await worker.register()
    return fleet


# ---- tasks that take time ----------------------------------------------------------------------


async def sleepers(folder: Path, workers: int, task_seconds: float) -> tuple[float, float]:
    """(tasks per second, part of a processor used) with workers that never lack tasks."""
    async with local_scheduler(sqlite_in(folder, f"sleep-{task_seconds}")) as scheduler:
        fleet = await _fleet(scheduler, workers)
        most = int(2 * _SLEEP_RUN_SECONDS * workers * _SLOTS / task_seconds)
        await submit(scheduler, batches(most))
        work = [asyncio.ensure_future(_sleep(worker, task_seconds)) for worker in fleet]
        await asyncio.sleep(_SLEEP_RUN_SECONDS / 3)  # until they are out of step
        left, wall, cpu = await _left(scheduler), time.perf_counter(), time.process_time()
        await asyncio.sleep(_SLEEP_RUN_SECONDS)
        seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
        rate = (left - await _left(scheduler)) / seconds
        for one in work:
            one.cancel()
        await asyncio.gather(*work, return_exceptions=True)
    return rate, cpu / seconds


async def _left(scheduler: Scheduler) -> int:
    return sum(sum(queue.waiting) for queue in (await scheduler.read()).queues)


async def _sleep(worker: LocalWorker, task_seconds: float) -> None:
    """Each lease is reported when its time is over, with those that ended in the same moment."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    reports: list[Report] = []

    def end(report: Report) -> None:
        reports.append(report)
        ended.set()

    while True:
        told = reports.copy()
        reports.clear()
        ended.clear()
        for number, success in enumerate(succeeded(await worker.pull(_SLOTS, told))):
            # At the first time, tasks of one worker end one after the other, as in life.
            early = number / _SLOTS if worker.pulls == 1 else 0.0
            loop.call_later(task_seconds * (1 - early), end, success)
        if not reports:
            await ended.wait()


# ---- figures -----------------------------------------------------------------------------------


def measure(folder: Path, counts: Sequence[int]) -> list[Point]:
    """The median of each case."""
    points = []
    for workers in counts:
        for case in (
            all_pull(folder, workers, _SLOTS),
            all_pull(folder, workers, 1),
            one_pulls(folder, workers, _SLOTS),
            one_pulls(folder, workers, 1),
        ):
            runs = uvloop.run(case)
            runs.sort(key=lambda point: point.microseconds)
            points.append(runs[len(runs) // 2])
    return points


def model_figures(points: list[Point], model: SchedulerModel) -> dict[str, float]:
    """What was measured beside what the model says."""
    figures: dict[str, float] = {}
    errors = []
    for point in points:
        figures[f"{point.name}: CPU microseconds per task"] = point.microseconds
        figures[f"{point.name}: tasks per turn"] = 1 / point.turns
        figures[f"{point.name}: model, microseconds"] = model.microseconds(point)
        errors.append(abs(model.microseconds(point) / point.microseconds - 1))
    figures["model: a, microseconds per task"] = model.task
    figures["model: b, microseconds per turn"] = model.turn
    figures["model: c, microseconds per turn and worker"] = model.worker
    figures["model: d, microseconds per pull"] = model.pull
    figures["model: a turn waits for the disk, microseconds"] = model.wait
    figures["model: error, median %"] = statistics.median(errors) * 100
    figures["model: error, largest %"] = max(errors) * 100
    return figures


def shard_figures(task_seconds: float, shard: Shard) -> dict[str, float]:
    """What the model says of one shard."""
    name = f"model, tasks of {task_seconds * 1e3:,.0f} ms"
    return {
        f"{name}: workers of 4 slots": shard.workers,
        f"{name}: tasks per second": shard.tasks_per_second,
        f"{name}: ms per turn": shard.turn_microseconds / 1e3,
    }


def tried_figures(folder: Path, task_seconds: float, most: int) -> dict[str, float]:
    """Real turns with as many workers as the model allows."""
    workers = max(1, min(most, _MOST_SLEEPERS))
    rate, busy = uvloop.run(sleepers(folder, workers, task_seconds))
    name = f"tried, tasks of {task_seconds * 1e3:,.0f} ms, {workers} workers"
    possible = workers * _SLOTS / task_seconds
    return {
        f"{name}: tasks per second": rate,
        f"{name}: % of what the slots could do": rate / possible * 100,
        f"{name}: scheduler busy, % of a core": busy * 100,
    }


def main() -> None:
    short = flags(__doc__).short
    with own_folder() as folder:
        points = measure(folder, _WORKERS[::3] if short else _WORKERS)
        model = SchedulerModel(points)
        figures = model_figures(points, model)
        for task_seconds in _TASK_SECONDS:
            shard = model.carries(task_seconds, _SLOTS)
            figures |= shard_figures(task_seconds, shard)
            if task_seconds < 1:
                figures |= tried_figures(folder, task_seconds, shard.workers)
    report("bench_workers", figures, seed=0)


if __name__ == "__main__":
    main()
