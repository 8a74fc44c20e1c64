"""Faults of a database: a real server of the test's own, on a small disk of its own."""

import threading

import psycopg
import pytest

from benchmarks.peers.private_postgres import PrivatePostgres
from cluster.chaos.plan import Fault, FaultKind
from tests.chaos.postgres_blows import postgres_blows
from tests.chaos.private_disk import PrivateDisk


def test_a_server_that_stands_still_answers_later_on_the_same_connection(
    postgres_on_small_disk: tuple[PrivateDisk, PrivatePostgres],
) -> None:
    _, server = postgres_on_small_disk
    told: list[object] = []
    with psycopg.connect(server.url, autocommit=True) as own:
        asking = threading.Thread(target=lambda: told.append(own.execute("SELECT 1").fetchone()))
        with server.stopped() as count:
            asking.start()
            asking.join(0.2)
            assert asking.is_alive() and not told
        asking.join()
    assert told == [(1,)] and count > 1


def test_a_pause_ends(postgres_on_small_disk: tuple[PrivateDisk, PrivatePostgres]) -> None:
    disk, server = postgres_on_small_disk
    blow = postgres_blows(server, disk)[FaultKind.POSTGRES_PAUSE]
    told = blow(Fault(0.0, FaultKind.POSTGRES_PAUSE, 0, 0.1))
    assert server.answers and told.endswith("processes, woken")


@pytest.mark.parametrize("uses_up_log", [0, 1])
def test_after_a_full_disk_the_server_is_there_again(
    postgres_on_small_disk: tuple[PrivateDisk, PrivatePostgres], uses_up_log: int
) -> None:
    disk, server = postgres_on_small_disk
    blow = postgres_blows(server, disk)[FaultKind.DISK]
    told = blow(Fault(0.0, FaultKind.DISK, uses_up_log, 0.3))
    assert server.answers and ("log used up" in told) is bool(uses_up_log)
    with psycopg.connect(server.url, autocommit=True) as own:
        own.execute("CREATE TABLE IF NOT EXISTS one AS SELECT repeat('x', 100000) AS word")
