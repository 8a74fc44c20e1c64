"""Of a queue that does nothing one is told who lives, and what each of them wrote last."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cluster.chaos.traces import process_lines, worker_lines
from cluster.chaos.victims import Victims
from cluster.local_ray import CLUSTER_ID
from cluster.record import HeadRecord
from task_queue.clock import SystemClock
from task_queue.errors import QueueUnreachable
from tests.until import until


def test_processes_that_are_there_and_those_that_are_not(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "worker-x-01-7.out").write_text("".join(f"line {n}\n" for n in range(100)))
    (logs / "worker-x-01-8.err").touch()
    (logs / "raylet.out").write_text("not ours\n")
    record = HeadRecord(f"traces-{os.getpid()}", "127.0.0.1:1", "/nowhere", str(tmp_path))
    victims = Victims(lambda: record)
    made = subprocess.Popen(
        ["ray::WorkerActor", "-c", "input()"], executable=sys.executable, stdin=subprocess.PIPE,
        env={**os.environ, CLUSTER_ID: record.cluster_id},
    )  # fmt: skip
    try:
        until(lambda: bool(victims.all()), 20.0, "the process to run")
        told = process_lines(victims, SystemClock())
    finally:
        made.kill()
        made.communicate()
    assert any(line.startswith(f"worker: pid {made.pid}, ") for line in told)
    assert "supervisor: there is no such process" in told
    place = told.index("worker-x-01-7.out:")
    assert told[place + 1 :] == [f"    line {n}" for n in range(88, 100)]


def test_nothing_is_up() -> None:
    told = process_lines(Victims(lambda: None), SystemClock())
    assert all("there is no such process" in line for line in told)


class _Silent:
    async def health(self) -> None:
        raise QueueUnreachable("nobody is there")


def test_an_api_that_does_not_answer_is_told() -> None:
    client: Any = _Silent()
    assert asyncio.run(worker_lines(client)) == ["the API does not answer: nobody is there"]
