"""A queue of our own to be broken: a cluster, its store, and all that can be done to them."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from benchmarks.peers.private_postgres import private_postgres
from cluster.chaos.blows import Blow, process_blows
from cluster.chaos.campaign import Target, most_leases
from cluster.chaos.plan import WIDE, Fault, FaultKind
from cluster.chaos.victims import Victims
from tests.chaos.kept_gcs import kept_tables, restarting_gcs
from tests.chaos.postgres_blows import postgres_blows
from tests.chaos.private_disk import CannotMount, PrivateDisk, private_disk
from tests.faults.own_cluster import ROOT, OwnCluster

LEASE_SECONDS = 3.0
_PLANTED_SITE = Path(__file__).parent / "planted_site"
_WORKERS, _SLOTS = 2, 2
_SQLITE_BYTES = 256 * 1024 * 1024
#: A database that is new has 40 MB, and its log 16 MB for each file.
_POSTGRES_BYTES = 256 * 1024 * 1024


class _Place(Struct):
    """A store, and what can be done to it."""

    url: str
    name: str
    blows: Mapping[FaultKind, Blow] = {}
    port: int | None = None  #: of its server


class Staging(Struct, frozen=True):
    """A queue of our own, while it runs."""

    cluster: OwnCluster
    target: Target


@contextmanager
def staging(
    store: str,
    *,
    wide: bool = False,
    keep_gcs: bool = False,
    planted: str = "",
    real_disk: bool = False,
) -> Iterator[Staging]:
    """A running queue on "sqlite" or "postgres".

    Args:
        wide: Ray itself may be taken down as well.
        keep_gcs: Ray's GCS keeps its tables, and may be killed and started again with them.
        planted: a bug of tests/simulation/planted.py that the queue's actors have.
        real_disk: the store is not on a small disk of its own, on which a commit costs nothing.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tq-chaos-")))
        disk, where = (None, "on the real disk") if real_disk else _small_disk(stack, store)
        place = _postgres(stack, disk) if store == "postgres" else _sqlite(folder, disk)
        place.name += f" {where}"
        cluster = OwnCluster(
            folder, store={"url": place.url}, pools={"default": _pool()},
            # A window so small that a crowd of tasks is paged out.
            limits={"max_deaths": 50, "window": 20},
            leases={"lease_seconds": LEASE_SECONDS, "poll_seconds": 1.0},
        )  # fmt: skip
        cluster.environment = _environment(folder, keep_gcs, planted)
        blows = dict(place.blows)
        if keep_gcs:
            blow = stack.enter_context(restarting_gcs(Victims(cluster.record)))
            blows[FaultKind.GCS_RESTART] = blow
        stack.callback(cluster.end)
        cluster.up()
        blows.update(
            process_blows(Victims(cluster.record), cluster.http_port, place.port, _up(cluster))
        )
        target = Target(
            place.name, cluster.url, "default", LEASE_SECONDS, most_leases(_WORKERS * _SLOTS),
            _WORKERS, {kind: blow for kind, blow in blows.items() if wide or kind not in WIDE},
            Victims(cluster.record), stack.enter_context(_kept_if_used()),
        )  # fmt: skip
        yield Staging(cluster, target)


@contextmanager
def _kept_if_used() -> Iterator[Path]:
    """A folder of this campaign alone; it stays only if files of a broken schedule are in it."""
    folder = Path(tempfile.mkdtemp(prefix="tq-chaos-kept-"))
    yield folder
    if not any(folder.iterdir()):
        folder.rmdir()


def _environment(folder: Path, keep_gcs: bool, planted: str) -> dict[str, str]:
    environment = kept_tables(folder) if keep_gcs else {}
    if planted:
        path = os.pathsep.join([str(_PLANTED_SITE), str(ROOT)])
        environment |= {"PYTHONPATH": path, "TQ_PLANTED_BUG": planted}
    return environment


def _pool() -> dict[str, object]:
    return {
        "task_modules": ["task_queue.history.ledger_task"], "min_workers": _WORKERS,
        "max_workers": _WORKERS, "slots": _SLOTS, "num_cpus": 0.5, "drain_seconds": 5.0,
    }  # fmt: skip


def _up(cluster: OwnCluster) -> Callable[[], None]:
    def up() -> None:
        cluster.up()

    return up


def _small_disk(stack: ExitStack, store: str) -> tuple[PrivateDisk | None, str]:
    """A disk that can be full, if this machine lets us have one, and what is to be said of it."""
    size = _POSTGRES_BYTES if store == "postgres" else _SQLITE_BYTES
    try:
        return stack.enter_context(private_disk(size)), "on a tmpfs"
    except CannotMount as error:
        return None, f"(no small disk: {error})"


def _sqlite(folder: Path, disk: PrivateDisk | None) -> _Place:
    if disk is None:
        return _Place(f"sqlite:///{folder}/queue.db", "SQLite")
    one_at_a_time = threading.Lock()

    def fill(fault: Fault) -> str:
        with one_at_a_time:
            return disk.fill_for(fault.seconds)

    return _Place(f"sqlite:///{disk.database}", "SQLite", {FaultKind.DISK: fill})


def _postgres(stack: ExitStack, disk: PrivateDisk | None) -> _Place:
    server = stack.enter_context(private_postgres(None if disk is None else disk.folder))
    blows = postgres_blows(server, disk)
    return _Place(server.url, f"PostgreSQL {server.version}", blows, urlsplit(server.url).port)
