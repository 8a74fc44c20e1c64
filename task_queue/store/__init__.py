"""Where the queue keeps its facts. `open_store` and `open_reader` take the URL of the settings."""

from pathlib import Path
from typing import TYPE_CHECKING

from task_queue.errors import ConfigError

if TYPE_CHECKING:
    from task_queue.store.protocol import Reader, Store


def open_store(url: str) -> "Store":
    """The scheduler's store.

    Args:
        url: ``sqlite:///relative/path.db``, ``sqlite:////absolute/path.db``,
            ``postgresql://user:password@host:port/database`` or ``memory:``.

    Raises:
        ConfigError: another kind of URL.
        StoreError: it cannot be opened.
    """
    if url == "memory:":
        from task_queue.store.memory import MemoryStore  # noqa: PLC0415  only what is used

        return MemoryStore()
    if is_postgres(url):
        from task_queue.store.postgres import PostgresStore  # noqa: PLC0415  needs the server extra

        return PostgresStore(url)
    from task_queue.store.sqlite import SqliteStore  # noqa: PLC0415  needs the server extra

    return SqliteStore(sqlite_path(url))


def open_reader(url: str) -> "Reader":
    """A reader of the same store, in any process that reaches it: for SQLite, on its machine.

    Raises:
        ConfigError: the URL's store cannot be read from another process.
        StoreError: it cannot be opened.
    """
    if is_postgres(url):
        from task_queue.store.postgres_reader import PostgresReader  # noqa: PLC0415  as above

        return PostgresReader(url)
    from task_queue.store.sqlite_reader import SqliteReader  # noqa: PLC0415  as above

    return SqliteReader(sqlite_path(url))


def is_postgres(url: str) -> bool:
    """Whether the URL is one of PostgreSQL."""
    return url.startswith(("postgresql://", "postgres://"))


def sqlite_path(url: str) -> Path:
    """The file that a SQLite URL names."""
    scheme, _, path = url.partition(":///")
    if scheme != "sqlite" or not path:
        raise ConfigError(f"store.url '{url}': give sqlite:///path/to/queue.db")
    return Path(path)
