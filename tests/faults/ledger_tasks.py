"""Tasks that keep their own record of what really ran, outside the queue."""

import os
import time

from task_queue import current_task, task


@task(name="ledger.write", max_retries=20, retry_base_seconds=0.05, retry_cap_seconds=0.2)
def write(path: str, key: str, seconds: float) -> str:
    """Note the start, work, note the end. Each line is one atomic append."""
    _append(path, f"start {key} {current_task().attempt}\n")
    time.sleep(seconds)
    _append(path, f"end {key} {current_task().attempt}\n")
    return key


def _append(path: str, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
