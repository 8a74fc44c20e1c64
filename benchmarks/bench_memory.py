"""Does a scheduler stay small, and start fast, with a million tasks in its queue?

    python -m benchmarks.bench_memory [--short]

A scheduler with a SQLite store, no Ray and no HTTP. Three processes, one after the other: the first
submits 1,000,000 tasks, the second starts on what the first left and stops, the third starts and
does them all. Of each: the resident memory of the whole process at its highest (VmHWM, in MB), the
interpreter and the benchmark's own worker included, and the seconds until the scheduler answers.
The tasks must be done in the order of their acceptance, each once. --short: 100,000 tasks.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import uvloop

from benchmarks.flags import flags
from benchmarks.local_scheduler import (
    BATCH,
    LocalWorker,
    batches,
    local_scheduler,
    sqlite_in,
    submit,
    succeeded,
)
from benchmarks.own_folder import own_folder
from benchmarks.report import report
from task_queue.scheduler import Scheduler


def fill(folder: Path, tasks: int) -> dict[str, float]:
    """Submit them."""
    return uvloop.run(_with_scheduler(folder, tasks, drain=False))


def start(folder: Path, _tasks: int) -> dict[str, float]:
    """Start on what is there."""
    return uvloop.run(_with_scheduler(folder, 0, drain=False))


def drain(folder: Path, tasks: int) -> dict[str, float]:
    """Do them all."""
    return uvloop.run(_with_scheduler(folder, tasks, drain=True))


async def _with_scheduler(folder: Path, tasks: int, *, drain: bool) -> dict[str, float]:
    began = time.perf_counter()
    async with local_scheduler(sqlite_in(folder)) as scheduler:
        await scheduler.read()
        figures = {"answers after, seconds": time.perf_counter() - began}
        began = time.perf_counter()
        if drain:
            await _drain(scheduler, tasks)
        else:
            for _ in range(tasks // BATCH):
                await submit(scheduler, batches(BATCH))
        if tasks:
            figures["tasks per second"] = tasks / (time.perf_counter() - began)
    figures["peak memory, MB"] = _peak_mb()
    return figures


async def _drain(scheduler: Scheduler, tasks: int) -> None:
    worker = LocalWorker(scheduler)
    await worker.register()
    last_seq, done = 0, 0
    leases = await worker.pull(BATCH, [])
    while leases:
        for lease in leases:
            if lease.seq <= last_seq:
                raise RuntimeError(f"task {lease.seq} came after {last_seq}")
            last_seq = lease.seq
        done += len(leases)
        reports = succeeded(leases)
        if done == tasks:
            await worker.report(reports)
            return
        leases = await worker.pull(BATCH, reports)


def _peak_mb() -> float:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("/proc/self/status has no VmHWM: this needs Linux")


def main() -> None:
    tasks = 100_000 if flags(__doc__).short else 1_000_000
    figures: dict[str, float] = {"tasks": tasks}
    steps = {"filled": fill, "started": start, "drained": drain}
    with own_folder() as folder:
        for name, step in steps.items():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                found = process.submit(step, folder, tasks).result()
            figures |= {f"{name}: {figure}": value for figure, value in found.items()}
    report("bench_memory", figures, seed=0)


if __name__ == "__main__":
    main()
