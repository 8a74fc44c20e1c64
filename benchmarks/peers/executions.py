"""Counts how often the no-op task was executed, and by how many processes.

Each execution appends its process id to one file, which is atomic between processes and threads and
costs about one microsecond. So all peers are counted alike, exactly, and without a word to their
broker. Used by the peers' workers: standard library only.
"""

import os
from array import array
from pathlib import Path

_PID = "i"  # a C int, as pid_t
_SIZE = array(_PID).itemsize


class Executions:
    """The executions of the measurement whose folder is in PEER_FOLDER."""

    def __init__(self) -> None:
        path = Path(os.environ["PEER_FOLDER"]) / "executions"
        # Workers may inherit it when they fork: O_APPEND leaves no position to share.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def record(self) -> None:
        """Count one execution, by this process."""
        os.write(self._file, array(_PID, (os.getpid(),)).tobytes())

    def count(self) -> int:
        """How many there were so far."""
        return os.fstat(self._file).st_size // _SIZE

    def processes(self, since: int) -> set[int]:
        """The ids of the processes that did them, without the first `since` executions."""
        return set(array(_PID, os.pread(self._file, (self.count() - since) * _SIZE, since * _SIZE)))
