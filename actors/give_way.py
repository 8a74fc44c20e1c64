"""Tasks take the processor that the queue leaves them, where both are on one machine.

A worker's loop and its executors run five steps nicer than the queue's other processes, which all
tasks wait for. And the loop does not push its own executors aside for each report that one of them
sends (`SCHED_BATCH`): it reads some more at once. docs/performance.md says what that is worth.
Executors themselves, and what tasks start, are scheduled as usual (launch.py).

On Linux only: elsewhere a thread has no priority of its own.
"""

import os
import sys

NICER = 5
_NICEST = 19


def give_way() -> None:
    """Have the calling thread, which is not the main one, and what it starts, give way to the rest
    of this process.

    Repeating it changes nothing. A policy that somebody chose for the whole process stays.

    Raises:
        OSError: a sandbox forbids a part of it.
    """
    if sys.platform != "linux":
        return
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    usual = os.getpriority(os.PRIO_PROCESS, os.getpid())  # of the main thread
    os.setpriority(os.PRIO_PROCESS, 0, min(_NICEST, usual + NICER))  # 0: the calling thread
