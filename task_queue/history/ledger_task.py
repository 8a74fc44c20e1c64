"""The task of a fault campaign: each attempt writes down that it began and that it ended.

A pool has it if its `task_modules` name `task_queue.history.ledger_task`. It appends to any file
that the submit names, so keep it out of pools that strangers may submit to.
"""

import os
import time
from pathlib import Path

from task_queue.clock import SystemClock
from task_queue.context import current_task
from task_queue.history.ledger import Ledger
from task_queue.history.record import Kind, Record
from task_queue.tasks import task

LEDGER_TASK = "task_queue.history.note"


@task(name=LEDGER_TASK, max_retries=100, retry_base_seconds=0.05, retry_cap_seconds=0.2)
def note(ledger: str, seconds: float, failures: int = 0) -> str:
    """Note the start, work, note the end; fail so many times first. Returns "id:attempt"."""
    this, book, worker = current_task(), Ledger(Path(ledger)), str(os.getpid())
    clock = SystemClock()
    book.append(Record(clock.monotonic(), Kind.STARTED, this.id, this.attempt, worker))
    time.sleep(seconds)
    fails = this.failures < failures
    result = "" if fails else f"{this.id}:{this.attempt}"
    ended = Record(
        clock.monotonic(), Kind.FINISHED, this.id, this.attempt, worker, result=result
    )  # fmt: skip
    book.append(ended)
    if fails:
        raise RuntimeError(f"failure {this.failures + 1} of {failures}, as asked for")
    return result
