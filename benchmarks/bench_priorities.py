"""More is submitted than can be run: how long do tasks of each priority wait, and is the order
kept?

    python -m benchmarks.bench_priorities [--short]

A cluster of its own: one worker with one slot. Tasks that sleep for 5 ms, twice as many a second as
the slot can do, each of a random priority. Waiting time, from submit to start as the store has
them, in milliseconds for each priority: the upper half should hardly wait.

A task is overtaken when one of lower priority starts while it waits. Read-ahead allows that for as
long as it reaches, about 50 ms: so what counts is how long the overtaken one had waited by then.
"""

import random
import time
from collections.abc import Sequence

from benchmarks.flags import flags
from benchmarks.own_cluster import RunningCluster, running_cluster
from benchmarks.report import report, spread
from benchmarks.throughput import Throughput
from task_queue.client.client import Client
from task_queue.client.submission import submit_request
from task_queue.core.status import PRIORITY_MAX
from task_queue.core.task import Task

_SEED = 7
_TASK_SECONDS = 0.005
_OVERLOAD = 2.0
_SUBMIT_SECONDS = 0.05  #: between two batches
_READ_AHEAD_SECONDS = 0.05  #: as documented in docs/design.md
_SECONDS = 20.0


def run(cluster: RunningCluster, seconds: float) -> list[Task]:
    """Submit for `seconds`; the tasks when all are done."""
    rng = random.Random(_SEED)
    size = round(_OVERLOAD * _SUBMIT_SECONDS / _TASK_SECONDS)
    ids: list[str] = []
    with Client(cluster.url) as client:
        throughput = Throughput(cluster, client)
        throughput.run("task_queue.sleep", ((_TASK_SECONDS,),) * 100)  # its duration is known now
        before, began = throughput.completed(), time.perf_counter()
        for number in range(round(seconds / _SUBMIT_SECONDS)):
            time.sleep(max(0.0, began + number * _SUBMIT_SECONDS - time.perf_counter()))
            batch = [
                submit_request(
                    "task_queue.sleep", _TASK_SECONDS, priority=rng.randint(0, PRIORITY_MAX)
                )
                for _ in range(size)
            ]
            ids += [handle.task_id for handle in client.submit_many(batch)]
        throughput.wait_for(before + len(ids))
    return list(cluster.reader().find(ids).values())


def waits(tasks: Sequence[Task]) -> dict[str, float]:
    """Milliseconds from submit to start, by priority."""
    figures: dict[str, float] = {}
    for priority in range(PRIORITY_MAX, -1, -1):
        seconds = [_started(t) - t.submitted_at for t in tasks if t.spec.priority == priority]
        for name, value in spread(seconds, "ms", 1e3).items():
            figures[f"priority {priority}: waits {name}"] = value
    return figures


def overtaken(tasks: Sequence[Task]) -> list[float]:
    """For each task that started before one of higher priority which waited: how long the one that
    had waited longest of these had done so by then, in seconds."""
    #: By priority, of the tasks that start later: when the first was submitted.
    first = [float("inf")] * (PRIORITY_MAX + 1)
    seconds = []
    for task in sorted(tasks, key=_started, reverse=True):
        priority = task.spec.priority
        waited = _started(task) - min(first[priority + 1 :], default=float("inf"))
        if waited > 0:
            seconds.append(waited)
        first[priority] = min(first[priority], task.submitted_at)
    return seconds


def _started(task: Task) -> float:
    assert task.started_at is not None
    return task.started_at


def main() -> None:
    seconds = _SECONDS / 5 if flags(__doc__).short else _SECONDS
    with running_cluster() as cluster:
        tasks = run(cluster, seconds)
    figures = waits(tasks)
    out_of_order = overtaken(tasks)
    beyond = [waited for waited in out_of_order if waited > _READ_AHEAD_SECONDS]
    figures["tasks"] = len(tasks)
    figures["started before a waiting one of higher priority"] = len(out_of_order)
    figures["... which had waited for more than 50 ms"] = len(beyond)
    figures["longest such wait, ms"] = max(out_of_order, default=0.0) * 1e3
    report("bench_priorities", figures, seed=_SEED)


if __name__ == "__main__":
    main()
