"""Faults of a database: a real server of the test's own, on a small disk of its own."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from benchmarks.peers.private_postgres import PrivatePostgres, private_postgres
from cluster.chaos.plan import Fault, FaultKind
from tests.chaos.postgres_blows import postgres_blows
from tests.chaos.private_disk import CannotMount, PrivateDisk, private_disk

_DISK_BYTES = 128 * 1024 * 1024


@pytest.fixture(scope="module")
def placed() -> Iterator[tuple[PrivateDisk, PrivatePostgres]]:
    """A server, and the disk that it is on."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(private_disk(_DISK_BYTES))
            server = stack.enter_context(private_postgres(disk.folder))
        except (CannotMount, FileNotFoundError) as error:
            if "CI" in os.environ:
                raise
            pytest.skip(str(error))
        yield disk, server


def test_a_server_that_stands_still_answers_later_on_the_same_connection(
    placed: tuple[PrivateDisk, PrivatePostgres],
) -> None:
    _, server = placed
    told: list[object] = []
    with psycopg.connect(server.url, autocommit=True) as own:
        asking = threading.Thread(target=lambda: told.append(own.execute("SELECT 1").fetchone()))
        with server.stopped() as count:
            asking.start()
            asking.join(0.2)
            assert asking.is_alive() and not told
        asking.join()
    assert told == [(1,)] and count > 1


def test_a_pause_ends(placed: tuple[PrivateDisk, PrivatePostgres]) -> None:
    disk, server = placed
    blow = postgres_blows(server, disk)[FaultKind.POSTGRES_PAUSE]
    told = blow(Fault(0.0, FaultKind.POSTGRES_PAUSE, 0, 0.1))
    assert server.answers and told.endswith("processes, woken")


@pytest.mark.parametrize("uses_up_log", [0, 1])
def test_after_a_full_disk_the_server_is_there_again(
    placed: tuple[PrivateDisk, PrivatePostgres], uses_up_log: int
) -> None:
    disk, server = placed
    blow = postgres_blows(server, disk)[FaultKind.DISK]
    told = blow(Fault(0.0, FaultKind.DISK, uses_up_log, 0.3))
    assert server.answers and ("log used up" in told) is bool(uses_up_log)
    with psycopg.connect(server.url, autocommit=True) as own:
        own.execute("CREATE TABLE IF NOT EXISTS one AS SELECT repeat('x', 100000) AS word")
