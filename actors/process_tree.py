"""Kills a process together with everything it started.

A task may have started programs that ignore SIGTERM or start others, so there is no asking: every
process of the tree is stopped first, so that none can fork while the tree is read, and then killed.
One that was orphaned on purpose (a daemon) is no longer in the tree and is left alone.
"""

import os
import signal
from collections.abc import Iterable

import psutil

_MAX_ROUNDS = 5


def kill_process_tree(pid: int) -> None:
    """SIGKILL process `pid` and its descendants. One that is gone already is no error.

    Args:
        pid: a child of this process that was not waited for yet, so that the number is still its.
    """
    descendants: dict[int, psutil.Process] = {}
    _signal([pid], signal.SIGSTOP)
    for _ in range(_MAX_ROUNDS):
        fresh = [p for p in _descendants(pid) if p.pid not in descendants]
        if not fresh:
            break
        _signal((p.pid for p in fresh), signal.SIGSTOP)
        descendants.update((p.pid, p) for p in fresh)
    # From the leaves: a stopped parent reaps nobody, so all numbers are still theirs.
    _signal([*descendants, pid], signal.SIGKILL)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        except PermissionError:  # a set-uid program: not ours to kill
            continue
