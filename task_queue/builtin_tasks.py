"""Four small tasks that every worker has: for smoke tests, benchmarks and `doctor`."""

import time
from typing import Any

from task_queue.tasks import task


@task(name="task_queue.noop")
def noop() -> None:
    """Do nothing."""


@task(name="task_queue.echo")
def echo(value: Any) -> Any:
    """Return the value."""
    return value


@task(name="task_queue.sleep", never_retry_on=(TypeError, ValueError))
def sleep(seconds: float) -> None:
    """Sleep for so many seconds."""
    time.sleep(seconds)


# No retries unless a submit asks for them: who submits this wants to see a failure, now.
@task(name="task_queue.fail", max_retries=0)
def fail(message: str) -> None:
    """Fail with the message."""
    raise RuntimeError(message)
