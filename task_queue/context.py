"""`current_task()`: what a running task can know of itself and tell about itself.

The executors set it with a context variable, so it is right in a plain function, in each of many
coroutines on one loop, and in a thread that a coroutine started with `asyncio.to_thread`.
"""

import math
from collections.abc import Callable
from contextvars import ContextVar

from task_queue.core.task import Lease
from task_queue.errors import TaskQueueError
from task_queue.tracing.traceparent import read_traceparent

_MAX_MESSAGE_CHARACTERS = 1_000


class NoCurrentTask(TaskQueueError):
    """`current_task()` was called where no task runs."""


class TaskContext:
    """The running attempt of a task."""

    # No record: those show all they have, and what a task prints of this is kept with it.
    __slots__ = ("_lease", "_tell", "deadline")

    def __init__(
        self, lease: Lease, deadline: float | None, tell: Callable[[Lease, float, str], None]
    ) -> None:
        self._lease = lease
        self._tell = tell
        #: When the attempt is killed, on the clock of `time.monotonic()`; None: no timeout.
        self.deadline = deadline

    def __repr__(self) -> str:
        return f"<task {self.id}, attempt {self.attempt}>"

    @property
    def id(self) -> str:
        """The task's id."""
        return self._lease.task_id

    @property
    def name(self) -> str:
        """The name under which the task is registered."""
        return self._lease.name

    @property
    def queue(self) -> str:
        """The queue it was submitted to."""
        return self._lease.queue

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1; those cut short by a lost worker or a drain count too.

        No two have the same. Some may be missing: what a lost worker held counts as begun.
        """
        return self._lease.attempt - self._lease.unstarted

    @property
    def max_retries(self) -> int:
        """How many attempts may follow a failed first one."""
        return self._lease.max_retries

    @property
    def failures(self) -> int:
        """How many earlier attempts failed by the task's own doing."""
        return self._lease.failures

    @property
    def request_id(self) -> str | None:
        """The X-Request-ID of the request that submitted it; the queue's own log lines have it."""
        return self._lease.request_id

    @property
    def trace_id(self) -> str | None:
        """The id of the W3C trace that it belongs to; None if its request had none."""
        caller = read_traceparent(self._lease.traceparent or "")
        return None if caller is None else caller.trace_id

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how far the task is. Cheap: about ten a second are sent on, the newest always.

        Args:
            fraction: 0 to 1.
            message: a few words; cut after 1,000 characters.

        Raises:
            ValueError: `fraction` is not a number from 0 to 1.
        """
        number = float(fraction)
        if not math.isfinite(number) or not 0.0 <= number <= 1.0:
            raise ValueError(f"progress fraction is {fraction!r}: give a number from 0 to 1")
        text = str(message)[:_MAX_MESSAGE_CHARACTERS]
        # A lone surrogate, as in an undecodable file name, could not be sent.
        self._tell(self._lease, number, text.encode("utf-8", "replace").decode())


#: Set by whoever runs a task, for as long as it runs. Everybody else calls `current_task`.
CURRENT_TASK: ContextVar[TaskContext] = ContextVar("task_queue_current_task")


def current_task() -> TaskContext:
    """The task that is running here.

    Raises:
        NoCurrentTask: no task is.
    """
    try:
        return CURRENT_TASK.get()
    except LookupError:
        raise NoCurrentTask(
            "current_task() was called outside a task: call it in a task that a worker runs, and "
            "in threads only if they were started with asyncio.to_thread or a copied context"
        ) from None
