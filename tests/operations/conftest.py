"""One queue for all tests of this folder: a real cluster on a PostgreSQL and beside a Redis."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from benchmarks.peers.private_postgres import PrivatePostgres
from benchmarks.peers.private_redis import private_redis
from tests.operations.monitored import Monitored, monitoring
from tests.operations.operated_queue import OperatedQueue


@pytest.fixture(scope="package")
def queue(
    tmp_path_factory: pytest.TempPathFactory, start_postgres: Callable[[], PrivatePostgres]
) -> Iterator[OperatedQueue]:
    with ExitStack() as servers:
        try:
            redis = servers.enter_context(private_redis())
        except FileNotFoundError as error:
            if "CI" in os.environ:
                raise
            pytest.skip(str(error))
        made = OperatedQueue(tmp_path_factory.mktemp("operated"), start_postgres(), redis)
        try:
            made.up()
            yield made
        finally:
            made.end()


@pytest.fixture(scope="package")
def monitored(
    queue: OperatedQueue, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitored]:
    with monitoring(queue, tmp_path_factory.mktemp("monitoring")) as made:
        yield made
