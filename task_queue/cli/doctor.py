"""`task-queue doctor`: send a task all the way through and say which step is broken, and the cure.

Each check is a function that returns what it found or raises with what is wrong; one that needs
another is not made if that one failed.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

import click
from msgspec import Struct

from task_queue.cli.seconds import Seconds
from task_queue.cli.session import Session, connected
from task_queue.client.client import Client
from task_queue.errors import Conflict, NotAuthorized, QueueUnreachable, TaskQueueError

_ECHO = "task_queue.echo"


class Check(Struct):
    """One step and what came of it."""

    name: str
    ok: bool
    detail: str


class _Wrong(Exception):
    """A check found something wrong."""


class Doctor:
    """The checks, in the order in which a task meets what they look at."""

    def __init__(self, client: Client, wait_seconds: float) -> None:
        self._client = client
        self._wait_seconds = wait_seconds
        self._queue = "default"

    def examine(self) -> Iterator[Check]:
        """Make the checks one by one.

        Raises:
            QueueUnreachable: nothing answers, so there is nothing to check.
        """
        for name, look in self._checks():
            try:
                yield Check(name, True, look())
            except QueueUnreachable:
                raise
            except NotAuthorized as error:
                yield Check(name, False, f"{error}: give --api-key or set TASK_QUEUE_API_KEY")
                return  # every further check would say the same
            except (TaskQueueError, TimeoutError, _Wrong) as error:
                yield Check(name, False, str(error))

    def _checks(self) -> tuple[tuple[str, Callable[[], str]], ...]:
        return (
            ("health", self._health),
            ("access", self._access),
            ("task", self._task),
            ("workers", self._workers),
            ("queue", self._queue_is_open),
            ("round trip", self._round_trip),
        )

    def _health(self) -> str:
        report = self._client.health()
        checks = report.get("checks", {})
        sick = [
            k for k, v in checks.items() if v.get("status") not in ("healthy", "not_configured")
        ]
        if report["status"] != "healthy":
            parts = ", ".join(sick) or "'task-queue health'"
            raise _Wrong(f"{self._client.url} is {report['status']}: look at {parts}")
        return f"{self._client.url} is healthy"

    def _access(self) -> str:
        self._client.stats()
        return "the API lets us in"

    def _task(self) -> str:
        for task_type in self._client.task_types():
            if task_type.name == _ECHO:
                self._queue = task_type.queue
                return f"{_ECHO} is registered, in queue {task_type.queue}"
        raise _Wrong(
            f"{_ECHO} is not registered: no worker has come up yet; read the workers' logs"
        )

    def _workers(self) -> str:
        workers = self._client.workers()
        pools = {q.queue: q.pools for q in self._client.queues()}.get(self._queue, [])
        able = [w for w in workers if w.status == "active" and w.pool in pools]
        if able:
            return f"{len(able)} of {len(workers)} workers take tasks of queue {self._queue}"
        if not workers:
            raise _Wrong("there are no workers: start some with 'python -m cluster up'")
        states = ", ".join(f"{w.worker_id} is {w.status}" for w in workers[:5])
        raise _Wrong(f"no active worker serves queue {self._queue} ({states})")

    def _queue_is_open(self) -> str:
        for view in self._client.queues():
            if view.queue == self._queue and view.paused:
                raise _Wrong(
                    f"queue {self._queue} is paused: 'task-queue queues resume {self._queue}'"
                )
        return f"queue {self._queue} hands out tasks"

    def _round_trip(self) -> str:
        sent = {"text": "Grüße", "numbers": [1, 2.5, None], "flag": True}
        handle = self._client.submit(_ECHO, sent, max_retries=0, tags=["doctor"])
        try:
            received = handle.result(timeout=self._wait_seconds)
        except TimeoutError:
            with suppress(Conflict):  # it ended in this very moment
                handle.cancel()
            raise
        if received != sent:
            raise _Wrong(f"{_ECHO} gave back {received!r} for {sent!r}")
        return f"task {handle.task_id} was submitted, run, and gave back what it got"


@click.command()
@click.option("--wait", "wait_seconds", type=Seconds(0), default=10.0, show_default=True,
              metavar="SECONDS", help="How long the test task may take.")  # fmt: skip
@connected
def doctor(session: Session, wait_seconds: float) -> None:
    """Check each step from here to a worker with a small task; ends with 1 if one is broken."""
    checks = []
    for check in Doctor(session.client, wait_seconds).examine():
        checks.append(check)
        if not session.as_json:
            click.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}")
    if session.as_json:
        session.show({"checks": checks}, lambda: None)
    if not all(check.ok for check in checks):
        raise click.exceptions.Exit(1)
