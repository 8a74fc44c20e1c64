"""What must always hold of a machine, as code.

Checked after every core test and every step of the state-machine test, and in production by
`limits.check_invariants: true`, at a cost that grows with the number of live tasks.
"""

from task_queue.core.machine import QueueMachine
from task_queue.core.status import TERMINAL, Status


class BrokenInvariant(AssertionError):
    """A rule of the machine that does not hold: always a bug of ours."""


def check_invariants(machine: QueueMachine) -> None:
    """Raise BrokenInvariant if the machine contradicts itself."""
    _check_tasks(machine)
    _check_leases(machine)
    _check_counts(machine)


def _check_tasks(machine: QueueMachine) -> None:
    book = machine.book
    for task_id, task in book.live.items():
        _hold(task.spec.id == task_id, f"{task_id}: filed under another task's id")
        _hold(task.status not in TERMINAL, f"{task_id}: {task.status} yet live")
        _hold(not task.in_dlq, f"{task_id}: dead-lettered yet live")
        _hold(
            not task.cancel_requested or task.status is Status.RUNNING,
            f"{task_id}: a cancel waits although nothing runs",
        )
    for key, task_id in book.keys.items():
        _hold(book.live[task_id].spec.idempotency_key == key, f"key {key}: points elsewhere")


def _check_leases(machine: QueueMachine) -> None:
    leased: dict[str, str] = {}
    for worker_id, worker in machine.workers.items():
        for task_id, task in worker.held.items():
            _hold(task_id not in leased, f"{task_id}: also held by {leased.get(task_id)}")
            leased[task_id] = worker_id
            _hold(task.worker_id == worker_id, f"{task_id}: row names another worker")
            _hold(machine.book.live.get(task_id) is task, f"{task_id}: leased but not live")
    running = {t.spec.id for t in machine.book.live.values() if t.status is Status.RUNNING}
    _hold(running == leased.keys(), f"RUNNING and leased differ: {running ^ leased.keys()}")


def _check_counts(machine: QueueMachine) -> None:
    book = machine.book
    for queue, line in book.lines.items():
        tasks = [t for t in book.live.values() if t.spec.queue == queue]
        ready = [t for t in tasks if t.status is Status.QUEUED]
        _hold(
            sorted(t.seq for t in line) == sorted(t.seq for t in ready),
            f"queue {queue}: the line and the QUEUED tasks differ",
        )
        away = {paged_out.priority: paged_out.count for paged_out in line.paged_out}
        _hold(all(count > 0 for count in away.values()), f"queue {queue}: an empty page is wanted")
        for priority, count in enumerate(line.waiting):
            actual = sum(t.spec.priority == priority for t in ready) + away.get(priority, 0)
            _hold(count == actual, f"queue {queue}: counts {count} at priority {priority}")
        delayed = sum(t.status in (Status.SCHEDULED, Status.RETRYING) for t in tasks)
        _hold(book.delayed.get(queue, 0) == delayed, f"queue {queue}: counts delayed wrongly")
        retrying = sum(t.status is Status.RETRYING for t in tasks)
        _hold(line.retrying == retrying, f"queue {queue}: counts RETRYING wrongly")


def _hold(condition: bool, message: str) -> None:
    if not condition:
        raise BrokenInvariant(message)
