"""PgQueuer on PostgreSQL, with asyncpg. Run with the peers' Python.

A worker that takes 1,000 jobs at a time does twice as much as one that takes 50, and 2,000 are no
better: both are measured. It keeps no results: one can only watch for the end of a job, which is
reported up to a tenth of a second after it.
"""

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()
_BATCH = 1_000


def _worker(batch_size: int) -> tuple[str, ...]:
    return (
        sys.executable, "-m", "pgqueuer", "run",
        "--batch-size", str(batch_size), "--log-level", "WARNING",
        "benchmarks.peers.pgqueuer_peer:worker",
    )  # fmt: skip


@asynccontextmanager
async def worker() -> AsyncIterator[PgQueuer]:
    """What a worker process runs."""
    connection = await asyncpg.connect(_URL)
    pgqueuer = PgQueuer.from_asyncpg_connection(connection)

    @pgqueuer.entrypoint("noop")
    async def noop(_: Job) -> None:
        _EXECUTIONS.record()

    yield pgqueuer
    await connection.close()


class PgQueuerPeer(Peer):
    package = "pgqueuer"
    durability = "PostgreSQL, fsync; redelivered"
    tasks = 80_000
    workers = (_worker(1_000),) * 2
    has_results = False

    async def open(self) -> None:
        self._connection = await asyncpg.connect(_URL)
        self._queries = Queries.from_asyncpg_connection(self._connection)
        await self._queries.install()

    async def close(self) -> None:
        await self._connection.close()

    async def enqueue(self, count: int) -> None:
        for first in range(0, count, _BATCH):
            size = min(_BATCH, count - first)
            await self._queries.enqueue(["noop"] * size, [None] * size, [0] * size)

    async def unfinished(self) -> int:
        return int(await self._connection.fetchval("SELECT count(*) FROM pgqueuer"))


class PgQueuer50Peer(PgQueuerPeer):
    """With the batch size behind the goal that was set for us."""

    workers = (_worker(50),) * 2
