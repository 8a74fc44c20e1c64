"""A queue whose parts can be frozen: scheduler, PostgreSQL, Redis, a worker."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from redis import Redis

from benchmarks.peers.broker import Broker
from benchmarks.peers.private_postgres import PrivatePostgres
from cluster.free_ports import free_ports
from tests.faults.own_cluster import OwnCluster


class OperatedQueue(OwnCluster):
    """One worker of two slots, PostgreSQL with pg_stat_statements, a Redis that is looked at."""

    def __init__(self, folder: Path, postgres: PrivatePostgres, redis: Broker) -> None:
        self.postgres, self.redis = postgres, redis
        _count_statements(postgres)
        prometheus_port, alertmanager_port = free_ports(2)
        pool = {"min_workers": 1, "max_workers": 1, "slots": 2, "num_cpus": 0.5}
        super().__init__(
            folder,
            store={"url": postgres.url},
            redis={"url": redis.url},
            pools={"default": {**pool, "drain_seconds": 2.0}},
            autoscaler={"interval_seconds": 0.5},
            leases={"lease_seconds": 6.0, "poll_seconds": 2.0},
            monitoring={
                "prometheus_port": prometheus_port,
                "alertmanager_port": alertmanager_port,
            },
        )

    def ports(self) -> dict[int, int]:
        """Its ports by those that the documentation names."""
        monitoring = self._document["monitoring"]
        return {
            8000: self.http_port,
            9090: monitoring["prometheus_port"],
            9093: monitoring["alertmanager_port"],
        }

    def lacks(self, what: str) -> None:
        """A server that is not installed: a skip, where that is allowed."""
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI has to have it: {what}")
        pytest.skip(what)

    def scheduler_processes(self) -> list[psutil.Process]:
        return self.processes("ray::SchedulerActor")

    def postgres_processes(self) -> list[psutil.Process]:
        """The server and one process for each connection."""
        with psycopg.connect(self.postgres.url) as connection:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            mine = psutil.Process(row[0])
            server = mine.parent()
            assert server is not None
            return [server, *(child for child in server.children() if child != mine)]

    def redis_processes(self) -> list[psutil.Process]:
        with Redis.from_url(self.redis.url) as redis:
            return [psutil.Process(redis.info("server")["process_id"])]


@contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    """SIGSTOP to all of them, and SIGCONT at the end."""
    assert processes, "there is no such process"
    stopped = []
    try:
        for process in processes:
            process.suspend()
            stopped.append(process)
        yield
    finally:
        for process in stopped:
            process.resume()


def _count_statements(postgres: PrivatePostgres) -> None:
    """pg_stat_statements has to be loaded when the server starts."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        connection.execute("CREATE EXTENSION pg_stat_statements")
    postgres.stop()
    postgres.start()
