"""The queue of a config as a target: one that `up` has started here, and only what was named."""

import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

from cluster.api_url import api_url
from cluster.chaos.blows import process_blows
from cluster.chaos.campaign import ChaosError, Target, most_leases
from cluster.chaos.plan import FaultKind
from cluster.chaos.victims import Victims
from cluster.record import read_record, record_path, state_folder
from task_queue.settings import Settings

_ROOT = Path(__file__).resolve().parents[2]
_POSTGRES_PORT = 5432
_UP_SECONDS = 240
_ELSEWHERE = (
    FaultKind.POSTGRES, FaultKind.POSTGRES_PAUSE, FaultKind.DISK, FaultKind.GCS_RESTART,
)  # fmt: skip


def own_target(
    settings: Settings, config: Path, kinds: Collection[FaultKind], queue: str
) -> Target:
    """What a campaign may do to this queue.

    Raises:
        ChaosError: nothing was started here with this config, or a kind cannot be done to it.
    """
    path = record_path(settings.http.port)
    if settings.ray.address is not None or read_record(path) is None:
        raise ChaosError(
            "chaos works on a Ray that 'python -m cluster up' has started on this machine, from "
            f"this folder, and on nothing else: {path} names none"
        )
    database_port = _database_port(settings.store.url)
    victims = Victims(lambda: read_record(path))
    blows = process_blows(victims, settings.http.port, database_port, lambda: _up(config))
    unknown = [kind for kind in kinds if kind not in blows]
    if unknown:
        raise ChaosError(f"cannot be done to this queue: {', '.join(unknown)}")
    pools = settings.pools.values()
    return Target(
        api_url(settings), api_url(settings), queue, settings.leases.lease_seconds,
        most_leases(sum(pool.max_workers * pool.slots for pool in pools)),
        sum(pool.min_workers for pool in pools),
        {kind: blow for kind, blow in blows.items() if kind in kinds}, victims,
        state_folder() / "chaos",
    )  # fmt: skip


def kinds_of(text: str) -> list[FaultKind]:
    """Of "worker,scheduler" the two kinds.

    Raises:
        ChaosError: there is no such kind; names those that there are.
    """
    there = [str(kind) for kind in FaultKind if kind not in _ELSEWHERE]
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in there]
    if unknown or not names:
        wrong = f"unknown: {', '.join(unknown)}. " if unknown else ""
        raise ChaosError(f"--kill: {wrong}Name what may be hit, out of: {', '.join(there)}")
    return [FaultKind(name) for name in names]


def _database_port(url: str) -> int | None:
    if not url.startswith("postgres"):
        return None
    return urlsplit(url).port or _POSTGRES_PORT


def _up(config: Path) -> None:
    """`up` as a person gives it, in a process of its own: this one never joins Ray."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "cluster", "up", str(config)], env=environment, text=True,
        capture_output=True, timeout=_UP_SECONDS, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode != 0:
        raise ChaosError(f"'up' failed:\n{done.stdout}\n{done.stderr}")
