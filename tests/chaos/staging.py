"""A queue of our own to be broken: a cluster, its store, and all that can be done to them."""

import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from benchmarks.peers.private_postgres import PrivatePostgres, private_postgres
from cluster.chaos.blows import Blow, process_blows
from cluster.chaos.campaign import Target, most_leases
from cluster.chaos.plan import WIDE, Fault, FaultKind
from cluster.chaos.victims import Victims
from tests.chaos.private_disk import CannotMount, PrivateDisk, private_disk
from tests.faults.own_cluster import ROOT, OwnCluster

LEASE_SECONDS = 3.0
_PLANTED_SITE = Path(__file__).parent / "planted_site"
_WORKERS, _SLOTS = 2, 2


class Staging(Struct, frozen=True):
    """A queue of our own, while it runs."""

    cluster: OwnCluster
    target: Target


@contextmanager
def staging(store: str, wide: bool, planted: str = "") -> Iterator[Staging]:
    """A running queue on "sqlite" or "postgres".

    Args:
        wide: Ray itself may be taken down as well.
        planted: a bug of tests/simulation/planted.py that its actors have.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tq-chaos-")))
        url, blows, name = _postgres(stack) if store == "postgres" else _sqlite(stack, folder)
        cluster = OwnCluster(
            folder, store={"url": url}, pools={"default": _pool()}, limits={"max_deaths": 50},
            leases={"lease_seconds": LEASE_SECONDS, "poll_seconds": 1.0},
        )  # fmt: skip
        if planted:
            path = os.pathsep.join([str(_PLANTED_SITE), str(ROOT)])
            cluster.environment = {"PYTHONPATH": path, "TQ_PLANTED_BUG": planted}
        stack.callback(cluster.end)
        cluster.up()
        port = int(url.rpartition(":")[2].partition("/")[0]) if store == "postgres" else None
        all_blows = {
            **process_blows(Victims(cluster.record), cluster.http_port, port, _up(cluster)),
            **blows,
        }
        kept = {kind: blow for kind, blow in all_blows.items() if wide or kind not in WIDE}
        target = Target(
            name, cluster.url, "default", LEASE_SECONDS, most_leases(_WORKERS * _SLOTS),
            kept, Path(tempfile.gettempdir()) / "tq-chaos-kept",
        )  # fmt: skip
        yield Staging(cluster, target)


def _pool() -> dict[str, object]:
    return {
        "task_modules": ["task_queue.history.ledger_task"], "min_workers": _WORKERS,
        "max_workers": _WORKERS, "slots": _SLOTS, "num_cpus": 0.5, "drain_seconds": 5.0,
    }  # fmt: skip


def _up(cluster: OwnCluster) -> Callable[[], None]:
    def up() -> None:
        cluster.up()

    return up


def _sqlite(stack: ExitStack, folder: Path) -> tuple[str, Mapping[FaultKind, Blow], str]:
    try:
        disk = stack.enter_context(private_disk())
    except CannotMount as error:
        return f"sqlite:///{folder}/queue.db", {}, f"SQLite (no small disk: {error})"
    return f"sqlite:///{disk.database}", {FaultKind.DISK: _fill(disk)}, "SQLite on a tmpfs"


def _fill(disk: PrivateDisk) -> Blow:
    one_at_a_time = threading.Lock()

    def blow(fault: Fault) -> str:
        with one_at_a_time:
            return disk.fill_for(fault.seconds)

    return blow


def _postgres(stack: ExitStack) -> tuple[str, Mapping[FaultKind, Blow], str]:
    server = stack.enter_context(private_postgres())
    name = f"PostgreSQL {server.version}"
    return server.url, {FaultKind.POSTGRES: _kill_and_start(server)}, name


def _kill_and_start(server: PrivatePostgres) -> Blow:
    one_at_a_time = threading.Lock()

    def blow(fault: Fault) -> str:
        with one_at_a_time:
            server.kill()
            time.sleep(fault.seconds)
            server.start()
        return "the server"

    return blow
