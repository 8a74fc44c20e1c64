"""Tasks that keep their own record of what really ran, outside the queue."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from task_queue import current_task, task
from task_queue.clock import SystemClock


@task(name="ledger.write", max_retries=20, retry_base_seconds=0.05, retry_cap_seconds=0.2)
def write(path: str, key: str, seconds: float) -> str:
    """Note the start, work, note the end. Each line is one atomic append."""
    _append(path, f"start {key} {current_task().attempt}\n")
    time.sleep(seconds)
    _append(path, f"end {key} {current_task().attempt}\n")
    return key


@task(name="ledger.hold", max_retries=0)
def hold(path: str, gate: str) -> int:
    """The first attempt waits until the gate is there; returns which attempt this is."""
    attempt = current_task().attempt
    _append(path, f"start {gate} {attempt}\n")
    while attempt == 1 and not Path(gate).exists():
        time.sleep(0.01)
    _append(path, f"end {gate} {attempt}\n")
    return attempt


@task(name="ledger.fall", max_retries=0, retry_base_seconds=0.05)
def fall(path: str, ways: list[str]) -> int:
    """Each attempt notes the time and ends its process, or its worker's, in the next of the ways;
    returns which attempt this is when there is none left."""
    attempt = current_task().attempt
    if attempt > len(ways):
        return attempt
    ends: dict[str, Callable[[], object]] = {
        "exit": lambda: os._exit(3),
        "segv": lambda: os.kill(os.getpid(), signal.SIGSEGV),
        "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "worker": lambda: os.kill(os.getppid(), signal.SIGKILL),
    }
    _append(path, f"{SystemClock().now()}\n")
    ends[ways[attempt - 1]]()
    time.sleep(60)
    sys.exit("it did not end")


def _append(path: str, line: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
