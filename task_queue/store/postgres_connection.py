"""A connection to PostgreSQL as the reader and the store need it.

What PostgreSQL says never has the password of the URL in it; what libpq says of a URL that it
cannot read may have, so that is not passed on.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from task_queue.store.postgres_column import Column, ColumnDumper
from task_queue.store.protocol import StaleEpoch, StoreError

#: What `fence` raises: another scheduler has taken over.
_STALE = "TQ001"
#: A server that does not answer is away. Whoever has an opinion gives it in the URL.
_DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SESSION = (
    "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; "
    "SET client_encoding = 'UTF8'; SET statement_timeout = '60s'"
)
# The default is for disks that turn: it has a search read whole tables instead of looking rows up.
_READING = "SET default_transaction_read_only = on; SET random_page_cost = 1.1"


def connect(url: str, application: str, *, read_only: bool) -> psycopg.Connection:
    """A connection in autocommit mode.

    Raises:
        StoreError: it cannot be made; without the URL.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        raise StoreError(
            "store.url cannot be read: give postgresql://user:password@host:port/database"
        ) from None
    with errors("connect"):
        options = {**_DEFAULTS, "application_name": application, **given}
        connection = psycopg.connect("", autocommit=True, **options)  # type: ignore[arg-type]
        try:
            connection.adapters.register_dumper(Column, ColumnDumper)
            connection.execute(_SESSION)
            if read_only:
                connection.execute(_READING)
        except BaseException:  # a server that goes away just now
            connection.close()
            raise
        return connection


@contextmanager
def errors(what: str) -> Iterator[None]:
    """psycopg's errors as those of a store."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate == _STALE:
            raise StaleEpoch(error.diag.message_primary or "another scheduler took over") from error
        raise StoreError(f"PostgreSQL could not {what}: {error}") from error
