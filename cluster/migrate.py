"""`python -m cluster migrate`: the tables, before any scheduler of this version starts.

The scheduler does the same when it starts, so that `up` is enough. By itself it is for whoever lets
only a role of its own change tables, or wants to see it done before the rollout.
"""

from task_queue.errors import ConfigError
from task_queue.settings import Settings
from task_queue.store import is_postgres
from task_queue.store.postgres_connection import connect
from task_queue.store.postgres_migrations import migrate


def migrate_store(settings: Settings) -> list[str]:
    """Apply the steps that are missing and return their names.

    Raises:
        ConfigError: the store is not PostgreSQL.
        StoreError: it cannot be done, and nothing was changed.
    """
    if not is_postgres(settings.store.url):
        raise ConfigError(
            "store.url: only PostgreSQL is migrated ahead; other stores make their tables when "
            "they are opened"
        )
    with connect(settings.store.url, "task-queue migrate", read_only=False) as connection:
        return migrate(connection)
