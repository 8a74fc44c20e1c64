"""Collecting the results of many tasks in the order in which they were asked for.

The rules of `gather` and `map` that both clients share; the waiting itself is done by the clients.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Generic, TypeVar

from task_queue.client.outcome import Outcome
from task_queue.client.progress_bar import ProgressBar, progress_bar
from task_queue.client.waiting import Settles

H = TypeVar("H", bound=Settles)


class Results(Generic[H]):
    """One value for each handle."""

    def __init__(self, handles: Iterable[H], return_exceptions: bool) -> None:
        self.handles = list(handles)
        self._return_exceptions = return_exceptions
        self._values: dict[str, Any] = {}
        self._over = 0

    def bar(self, shown: bool | None) -> AbstractContextManager[ProgressBar]:
        """A progress bar for these tasks; `shown` as in `map`."""
        names = {handle.name for handle in self.handles}
        label = names.pop() if len(names) == 1 else ""
        return progress_bar(shown, len(self.handles), label or "tasks")

    def take(self, handle: H) -> bool:
        """Keep the value of a handle whose task is over; whether the task did not succeed.

        Raises:
            TaskDidNotSucceed, ResultGone: unless they are to be returned.
        """
        outcome = handle.outcome
        assert isinstance(outcome, Outcome)  # as_completed yields handles that know
        self._over += 1
        value = outcome.value_or_error() if self._return_exceptions else outcome.value()
        self._values[handle.task_id] = value
        return outcome.status != "COMPLETED"

    def in_order(self) -> list[Any]:
        """The values in the order of the handles, once all were taken."""
        return [self._values[handle.task_id] for handle in self.handles]

    @contextmanager
    def told_on_error(self) -> Iterator[None]:
        """Let whatever ends the waiting early, Ctrl-C included, say what goes on."""
        try:
            yield
        except BaseException as error:
            left = len(self.handles) - self._over
            if left:
                error.add_note(
                    f"{left:,} of {len(self.handles):,} tasks were not yet seen to end; nothing "
                    "was cancelled, they go on in the queue"
                )
            raise
