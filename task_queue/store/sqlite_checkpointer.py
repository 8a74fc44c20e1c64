"""Writes SQLite's write-ahead log back into the database file, most of it in a thread of its own.

SQLite itself does that within a COMMIT, every so many pages: some tens of milliseconds in which
nobody is answered. Here a second connection does it while the first goes on. The log begins anew
only with a transaction that finds all of it written back; so the little that was added meanwhile
the writer writes back itself, between two transactions.

Two connections at one log need SQLite 3.51.3 or newer: older ones may lose pages then
(https://sqlite.org/wal.html#walresetbug).
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import apsw

from task_queue.store.protocol import StoreError

#: In the log, of 4 kB each: then it is time. SQLite's own 1,000 write the same pages more often.
_PAGES = 4_000
#: Until the next try, if something kept the log from being written back.
_MORE_PAGES = 1_000
#: If it still cannot be, something is wrong with the file: better to say so than to fill the disk.
_MOST_PAGES = 16_000
_PASSES = 3  #: of the thread, each over what was added during the one before


class SqliteCheckpointer:
    """For the one connection that writes to a file."""

    def __init__(
        self, path: Path, connection: apsw.Connection, connect: Callable[[], apsw.Connection]
    ) -> None:
        """
        Args:
            path: of the database.
            connection: the one that writes.
            connect: opens another one that may write; only the thread uses it.
        """
        self._path = path
        self._connection = connection
        self._connect = connect
        self._pages = 0  #: in the log, after the last commit
        self._due = _PAGES
        self._under_way = False  #: from the commit that was due until `finish`
        self._is_writers_turn = False  #: the last part of it
        self._failure: Exception | None = None
        self._wanted = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        connection.set_wal_hook(self._committed)  # in place of SQLite's own checkpoints

    def finish(self) -> None:
        """To be called before each transaction: writes back what the thread has left.

        Raises:
            StoreError: the log has become long and cannot be written back.
        """
        if not self._is_writers_turn:
            return
        begun_anew = self._pages < self._due  # with a commit that found everything written back
        done = begun_anew or (self._failure is None and self._write_back(self._connection))
        if self._failure is not None and self._pages >= _MOST_PAGES:
            raise StoreError(
                f"the write-ahead log of {self._path} cannot be written back: {self._failure}"
            ) from self._failure
        self._due = _PAGES if done else self._pages + _MORE_PAGES
        self._is_writers_turn = self._under_way = False

    def close(self) -> None:
        """End the thread; before the writer's connection is closed."""
        self._stopped = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        if pages >= self._due and not self._under_way:
            self._under_way = True
            self._wanted.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                self._thread.start()
        return apsw.SQLITE_OK

    # ---- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while self._wanted.wait() and not self._stopped:
            self._wanted.clear()
            try:
                connection = connection or self._open()
                self._write_most(connection)
            except (apsw.Error, OSError, StoreError) as error:
                self._failure = error
            self._is_writers_turn = True
        if connection is not None:
            connection.close()

    def _open(self) -> apsw.Connection:
        # One that was never read from does not know of the log, and would write nothing back.
        connection = self._connect()
        connection.pragma("user_version")
        return connection

    def _write_most(self, connection: apsw.Connection) -> None:
        self._failure = None
        for _ in range(_PASSES):
            self._write_back(connection)
            # SQLite does so only if nothing was added meanwhile; else the writer would wait for it.
            os.fdatasync(_descriptor(self._path))

    def _write_back(self, connection: apsw.Connection) -> bool:
        """Whether all that was in the log at the beginning is in the database file."""
        try:
            log, written = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:  # the writer was just about to change the head of the log
            return False
        except apsw.Error as error:
            self._failure = error
            return False
        return written >= log


def _descriptor(path: Path) -> int:
    """SQLite's own descriptor of a file.

    Not another one: when any descriptor of a file is closed, the process loses all its locks on it.
    """
    wanted = path.stat()
    for entry in Path("/dev/fd").iterdir():
        descriptor = int(entry.name)
        try:
            status = os.fstat(descriptor)
        except OSError:
            continue  # that of the folder, which is closed by now
        if os.path.samestat(status, wanted):
            return descriptor
    raise FileNotFoundError(f"{path} is not open: was it replaced by another file?")
