"""Every store that there is, empty, with its connections closed in the end."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from benchmarks.peers.private_postgres import PrivatePostgres
from task_queue.store.protocol import Store
from tests.store.databases import KINDS, Database, NewPostgres


@pytest.fixture(scope="session")
def new_postgres(start_postgres: Callable[[], PrivatePostgres]) -> NewPostgres:
    """Empty schemas of one server, which is started when the first is asked for."""
    servers: list[PrivatePostgres] = []
    numbers = count(1)

    def new() -> str:
        if not servers:
            servers.append(start_postgres())
        url, schema = servers[0].url, f"test_{next(numbers)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return f"{url}?options=-csearch_path%3D{schema}"

    return new


@pytest.fixture(params=KINDS)
def database(
    request: pytest.FixtureRequest, tmp_path: Path, new_postgres: NewPostgres
) -> Iterator[Database]:
    made = KINDS[request.param](tmp_path, new_postgres)
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> Store:
    """The connection of the scheduler that is in charge."""
    store = database.writer()
    store.take_over()
    return store
