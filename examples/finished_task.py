"""What became of a submitted task, and the wait for many of them behind a progress bar."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from task_queue import Client, TaskHandle


@dataclass(frozen=True, kw_only=True)
class FinishedTask:
    """A task that is over: its result, or why it has none."""

    task_id: str
    name: str
    status: str  #: COMPLETED, FAILED, CANCELLED or EXPIRED
    attempts: int
    worker_id: str | None  #: who ran the last attempt
    seconds: float | None  #: how long the last attempt took; None if none was started
    in_dlq: bool
    error: str | None  #: "Type: message"
    result: Any = None  #: what the task returned, if it COMPLETED

    @property
    def succeeded(self) -> bool:
        return self.status == "COMPLETED"


def wait_for_all(
    client: Client, handles: Sequence[TaskHandle[Any]], console: Console
) -> list[FinishedTask]:
    """Wait until all are over, showing how many are; in the order of `handles`.

    Raises:
        QueueUnreachable: the queue went away for longer than the client is willing to wait.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    failed = 0
    with Progress(*columns, console=console) as bar:
        waiting = bar.add_task("waiting", total=len(handles))
        for handle in client.as_completed(handles):
            bar.advance(waiting)
    return [_finished(handle) for handle in handles]
