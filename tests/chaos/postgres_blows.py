"""What can be done to a PostgreSQL of our own while a queue works with it."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress

import psycopg

from benchmarks.peers.private_postgres import PrivatePostgres
from cluster.chaos.blows import Blow
from cluster.chaos.plan import Fault, FaultKind
from tests.chaos.private_disk import PrivateDisk

#: More than the disk has room for, of 16 MB each.
_MOST_LOG_FILES = 20
_CONNECT_SECONDS = 5
_BACK_SECONDS = 60.0


def postgres_blows(server: PrivatePostgres, disk: PrivateDisk | None) -> Mapping[FaultKind, Blow]:
    """By kind; one at a time.

    Args:
        disk: that has its data, and nothing else; None if they are not on one of their own.
    """
    one_at_a_time = threading.Lock()

    def kill_and_start(fault: Fault) -> str:
        with one_at_a_time:
            server.kill()
            time.sleep(fault.seconds)
            server.start()
        return "the server"

    def pause(fault: Fault) -> str:
        with one_at_a_time, server.stopped() as count:
            time.sleep(fault.seconds)
        return f"{count} processes, woken"

    def end_by_its_log() -> None:
        with suppress(psycopg.OperationalError):
            use_up_log(server.url)

    def fill(fault: Fault) -> str:
        assert disk is not None
        uses_up_log = bool(fault.pick % 2)
        with one_at_a_time:
            filled = disk.stay_full_for(fault.seconds, end_by_its_log if uses_up_log else None)
            started = _bring_back(server)
        log = ", log used up" if uses_up_log else ""
        return f"{filled} bytes filled{log}{', the server ended itself' if started else ''}"

    blows = {FaultKind.POSTGRES: kill_and_start, FaultKind.POSTGRES_PAUSE: pause}
    return blows if disk is None else {**blows, FaultKind.DISK: fill}


def _bring_back(server: PrivatePostgres) -> bool:
    """Start it, as its keeper would, if it has ended itself or does so now; whether it had to be.

    Raises:
        TimeoutError: it does not answer.
    """
    started = False
    deadline = time.monotonic() + _BACK_SECONDS
    while not server.answers:
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"PostgreSQL does not answer {_BACK_SECONDS} s after its disk was full"
            )
        if not server.lives:
            server.stop()
            server.start()
            started = True
        time.sleep(0.05)
    return started


def use_up_log(url: str) -> None:
    """Begin one file of the log after the other, until the server can make no more and crashes.

    Raises:
        psycopg.OperationalError: it did, or cannot be reached.
    """
    with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_SECONDS) as own:
        for _ in range(_MOST_LOG_FILES):
            own.execute("SELECT pg_logical_emit_message(true, 'test', 'one more')")
            own.execute("SELECT pg_switch_wal()")
