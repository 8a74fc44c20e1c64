"""How many tasks a second, from the Python client over HTTP to the last completion, and what does
each cost which process?

    python -m benchmarks.bench_end_to_end [--short]

A cluster of its own: one worker with one slot, SQLite with fsync, everything on this machine.
Tasks are submitted by `Client.submit_many`, 1,000 in a batch (fewer if they are large); timed from
the first batch to the moment at which the store has the last task as COMPLETED. No-op tasks: median
of five runs. Tasks that use 1 ms of a processor, and tasks that sleep for 10 ms: also which part of
the time the slot was in them. Payloads of 1 kB and 100 kB: an argument of that size, for a task
that does nothing with it. Processor time: microseconds per task of each process.
"""

import statistics
from collections.abc import Sequence

from benchmarks.cpu_by_process import EXECUTORS
from benchmarks.flags import flags
from benchmarks.own_cluster import running_cluster
from benchmarks.report import report
from benchmarks.throughput import Run, Throughput, microseconds_per_task
from task_queue.client.client import Client

_NOOP, _SLEEP = "task_queue.noop", "task_queue.sleep"
_COMPUTE, _IGNORE = "benchmarks.busy_tasks.compute", "benchmarks.busy_tasks.ignore"
_NOOPS = 50_000
_NOOP_RUNS = 5
_COMPUTE_TASKS, _COMPUTE_SECONDS = 5_000, 0.001
_SLEEP_TASKS, _SLEEP_SECONDS = 500, 0.01
_PAYLOADS = {"1 kB": (1_000, 20_000), "100 kB": (100_000, 500)}  #: bytes, tasks


def noop_figures(runs: Sequence[Run]) -> dict[str, float]:
    """Rates of all runs."""
    done = [run.done_per_second for run in runs]
    return {
        "no-op: submitted per second, median": statistics.median(
            run.submitted_per_second for run in runs
        ),
        "no-op: done per second, median": statistics.median(done),
        "no-op: done per second, lowest": min(done),
        "no-op: done per second, highest": max(done),
        **_cpu_figures("no-op", runs),
    }


def timed_figures(name: str, run: Run, seconds: float) -> dict[str, float]:
    """Of tasks that take a known time in the one slot."""
    return {
        f"{name}: done per second": run.done_per_second,
        f"{name}: % of what the slot could do": run.done_per_second * seconds * 100,
        **_cpu_figures(name, [run]),
    }


def own_code(run: Run, seconds: float) -> dict[str, float]:
    """Of tasks that use a known processor time."""
    executors = run.cpu_seconds[EXECUTORS] / run.tasks
    return {
        "1 ms CPU: the tasks' own code, % of the executors' CPU": seconds / executors * 100,
        "1 ms CPU: executors' CPU around a task, microseconds": (executors - seconds) * 1e6,
    }


def _cpu_figures(name: str, runs: Sequence[Run]) -> dict[str, float]:
    used = microseconds_per_task(runs)
    return {f"{name}: CPU microseconds per task, {role}": value for role, value in used.items()}


def measure(throughput: Throughput, share: int) -> dict[str, float]:
    """All kinds of tasks; `share`: do one of so many of them."""
    throughput.run(_NOOP, ((),) * (_NOOPS // 5))  # warm
    noops = [throughput.run(_NOOP, ((),) * (_NOOPS // share)) for _ in range(_NOOP_RUNS)]
    figures = noop_figures(noops)
    compute = throughput.run(_COMPUTE, ((_COMPUTE_SECONDS,),) * (_COMPUTE_TASKS // share))
    figures |= timed_figures("1 ms CPU", compute, _COMPUTE_SECONDS)
    figures |= own_code(compute, _COMPUTE_SECONDS)
    sleep = throughput.run(_SLEEP, ((_SLEEP_SECONDS,),) * (_SLEEP_TASKS // share))
    figures |= timed_figures("10 ms sleep", sleep, _SLEEP_SECONDS)
    for name, (size, count) in _PAYLOADS.items():
        run = throughput.run(_IGNORE, (("x" * size,),) * (count // share))
        figures[f"payload of {name}: done per second"] = run.done_per_second
        figures |= _cpu_figures(f"payload of {name}", [run])
    return figures


def main() -> None:
    share = 2 if flags(__doc__).short else 1
    with running_cluster() as cluster, Client(cluster.url) as client:
        figures = measure(Throughput(cluster, client), share)
    report("bench_end_to_end", figures)


if __name__ == "__main__":
    main()
