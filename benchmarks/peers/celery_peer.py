"""Celery on Redis. Run with the peers' Python.

With acks_late, without which a task is lost if its worker dies. A prefetch of 64 for each process
is faster than the default of 4, and publishing through `Producer.batch` than through a `group`.
"""

import os
import sys

from celery import Celery
from redis import Redis

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()

app = Celery("peer", broker=_URL, backend=_URL)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=64)


@app.task(name="noop", ignore_result=True)
def noop() -> None:
    _EXECUTIONS.record()


@app.task(name="answer")
def answer() -> None:
    """A task whose result is kept."""


class CeleryPeer(Peer):
    package = "celery"
    durability = "Redis; redelivered"
    tasks = 3_000
    workers = (
        (sys.executable, "-m", "celery", "--app", "benchmarks.peers.celery_peer", "worker",
         "--concurrency", "2", "--loglevel", "WARNING",
         "--without-gossip", "--without-mingle", "--without-heartbeat"),
    )  # fmt: skip

    async def open(self) -> None:
        self._redis = Redis.from_url(_URL)

    async def close(self) -> None:
        self._redis.close()
        app.close()

    async def enqueue(self, count: int) -> None:
        with app.producer_pool.acquire(block=True) as producer, producer.batch():
            for _ in range(count):
                noop.apply_async(producer=producer)

    async def unfinished(self) -> int:
        return int(self._redis.llen("celery") + self._redis.hlen("unacked"))

    async def result(self) -> None:
        answer.delay().get(timeout=10)
