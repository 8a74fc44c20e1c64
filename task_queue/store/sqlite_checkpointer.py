"""Writes SQLite's write-ahead log back into the database file, most of it in a thread of its own.

SQLite itself does that within a COMMIT, every so many pages: some tens of milliseconds in which
nobody is answered. Here a second connection does it while the first goes on. The log begins anew
only with a transaction that finds all of it written back; so the little that was added meanwhile
the writer writes back itself, between two transactions. It does all of it if the thread cannot.

Two connections at one log need SQLite 3.51.3 or newer: older ones may lose pages then
(https://sqlite.org/wal.html#walresetbug).
"""

import logging
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

_log = logging.getLogger(__name__)

#: Files of which the disk has lost a part, for as long as this process lives. The log has it, but
#: SQLite takes that part for written until no process has the file open any more: the log must
#: neither begin anew nor be deleted.
_lost: dict[Path, Exception] = {}


class SqliteCheckpointer:
    """For the one connection that writes to a file."""

    def __init__(
        self, path: Path, connection: apsw.Connection, connect: Callable[[], apsw.Connection]
    ) -> None:
        """
        Args:
            path: of the database.
            connection: the one that writes.
            connect: opens another one that may write, if the file is there; only the thread uses
                it.
        """
        self._path = path
        self._connection = connection
        self._connect = connect
        self._pages = _pages_at_start(path)  #: in the log, after the last commit
        self._due = _PAGES
        is_late = self._pages >= _MOST_PAGES  # as it may be after a failure
        self._under_way = is_late  #: from the moment it was due until the writer has done its part
        self._is_writers_turn = is_late  #: the last part of it
        self._trouble: Exception | None = None  #: that the thread had
        self._wanted = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._descriptor = -1  #: of the thread's connection
        connection.set_wal_hook(self._committed)  # in place of SQLite's own checkpoints

    def keep_up(self) -> None:
        """To be called before each transaction: begins when it is time, and does what is left.

        Raises:
            StoreError: the log is long and cannot be written back, or the disk has lost a part of
                what was.
        """
        self._refuse_if_lost()
        if self._is_writers_turn:
            self._write_rest()
        elif self._pages >= self._due and not self._under_way:
            self._wake_thread()

    def _refuse_if_lost(self) -> None:
        error = _lost.get(self._path)
        if error is not None:
            raise StoreError(
                f"the disk has lost a part of {self._path}: {error}. End all processes of the "
                "queue, see to the disk, and start them again: the write-ahead log has it all"
            ) from error

    def close(self) -> None:
        """End the thread; before the writer's connection is closed. Repeating it is harmless."""
        if self._stopped:
            return
        self._stopped = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        if self._path in _lost:  # the last connection that is closed deletes the log otherwise
            self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages  # and nothing that may fail: the commit is durable
        return apsw.SQLITE_OK

    def _wake_thread(self) -> None:
        self._under_way = True
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
                thread.start()
                self._thread = thread
        except Exception as error:  # noqa: BLE001  there may be no more threads, or no memory
            self._trouble = error
            self._is_writers_turn = True
        self._wanted.set()

    def _write_rest(self) -> None:
        if self._trouble is not None:
            _log.warning(
                "the log of %s is written back between two turns, which takes longer: %r",
                self._path, self._trouble,
            )  # fmt: skip
            self._trouble = None
        done = self._pages < self._due  # begun anew by a commit that found everything written back
        try:
            done = done or _write_back(self._path, self._connection)
        except apsw.Error as error:
            self._refuse_if_lost()
            if self._pages >= _MOST_PAGES:
                raise StoreError(
                    f"the write-ahead log of {self._path} has {self._pages} pages and cannot be "
                    f"written back: {error}"
                ) from error
        self._due = _PAGES if done else self._pages + _MORE_PAGES
        self._is_writers_turn = self._under_way = False

    # ---- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while True:
            self._wanted.wait()
            self._wanted.clear()  # before the look at what may have come with it
            if self._stopped:
                break
            try:
                connection = connection or self._open()
                self._write_most(connection)
            except Exception as error:  # noqa: BLE001  the writer waits for its turn, and tells
                self._trouble = error
            self._is_writers_turn = True
        if connection is not None:
            connection.close()

    def _open(self) -> apsw.Connection:
        before = _descriptors(self._path)
        if not before:
            raise FileNotFoundError(f"{self._path} was replaced by another file")
        connection = self._connect()
        # One that was never read from does not know of the log, and would write nothing back.
        connection.pragma("user_version")
        # Its own if it has one: of an error of the disk each descriptor is told once, and the
        # writer's sync must not miss it.
        self._descriptor = max(_descriptors(self._path) - before or before)
        return connection

    def _write_most(self, connection: apsw.Connection) -> None:
        for _ in range(_PASSES):
            _write_back(self._path, connection)
            # SQLite does so only if nothing was added meanwhile; else the writer would wait for it.
            try:
                os.fdatasync(self._descriptor)
            except OSError as error:
                _lost[self._path] = error
                raise


def _write_back(path: Path, connection: apsw.Connection) -> bool:
    """Whether all that was in the log at the beginning is in the database file.

    Raises:
        apsw.Error: that is not possible.
    """
    try:
        log, written = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
    except apsw.BusyError:  # the writer was just about to change the head of the log
        return False
    except apsw.IOError as error:
        if getattr(error, "extendedresult", None) == apsw.SQLITE_IOERR_FSYNC:
            _lost[path] = error
        raise
    return 0 <= log <= written  # -1: it does not know of the log


def _pages_at_start(path: Path) -> int:
    """How many the log may have; what is left of an earlier, longer one counts too."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size // 4096 if log.exists() else 0


def _descriptors(path: Path) -> set[int]:
    """SQLite's own of a file.

    Not another one: when any descriptor of a file is closed, the process loses all its locks on it.
    """
    wanted = path.stat()
    found = set()
    for entry in Path("/dev/fd").iterdir():
        descriptor = int(entry.name)
        try:
            status = os.fstat(descriptor)
        except OSError:
            continue  # that of the folder, which is closed by now
        if os.path.samestat(status, wanted):
            found.add(descriptor)
    return found
