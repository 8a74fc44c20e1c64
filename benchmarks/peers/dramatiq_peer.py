"""Dramatiq on Redis. Run with the peers' Python.

Its threads spend most of the time waiting: 32 in each process are faster than the default of 8. It
has no way to send many messages at once.
"""

import os
import sys

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from redis import Redis

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()

broker = RedisBroker(url=_URL)
broker.add_middleware(Results(backend=RedisBackend(url=_URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker)
def noop() -> None:
    _EXECUTIONS.record()


@dramatiq.actor(broker=broker, store_results=True)
def answer() -> None:
    """A task whose result is kept."""


class DramatiqPeer(Peer):
    package = "dramatiq"
    durability = "Redis; redelivered"
    tasks = 15_000
    workers = (
        (sys.executable, "-m", "dramatiq", "benchmarks.peers.dramatiq_peer:broker",
         "--processes", "2", "--threads", "32"),
    )  # fmt: skip

    async def open(self) -> None:
        self._redis = Redis.from_url(_URL)

    async def close(self) -> None:
        self._redis.close()
        broker.close()

    async def enqueue(self, count: int) -> None:
        for _ in range(count):
            noop.send()

    async def unfinished(self) -> int:
        # An acknowledged message is taken out.
        return int(self._redis.hlen("dramatiq:default.msgs"))

    async def result(self) -> None:
        answer.send().get_result(block=True)
