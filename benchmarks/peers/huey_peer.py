"""Huey on Redis. Run with the peers' Python.

With notify_result, without which it polls for a result every 50 ms or more. It has no way to send
many tasks at once.
"""

import os
import sys

from huey import RedisHuey

from benchmarks.peers.executions import Executions
from benchmarks.peers.peer import Peer

_URL = os.environ["PEER_URL"]
_EXECUTIONS = Executions()

huey = RedisHuey("bench", url=_URL, notify_result=True)


@huey.task()
def noop() -> None:
    _EXECUTIONS.record()


@huey.task()
def answer() -> bool:
    """A task whose result is kept, as it is not None."""
    return True


class HueyPeer(Peer):
    package = "huey"
    durability = "Redis; lost"
    tasks = 15_000
    workers = (
        (sys.executable, "-m", "huey.bin.huey_consumer", "benchmarks.peers.huey_peer.huey",
         "--workers", "2", "--worker-type", "process", "--quiet"),
    )  # fmt: skip

    async def open(self) -> None:
        """It connects when it is used."""

    async def close(self) -> None:
        huey.storage.close()

    async def enqueue(self, count: int) -> None:
        for _ in range(count):
            noop()

    async def unfinished(self) -> int:
        return int(huey.pending_count())

    async def result(self) -> None:
        answer().get(blocking=True, timeout=10)
