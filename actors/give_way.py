"""Tasks take the processor that the queue leaves them, where both are on one machine.

A worker and its executors run five steps nicer than the queue's other processes, which all tasks
wait for; alone on a machine they do not feel it. And a worker does not push its own executors aside
for each report that one of them sends (`SCHED_BATCH` of Linux): it reads some more at once.
docs/performance.md says what that is worth. Executors themselves, and what tasks start, are
scheduled as usual (launch.py).
"""

import os
import sys

NICER = 5
_NICEST = 19


def give_way() -> None:
    """Have the calling thread, and what it starts, give way to the rest of this process.

    Repeating it changes nothing.

    Raises:
        OSError: a sandbox forbids it.
    """
    usual = os.getpriority(os.PRIO_PROCESS, os.getpid())  # of the main thread
    # Zero is the calling thread (Linux), elsewhere the process.
    os.setpriority(os.PRIO_PROCESS, 0, min(_NICEST, usual + NICER))
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
