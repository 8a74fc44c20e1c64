"""Every store that there is, empty, with its connections closed in the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from task_queue.store.protocol import Store
from tests.store.databases import KINDS, Database


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> Store:
    """The connection of the scheduler that is in charge."""
    store = database.writer()
    store.take_over()
    return store
