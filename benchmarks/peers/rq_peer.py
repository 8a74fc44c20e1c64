"""RQ on Redis. Run with the peers' Python.

With its SimpleWorker, which does not fork for each task. Results are kept for 500 seconds, which is
the default; to delete them at once takes longer.
"""

import os
import sys

from redis import Redis
from rq import Queue
from rq.results import Result

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()
_BATCH = 1_000
_WORKER = (
    sys.executable, "-m", "rq.cli", "worker", "--worker-class", "rq.SimpleWorker",
    "--quiet", "bench",
)  # fmt: skip


def noop() -> None:
    _EXECUTIONS.record()


def answer() -> None:
    """A task whose result is kept."""


class RqPeer(Peer):
    package = "rq"
    durability = "Redis; failed"
    tasks = 1_500
    workers = (_WORKER, _WORKER)

    async def open(self) -> None:
        # Not as --url: every user of the machine can read a command line.
        os.environ["RQ_REDIS_URL"] = _URL
        self._redis = Redis.from_url(_URL)
        self._queue = Queue("bench", connection=self._redis)

    async def close(self) -> None:
        self._redis.close()

    async def enqueue(self, count: int) -> None:
        for first in range(0, count, _BATCH):
            size = min(_BATCH, count - first)
            self._queue.enqueue_many([Queue.prepare_data(noop) for _ in range(size)])

    async def unfinished(self) -> int:
        return int(self._queue.count + self._queue.started_job_registry.count)

    async def result(self) -> None:
        result = self._queue.enqueue(answer).latest_result(timeout=10)
        if result is None or result.type is not Result.Type.SUCCESSFUL:
            raise RuntimeError(f"no result but {result}")
