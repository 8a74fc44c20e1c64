"""What has come in for the next turn, with whoever waits for its answer."""

import asyncio
from collections.abc import Iterable

from task_queue.core.effects import Answer
from task_queue.core.events import Event, TasksSubmitted, Ticked, Unheard, WorkerPulled
from task_queue.scheduler_api import SchedulerUnavailable

Call = tuple[Event, "asyncio.Future[Answer]"]


class Inbox:
    """Events in the order in which they came."""

    def __init__(self) -> None:
        self._calls: list[Call] = []
        self.weight = 0  #: tasks and reports
        self.is_plain = True  #: submits and pulls, and nothing else

    def __bool__(self) -> bool:
        return bool(self._calls)

    def add(self, event: Event) -> "asyncio.Future[Answer]":
        """Put an event behind the others. The future is to have its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._calls.append((event, future))
        if isinstance(event, TasksSubmitted):
            self.weight += len(event.specs)
        elif isinstance(event, WorkerPulled):
            self.weight += len(event.reports)
        else:
            self.is_plain = False
        return future

    def note(self, event: Ticked | Unheard) -> None:
        """Put in front what nobody waits for."""
        self._calls.insert(0, (event, asyncio.get_running_loop().create_future()))
        self.is_plain = False

    def take(self) -> list[Call]:
        """All of it; the inbox is empty then."""
        calls, self._calls = self._calls, []
        self.weight, self.is_plain = 0, True
        return calls


def fail(calls: Iterable[Call], error: SchedulerUnavailable) -> None:
    """Tell everybody who still waits."""
    for event, future in calls:
        if not future.done() and not isinstance(event, Ticked | Unheard):
            future.set_exception(error)
