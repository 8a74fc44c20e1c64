"""A small disk of our own, that can be full.

A SQLite file that is used for a while asks for no more bytes for minutes: it writes its log again
from the front. So the log is emptied first; then the next commit needs bytes that are not there.
"""

import errno
import os
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_BYTES = 256 * 1024 * 1024
_CHUNKS = (1024 * 1024, 4096)


class PrivateDisk:
    """A tmpfs that is mounted for one campaign."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def database(self) -> Path:
        """Where the store lies."""
        return self.folder / "queue.db"

    def fill_for(self, seconds: float) -> str:
        """No byte is left for so long. Returns what was done."""
        with closing(sqlite3.connect(self.database, timeout=5.0)) as connection:
            ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        filled = self.stay_full_for(seconds)
        return f"{filled} bytes filled, log {'not emptied' if busy else 'emptied'}"

    def stay_full_for(self, seconds: float, when_full: Callable[[], object] | None = None) -> int:
        """No byte is left for so long. Returns how many were taken at first.

        Args:
            when_full: called once, as soon as it is.
        """
        with self.full() as fill:
            filled = fill()
            if when_full:
                when_full()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:  # what a checkpoint gave back is taken as well
                fill()
                time.sleep(0.02)
        return filled

    @contextmanager
    def full(self) -> Iterator[Callable[[], int]]:
        """No byte is left; call what it yields to take again what was given back. It returns how
        many bytes were taken in all."""
        ballast = self.folder / "ballast"
        file = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

        def fill() -> int:
            for size in _CHUNKS:
                _write_until_full(file, b"\0" * size)
            return os.fstat(file).st_size

        try:
            fill()
            yield fill
        finally:
            os.close(file)
            ballast.unlink()


class CannotMount(Exception):
    """This machine does not let us."""


@contextmanager
def private_disk(size_bytes: int = _BYTES) -> Iterator[PrivateDisk]:
    """Mounted until the end.

    Raises:
        CannotMount: we are not root, or in a container without the right.
    """
    with tempfile.TemporaryDirectory(prefix="tq-disk-") as name:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "task-queue-test", name],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if mounted.returncode != 0:
            raise CannotMount(mounted.stderr.strip())
        try:
            yield PrivateDisk(Path(name))
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


def _write_until_full(file: int, data: bytes) -> None:
    try:
        while os.write(file, data) == len(data):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
