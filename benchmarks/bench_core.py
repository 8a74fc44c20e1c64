"""What a task costs the pure core, and does that grow with the queue?

    python -m benchmarks.bench_core [--short]

Submit, claim and complete in batches of 1,000, no store: processor microseconds of one task while
so many others wait.
"""

import time
from random import Random

from benchmarks.flags import flags
from benchmarks.report import report
from task_queue.core.events import TasksSubmitted, WorkerPulled, WorkerRegistered
from task_queue.core.machine import Loaded, QueueMachine
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome
from task_queue.core.task import Report
from task_queue.core.worker import WorkerInfo
from task_queue.ids import new_task_id
from task_queue.next_firing import next_firing
from task_queue.testing import task_spec

_BATCH = 1_000
_ROUNDS = 50
_BACKLOGS = (0, 1_000, 10_000, 100_000, 1_000_000)


def new_machine() -> QueueMachine:
    """An empty machine with one worker."""
    machine = QueueMachine(
        Rules(), Loaded([], 1, [], [], []), 0.0,
        new_id=new_task_id, random=Random(0).random, next_firing=next_firing,
    )  # fmt: skip
    machine.handle([WorkerRegistered(WorkerInfo("w-1", "i", "p", ("*",), 4))], 0.0)
    return machine


def microseconds_per_task(backlog: int) -> float:
    """CPU time of one task's life while `backlog` others wait."""
    machine = new_machine()
    if backlog:
        machine.handle([TasksSubmitted([task_spec(priority=1) for _ in range(backlog)])], 0.0)
    batches = [[task_spec() for _ in range(_BATCH)] for _ in range(_ROUNDS)]
    reports: list[Report] = []
    began = time.process_time()
    for seq, specs in enumerate(batches):
        machine.handle([TasksSubmitted(specs)], float(seq))
        grants = machine.handle(
            [WorkerPulled("w-1", "i", seq + 1, _BATCH, reports)], float(seq)
        ).grants
        leases = grants[-1].leases
        reports = [
            Report(x.task_id, x.attempt, Outcome.SUCCEEDED, 0.0, 0.001, b"null") for x in leases
        ]
    return (time.process_time() - began) / (_BATCH * _ROUNDS) * 1e6


def main() -> None:
    figures = {}
    for backlog in (1_000, 1_000_000) if flags(__doc__).short else _BACKLOGS:
        figures[f"core, microseconds per task, backlog {backlog:>9,}"] = microseconds_per_task(
            backlog
        )
    report("bench_core", figures, seed=0)


if __name__ == "__main__":
    main()
