"""What is left to see of a queue that does not do its work: for a schedule that did not close."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from cluster.chaos.plan import FaultKind
from cluster.chaos.victims import Victims
from task_queue import AsyncClient
from task_queue.clock import Clock
from task_queue.errors import QueueUnreachable, RequestRefused

_KINDS = (
    FaultKind.SCHEDULER, FaultKind.SUPERVISOR, FaultKind.WORKER, FaultKind.EXECUTOR,
    FaultKind.REPLICA,
)  # fmt: skip
_LINES = 12  #: of each log, the last ones
_LINE_CHARACTERS = 400
_TAIL_BYTES = 16_384
_LOGS = 12  #: those that were written to last, the dead included


async def worker_lines(client: AsyncClient) -> list[str]:
    """The queue's health and its workers, in the words of its API."""
    try:
        lines = [f"health: {await client.health()}"]
        lines += [
            f"worker {w.worker_id}: {w.status}, pid {w.pid}, holds {w.current_load}, ended "
            f"{w.tasks_ended}, heard {w.last_heartbeat_at} {w.end_cause}".rstrip()
            for w in await client.workers()
        ]
    except (QueueUnreachable, RequestRefused) as error:
        return [f"the API does not answer: {error}"]
    return lines


def process_lines(victims: Victims, clock: Clock) -> list[str]:
    """Each process of the queue, and the last lines of what they wrote."""
    lines: list[str] = []
    for kind in _KINDS:
        found = victims.of(kind)
        lines += [_process_line(kind, process, clock.now()) for process in found]
        if not found:
            lines.append(f"{kind}: there is no such process")
    for log in _newest_logs(victims.session_folder()):
        lines += [f"{log.name}:", *(f"    {line}" for line in _tail(log))]
    return lines


def _process_line(kind: FaultKind, process: psutil.Process, now: float) -> str:
    try:
        age = now - process.create_time()
        return f"{kind}: pid {process.pid}, {process.status()}, {age:.1f} s old"
    except psutil.NoSuchProcess:
        return f"{kind}: pid {process.pid}, it ended just now"


def _newest_logs(session: Path | None) -> list[Path]:
    """Those of Ray's workers: scheduler, supervisor, workers and replicas are such."""
    if session is None:
        return []
    logs = [log for log in (session / "logs").glob("worker-*") if log.stat().st_size]
    return sorted(logs, key=lambda log: log.stat().st_mtime)[-_LOGS:]


def _tail(log: Path) -> Iterator[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    for line in text.splitlines()[-_LINES:]:
        yield line[:_LINE_CHARACTERS]
