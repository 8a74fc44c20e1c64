"""A whole queue whose PostgreSQL is killed under load and comes back: nothing is lost, and while it
is away nothing is accepted."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.peers.private_postgres import PrivatePostgres
from tests.faults.own_cluster import OwnCluster
from tests.until import until

pytestmark = [pytest.mark.ray, pytest.mark.timeout(500)]

_TASKS = 40
_LONG_SECONDS = 3.0


@pytest.fixture
def postgres(start_postgres: Callable[[], PrivatePostgres]) -> PrivatePostgres:
    return start_postgres()


@pytest.fixture
def cluster(tmp_path: Path, postgres: PrivatePostgres) -> Iterator[OwnCluster]:
    made = OwnCluster(tmp_path, store={"url": postgres.url})
    try:
        made.up()
        yield made
    finally:
        made.end()


def test_a_killed_database_loses_nothing_and_accepts_nothing_meanwhile(
    cluster: OwnCluster, postgres: PrivatePostgres
) -> None:
    ledger = cluster.folder / "ledger"
    task = {"name": "ledger.write", "args": [str(ledger), "late", 0.0], "idempotency_key": "late"}

    def status_of(path: str) -> int:
        return httpx.get(f"{cluster.url}{path}", timeout=20).status_code

    with cluster.client() as client:
        long = client.submit("ledger.write", str(ledger), "long", _LONG_SECONDS)
        until(lambda: ledger.exists(), 60.0, "the long task to run")
        handles = [
            client.submit("ledger.write", str(ledger), f"before-{n}", 0.05) for n in range(_TASKS)
        ]
        postgres.kill()
        refused = httpx.post(f"{cluster.url}/api/v1/tasks", json=task, timeout=20)
        assert (refused.status_code, refused.headers["content-type"]) == (
            503, "application/problem+json",
        )  # fmt: skip
        until(lambda: status_of("/health") == 503, 60.0, "the queue to say that it is unhealthy")
        # What runs goes on: the long task ends while nobody can note it.
        until(lambda: "end long" in ledger.read_text(), 60.0, "the long task to end")
        postgres.start()
        until(lambda: status_of("/health") == 200, 60.0, "the queue to be healthy again")
        assert long.result(timeout=60) == "long"
        keys = [handle.result(timeout=60) for handle in handles]
        assert keys == [f"before-{n}" for n in range(_TASKS)]
        assert long.task().attempt == 1  # its end was kept and told, it did not run again
        accepted = httpx.post(f"{cluster.url}/api/v1/tasks", json=task, timeout=20)
        assert accepted.status_code == 201  # so the refused one was not accepted
        client.handle(accepted.json()["task_id"]).result(timeout=60)
