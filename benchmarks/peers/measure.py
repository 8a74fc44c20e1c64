"""Measures one peer and prints its Figures as one JSON line. Run with the peers' Python.

    python -m benchmarks.peers.measure benchmarks.peers.rq_peer:RqPeer --runs 3

PEER_URL has the address of an empty broker, PEER_FOLDER an empty folder. First the latency at idle,
then throughput: from the first enqueue to the moment at which every task has been executed, exactly
once, and the broker knows of none that is unfinished. Both worker processes must have taken part.
"""

import argparse
import asyncio
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers.executions import Executions
from benchmarks.peers.figures import Figures
from benchmarks.peers.idle_latencies import idle_latencies
from benchmarks.peers.own_process import own_process
from benchmarks.peers.peer import Peer

_PROCESSES = 2
_WARM_UP_TASKS = 200
_POLL_SECONDS = 0.005
_START_SECONDS = 60
_DEADLINE_SECONDS = 120


class Throughput:
    """Runs no-op tasks through `peer`, whose workers have been started."""

    def __init__(self, peer: Peer, workers: list[subprocess.Popen[bytes]]) -> None:
        self._peer, self._workers = peer, workers
        self._executions = Executions()

    async def warm_up(self) -> None:
        """Run tasks until both worker processes have executed some."""
        deadline = time.monotonic() + _START_SECONDS
        while len(self._executions.processes(since=0)) < _PROCESSES:
            if time.monotonic() > deadline:
                raise TimeoutError(f"not {_PROCESSES} processes after {_START_SECONDS} seconds")
            await self._seconds(_WARM_UP_TASKS)

    async def run(self) -> tuple[float, float]:
        """(tasks enqueued per second, tasks done per second)."""
        before = self._executions.count()
        enqueuing, all_of_it = await self._seconds(self._peer.tasks)
        processes = self._executions.processes(since=before)
        if len(processes) != _PROCESSES:
            raise RuntimeError(f"{len(processes)} processes worked, not {_PROCESSES}")
        return self._peer.tasks / enqueuing, self._peer.tasks / all_of_it

    async def _seconds(self, count: int) -> tuple[float, float]:
        """Until `count` tasks are enqueued, and until they are done."""
        before, began = self._executions.count(), time.perf_counter()
        await self._peer.enqueue(count)
        enqueued = time.perf_counter()
        while self._executions.count() < before + count or await self._peer.unfinished():
            self._check_progress(enqueued + _DEADLINE_SECONDS)
            await asyncio.sleep(_POLL_SECONDS)
        done = time.perf_counter()
        executed = self._executions.count() - before
        if executed != count:
            raise RuntimeError(f"{count} tasks were executed {executed} times")
        return enqueued - began, done - began

    def _check_progress(self, deadline: float) -> None:
        if any(worker.poll() is not None for worker in self._workers):
            raise RuntimeError("a worker has ended by itself")
        if time.perf_counter() > deadline:
            raise TimeoutError(f"not done {_DEADLINE_SECONDS} seconds after the last enqueue")


async def _measure(peer: Peer, runs: int) -> Figures:
    folder = Path(os.environ["PEER_FOLDER"])
    await peer.open()
    try:
        with ExitStack() as stack:
            workers = [
                stack.enter_context(own_process(command, folder / f"worker-{number}.log"))
                for number, command in enumerate(peer.workers)
            ]
            throughput = Throughput(peer, workers)
            await throughput.warm_up()
            latencies = await idle_latencies(peer.result, runs) if peer.has_results else []
            enqueued, done = zip(*[await throughput.run() for _ in range(runs)], strict=True)
    finally:
        await peer.close()
    return Figures(
        version(peer.package), peer.durability, peer.tasks, enqueued, done, latencies
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", help="module:class")
    parser.add_argument("--runs", type=int, required=True)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # in order, so that the workers end
    peer: Peer = pkgutil.resolve_name(arguments.peer)()
    print(json.dumps(asdict(asyncio.run(_measure(peer, arguments.runs)))))


if __name__ == "__main__":
    main()
