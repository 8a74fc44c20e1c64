"""Brings a SQLite file to the schema that this code knows."""

from importlib.resources import files
from pathlib import Path

import apsw

from task_queue.store.protocol import StoreError

_VERSION = 4
_OLDEST_VERSION = 3  #: that can be brought up to date


def migrate(connection: apsw.Connection, path: Path) -> None:
    """Make the tables of a new file, or bring those of an older version up to date.

    Raises:
        StoreError: the file is of a version that this code does not know.
    """
    connection.transaction_mode = "IMMEDIATE"  # somebody else may be about to do the same
    with connection:
        version = connection.pragma("user_version")
        if version > _VERSION:
            raise StoreError(
                f"{path} was written by a newer version (schema {version}, this one knows "
                f"{_VERSION}): upgrade, or use another file"
            )
        if 0 < version < _OLDEST_VERSION:
            raise StoreError(
                f"{path} was written before the first release (schema {version}), which nothing "
                "can read any more: move it away, or use another file"
            )
        connection.execute(_sql("sqlite_schema"))
        if version == _OLDEST_VERSION:
            connection.execute(_sql("sqlite_3_to_4"))
        if version < _VERSION:
            connection.pragma("user_version", _VERSION)


def _sql(name: str) -> str:
    return files("task_queue.store").joinpath(f"sql/{name}.sql").read_text("utf-8")
