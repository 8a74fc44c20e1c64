"""What a task writes to stdout and stderr, found again.

File descriptors 1 and 2 of a child are one unlinked file, opened for appending, which the parent
holds as well: so output of C code, of child processes and of a crash is caught too, and can be
read after the child is gone. After each task the child takes what is in it. One file serves one
task at a time; what a background thread prints goes to whichever task runs then.
"""

import os
import sys
from typing import TextIO


def read_output(fd: int, cap_bytes: int) -> str:
    """What was written so far, at most its first `cap_bytes`, and how much was left out."""
    size = os.lseek(fd, 0, os.SEEK_END)  # nobody depends on the position: writes append
    if size == 0:
        return ""
    return clean_text(os.pread(fd, min(size, cap_bytes), 0)) + cut_notice(size, cap_bytes)


def cut_notice(size: int, cap_bytes: int) -> str:
    """The last line of output that was larger than the cap; empty if it was not."""
    if size <= cap_bytes:
        return ""
    return f"\n[output cut: kept the first {cap_bytes} of {size} bytes]\n"


def clean_text(data: bytes) -> str:
    """`data` as text that JSON and every store can hold: UTF-8, without NUL."""
    return data.decode("utf-8", "replace").replace("\0", "")


class OutputFile:
    """The child's side of the file."""

    def __init__(self, cap_bytes: int) -> None:
        # An own descriptor, so that a task that closes 1 or 2 does not take it away.
        self.fd = os.dup(1)
        self._cap_bytes = cap_bytes
        self._stdout, self._stderr = self._open(), self._open()
        sys.stdout = self._stdout
        sys.stderr = self._stderr

    def take(self) -> str:
        """What was written since the last call, capped."""
        self._flush()
        if os.lseek(self.fd, 0, os.SEEK_END) == 0:
            return ""
        text = read_output(self.fd, self._cap_bytes)
        os.ftruncate(self.fd, 0)
        return text

    def _flush(self) -> None:
        try:
            self._stdout.flush()
            self._stderr.flush()
        except ValueError:  # the task closed one of them; the next task needs both
            self._stdout, self._stderr = self._open(), self._open()
            sys.stdout, sys.stderr = self._stdout, self._stderr

    def _open(self) -> TextIO:
        # Line-buffered: what a task printed before it is killed must be in the file by then.
        return open(
            self.fd, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
