"""The parent's hold on what a child prints: an unlinked file that outlives the child.

The child empties it after each task. While a task floods it, the parent gives the blocks behind
the cap back to the file system without changing the file's size: then the child still sees how
much was written, and an emptying at the same moment cannot be undone by accident.
"""

import ctypes
import fcntl
import os
import sys
import tempfile
from collections.abc import Callable

from task_queue.executor.output import read_output

_KEEP_SIZE_AND_PUNCH_HOLE = 0x01 | 0x02
#: Below this nothing is gained by trimming.
_SLACK_BYTES = 1 << 20


class ChildOutput:
    """The file behind descriptors 1 and 2 of one child."""

    def __init__(self, cap_bytes: int) -> None:
        self._cap_bytes = cap_bytes
        self._file = tempfile.TemporaryFile(prefix="task-queue-output-")  # noqa: SIM115
        self.fd = self._file.fileno()
        flags = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, flags | os.O_APPEND)
        self._trimmed_to = 0

    def read(self) -> str:
        """What the child wrote since it last emptied the file, capped."""
        return read_output(self.fd, self._cap_bytes)

    def trim(self) -> None:
        """Free the disk behind the cap, if much was written there."""
        size = os.fstat(self.fd).st_size
        if size < self._trimmed_to:  # emptied in between
            self._trimmed_to = 0
        if size - max(self._trimmed_to, self._cap_bytes) > _SLACK_BYTES:
            _free_blocks(self.fd, self._cap_bytes, size - self._cap_bytes)
            self._trimmed_to = size

    def close(self) -> None:
        self._file.close()


def _find_fallocate() -> Callable[[int, int, int, int], int] | None:
    if sys.platform != "linux":
        return None
    function = ctypes.CDLL(None, use_errno=True).fallocate
    function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    found: Callable[[int, int, int, int], int] = function
    return found


_fallocate = _find_fallocate()


def _free_blocks(fd: int, start: int, length: int) -> None:
    if _fallocate is not None and _fallocate(fd, _KEEP_SIZE_AND_PUNCH_HOLE, start, length) == 0:
        return
    # A file system that cannot punch holes: the size is lost, so the count of cut bytes is too
    # low, and if the child emptied the file just now, it begins with NULs, which no report keeps.
    os.ftruncate(fd, start)
