"""Taskiq on a Redis stream. Run with the peers' Python.

Messages of a stream are acknowledged; those of its other broker, a list, are not. Sending ten at a
time is faster than one after the other, or than a hundred.
"""

import asyncio
import os
import sys

from redis.asyncio import Redis
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()
_STREAM = "noops"
_BATCH = 10
_WORKER = (sys.executable, "-m", "taskiq", "worker", "--log-level", "WARNING")

broker = RedisStreamBroker(_URL, queue_name=_STREAM)
# Another, with a worker of its own, as a broker with a result backend keeps all results.
answering = RedisStreamBroker(
    _URL, queue_name="answers", consumer_group_name="answers"
).with_result_backend(RedisAsyncResultBackend(_URL))


@broker.task
async def noop() -> None:
    _EXECUTIONS.record()


@answering.task
async def answer() -> None:
    """A task whose result is kept."""


class TaskiqPeer(Peer):
    package = "taskiq"
    durability = "Redis; redelivered"
    tasks = 10_000
    workers = (
        (*_WORKER, "--workers", "2", "benchmarks.peers.taskiq_peer:broker"),
        (*_WORKER, "--workers", "1", "benchmarks.peers.taskiq_peer:answering"),
    )

    async def open(self) -> None:
        self._redis = Redis.from_url(_URL)
        await broker.startup()
        await answering.startup()

    async def close(self) -> None:
        await answering.shutdown()
        await broker.shutdown()
        await self._redis.aclose()

    async def enqueue(self, count: int) -> None:
        for first in range(0, count, _BATCH):
            await asyncio.gather(*(noop.kiq() for _ in range(min(_BATCH, count - first))))

    async def unfinished(self) -> int:
        [group] = await self._redis.xinfo_groups(_STREAM)
        return int(group["pending"] + group["lag"])

    async def result(self) -> None:
        task = await answer.kiq()
        # It can only poll: every 200 ms by default.
        result = await task.wait_result(check_interval=0.001, timeout=10)
        result.raise_for_error()
