"""A copy of a SQLite store while it is in use.

A plain copy of the file misses what is still in the write-ahead log, and may catch a page half
written.
"""

from pathlib import Path

import apsw

from task_queue.store.protocol import StoreError
from task_queue.store.sqlite_reader import connect


def backup_sqlite(source: Path, target: Path) -> None:
    """Write the state of one moment to a new file. The scheduler goes on meanwhile.

    Raises:
        StoreError: there is no store, the file exists already, or it cannot be written.
    """
    if not source.exists():
        raise StoreError(f"{source} does not exist: no scheduler has opened this store yet")
    if target.exists():
        raise StoreError(f"{target} is there already: give the name of a new file")
    reader = connect(source, apsw.SQLITE_OPEN_READONLY)
    try:
        # One statement, so one transaction: a commit that comes meanwhile does not disturb it.
        reader.execute("VACUUM INTO ?", (str(target),))
    except apsw.Error as error:
        target.unlink(missing_ok=True)
        raise StoreError(f"{source} could not be copied to {target}: {error}") from error
    finally:
        reader.close()
