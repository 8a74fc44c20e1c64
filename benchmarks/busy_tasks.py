"""Tasks that only benchmarks run."""

import time

from task_queue import task


@task
def compute(seconds: float) -> None:
    """Keep a processor busy for `seconds`."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(50))
