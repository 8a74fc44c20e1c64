"""Procrastinate on PostgreSQL. Run with the peers' Python.

It fetches one job at a time; a concurrency of 4 is faster than the default of 1, and 20 no faster
than 4. It keeps no results.
"""

import os
import sys

from procrastinate import App, PsycopgConnector

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()
_BATCH = 1_000
_WORKER = (
    sys.executable, "-m", "procrastinate", "--app", "benchmarks.peers.procrastinate_peer.app",
    "worker", "--concurrency", "4",
)  # fmt: skip

app = App(connector=PsycopgConnector(conninfo=_URL))


@app.task(name="noop")
async def noop() -> None:
    _EXECUTIONS.record()


class ProcrastinatePeer(Peer):
    package = "procrastinate"
    durability = "PostgreSQL, fsync; stalled"
    tasks = 2_000
    workers = (_WORKER, _WORKER)
    has_results = False

    async def open(self) -> None:
        await app.open_async()
        await app.schema_manager.apply_schema_async()

    async def close(self) -> None:
        await app.close_async()

    async def enqueue(self, count: int) -> None:
        for first in range(0, count, _BATCH):
            await noop.batch_defer_async(*({} for _ in range(min(_BATCH, count - first))))

    async def unfinished(self) -> int:
        row = await app.connector.execute_query_one_async(
            "SELECT count(*) AS jobs FROM procrastinate_jobs WHERE status <> 'succeeded'"
        )
        return int(row["jobs"])
