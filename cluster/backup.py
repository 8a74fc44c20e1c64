"""`python -m cluster backup`: a copy of the queue's SQLite file, while the queue runs."""

from pathlib import Path

from task_queue.errors import ConfigError
from task_queue.settings import Settings
from task_queue.store import is_postgres, sqlite_path
from task_queue.store.sqlite_backup import backup_sqlite


def backup_store(settings: Settings, target: Path) -> None:
    """Write the store of one moment to a new file.

    Raises:
        ConfigError: the store is not SQLite.
        StoreError: it could not be written.
    """
    if is_postgres(settings.store.url):
        raise ConfigError(
            "store.url: PostgreSQL is backed up by its own pg_dump; see docs/backup.md"
        )
    backup_sqlite(sqlite_path(settings.store.url), target)
