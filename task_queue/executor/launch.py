"""The script that a child process runs: find `task_queue`, tie the child's life to its parent's.

It must stay a script and not become an import of the package, because the child is to have
nothing of ours on its import path but `task_queue` itself: the folder that holds the package is
on `sys.path` only while the child's own modules are loaded.
"""

import ctypes
import importlib
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux).

    The parent may have ended before the request was made, hence the look at who the parent is now.
    Elsewhere an orphan ends when it next reads its pipe.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent_pid:
        os._exit(1)


def be_scheduled_as_usual(parent_pid: int) -> None:
    """Leave the policy that the worker's loop has for itself (Linux); the same priority remains.

    The parent's main thread has what somebody chose for the whole of it.
    """
    if sys.platform != "linux":
        return
    try:
        usual = os.sched_getscheduler(parent_pid)
        if usual == os.SCHED_OTHER and os.sched_getscheduler(0) == os.SCHED_BATCH:
            os.sched_setscheduler(0, usual, os.sched_param(0))
    except OSError:
        return  # a sandbox forbids it: tasks run as well with either


def main() -> None:
    """Run the child: ``launch.py PARENT_PID COMMAND_FD RESULT_FD TOKEN_FD``."""
    parent_pid, command_fd, result_fd, token_fd = (int(text) for text in sys.argv[1:5])
    die_with_parent(parent_pid)
    be_scheduled_as_usual(parent_pid)
    del sys.argv[1:]  # users' modules may read it
    # Not pathlib, which takes a tenth of the whole start to load.
    root = os.path.realpath(__file__).rsplit(os.sep, 3)[0]
    sys.path.insert(0, root)
    # By name, at run time: before the line above it could not be found.
    child = importlib.import_module("task_queue.executor.child")
    child.main(root, command_fd, result_fd, token_fd)


if __name__ == "__main__":
    main()
