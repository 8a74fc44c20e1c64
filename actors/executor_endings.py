"""The reports that a worker writes itself, for attempts that cannot tell their own end."""

from msgspec import Struct

from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report, TaskError


class Ending(Struct, frozen=True):
    """How an attempt is to end that the worker has decided to stop."""

    outcome: Outcome
    error: TaskError


CANCELLED = Ending(Outcome.CANCELLED, TaskError("Cancelled", "it was cancelled while it ran"))
INTERRUPTED = Ending(
    Outcome.RELEASED, TaskError("Interrupted", "its executor process was ended for another reason")
)


def timed_out(lease: Lease) -> Ending:
    """For an attempt that ran longer than it may."""
    message = f"it ran longer than its timeout of {lease.timeout_seconds:g} s and was stopped"
    return Ending(Outcome.TIMED_OUT, TaskError("Timeout", message))


def died(cause: str) -> Ending:
    """For an attempt whose executor process ended under it."""
    return Ending(Outcome.DIED, TaskError("ExecutorDied", cause))


def unstarted(lease: Lease, outcome: Outcome) -> Report:
    """For a lease that never reached a child, or was taken back from it."""
    return Report(lease.task_id, lease.attempt, outcome, 0.0, 0.0)


def stopped(
    lease: Lease, ending: Ending, started_at: float, duration_seconds: float, logs: str
) -> Report:
    """For an attempt that was running."""
    return Report(
        lease.task_id, lease.attempt, ending.outcome, started_at, duration_seconds,
        error=ending.error, logs=logs,
    )  # fmt: skip
