"""A machine as a reading: the one place where its state becomes figures."""

from collections import Counter

from task_queue.core.machine import QueueMachine
from task_queue.scheduler_api import QueueState, SchedulerReading, WorkerReading


def read_machine(
    machine: QueueMachine,
    now: float,
    started_at: float,
    epoch: int,
    turns: int,
    commit_seconds_total: float,
    commit_seconds_last: float,
) -> SchedulerReading:
    """Figures of `machine` at `now`; the cost grows with queues and running tasks only."""
    running = Counter(t.spec.queue for w in machine.workers.values() for t in w.held.values())
    queues = [
        QueueState(
            queue,
            queue in machine.paused,
            list(line.waiting),
            machine.book.delayed.get(queue, 0),
            running[queue],
            line.oldest_submitted_at(),
        )
        for queue, line in sorted(machine.book.lines.items())
    ]
    unused = sorted(machine.paused - machine.book.lines.keys())
    queues += [QueueState(queue, True, [0] * 10, 0, 0, None) for queue in unused]
    workers = [
        WorkerReading(w.info, w.last_seen, list(w.held), w.ended, w.failed, w.busy_seconds)
        for _, w in sorted(machine.workers.items())
    ]
    return SchedulerReading(
        now, started_at, epoch, queues, workers, machine.refused_reports, turns,
        commit_seconds_total, commit_seconds_last,
    )  # fmt: skip
