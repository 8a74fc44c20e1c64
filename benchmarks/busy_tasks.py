"""Tasks that only benchmarks run."""

import time

from task_queue import task


@task
def compute(seconds: float) -> None:
    """Use `seconds` of a processor's time, however long that takes beside others."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(50))


@task
def give_back(value: str) -> str:
    """Return the argument."""
    return value


@task
def ignore(value: str) -> None:
    """Take an argument and do nothing with it."""
