"""What a store is: it saves facts and decides nothing.

`Store` belongs to the scheduler alone, the single writer. `Reader` answers questions and may exist
many times, in other processes. Both are synchronous: a commit is a few hundred microseconds, and
whoever calls decides whether to wait on its own thread. A store whose commits are a server's work
can have the event loop go on meanwhile (`begin_commit`).

One suite, tests/store/, says in code what every store must do.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from task_queue.core.effects import Changes, TimelineEvent
from task_queue.core.machine import Loaded
from task_queue.core.schedule import Schedule
from task_queue.core.task import Task
from task_queue.core.worker import WorkerInfo
from task_queue.errors import TaskQueueError
from task_queue.store.ended_sum import EndedSum, EndedTask, Sums
from task_queue.store.query import Pool, Tally, TaskQuery
from task_queue.tasks import TaskType

#: Calls whose answers are kept: they are repeated within seconds, if at all.
KEPT_REQUESTS = 10_000
#: A place in the order of endings: (finished_at, seq).
Cursor = tuple[float, int]


class Pruned(NamedTuple):
    """What one call of `prune` deleted."""

    tasks: int = 0
    results: int = 0  #: beside those of the tasks


class StoreError(TaskQueueError):
    """The store could not do what was asked. Nothing of the failed call was saved."""


class StaleEpoch(StoreError):
    """Another scheduler has taken over this store: this one must stop."""


class Reader(Protocol):
    """Questions. Every answer is a consistent view of what was committed before the call."""

    def get(self, task_id: str) -> Task | None:
        """One task with its arguments."""

    def find(self, task_ids: Sequence[str]) -> dict[str, Task]:
        """Those of the tasks that exist, by id and in the order asked, without their arguments."""

    def results(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """The results (JSON) that are still kept, by seq."""

    def timeline(self, seq: int) -> list[TimelineEvent]:
        """What was noted of a task, oldest first."""

    def logs(self, seq: int) -> list[tuple[int, str]]:
        """(attempt, output) of a task's attempts, in order."""

    def search(self, query: TaskQuery, limit: int) -> list[Task]:
        """Matching tasks without their arguments, newest first. It looks as far as it must."""

    def bounded(self, query: TaskQuery) -> TaskQuery:
        """The same question, with `from_seq` and `before_seq` as close as its times of submission
        allow: finding them costs more than one page of a search."""

    def reach(self, query: TaskQuery, most: int) -> int:
        """A `from_seq`: between it and `before_seq` stand at most `most` tasks in each place where
        a search looks, whatever else it asks of them. The query's own one if there are no more."""

    def ended_after(self, cursor: Cursor, limit: int) -> list[Task]:
        """Tasks that ended after the one at `cursor`, in the order of their endings."""

    def last_ended(self) -> Cursor:
        """The cursor of the task that ended last; (0.0, 0) if there is none."""

    def tallies(self) -> list[Tally]: ...

    def ended(self, after: Cursor, until: float, limit: int) -> list[EndedTask]:
        """The same tasks, as far as sums need them, that ended before `until`."""

    def sums(self, seconds: int, first: int, beyond: int) -> dict[int, EndedSum]:
        """What was kept of the slices of one level, by number, from one to before another. A slice
        that is not there had no ending, if it is over at `summed_until` and is still kept."""

    def summed_until(self) -> float:
        """All that ended before this time is in sums."""

    def workers(self) -> list[WorkerInfo]:
        """The newest incarnation of every worker ever registered, ended ones included."""

    def schedules(self) -> list[Schedule]: ...

    def pools(self) -> list[Pool]: ...

    def task_types(self) -> list[TaskType]: ...

    def ping(self) -> None:
        """Raise StoreError if the store does not answer."""

    def close(self) -> None: ...


class Store(Reader, Protocol):
    """The writer's side."""

    def take_over(self) -> int:
        """Become the writer: from now on every older writer is refused. Returns the epoch."""

    def check_writable(self) -> None:
        """Write something that changes nothing, durably.

        Raises:
            StaleEpoch: another writer has taken over.
            StoreError: nothing can be saved now.
        """

    def load(self) -> Loaded:
        """All that the machine needs to go on."""

    def page(self, queue: str, priority: int, limit: int, most_bytes: int) -> list[Task]:
        """The oldest tasks of a line that are paged out, with their arguments, in order.

        Args:
            limit: at most so many.
            most_bytes: of arguments of them all; the first task is given whatever it has.
        """

    def known(self, ids: Iterable[str], keys: Iterable[str]) -> dict[str, str]:
        """Of these task ids and idempotency keys, those that exist, to the task's id."""

    def answered(self, request_id: str) -> int | None:
        """What the call with this id was answered with, if it is one of the last 10,000."""

    def arguments(self, seqs: Sequence[int]) -> dict[int, bytes]:
        """The arguments of tasks, by seq."""

    def commit(self, changes: Changes) -> None:
        """Save one turn, all or nothing, durably.

        Raises:
            StaleEpoch: another writer has taken over.
            StoreError: it could not be saved; the store is as before.
        """

    def begin_commit(self, changes: Changes) -> "asyncio.Future[None] | None":
        """Like `commit`, but the event loop may go on meanwhile.

        Another may be begun before it is done: it is saved after it, and only if it is saved.
        What is in `changes` may change then; what was in it is saved.

        Returns:
            None: it is saved. Otherwise a future with the outcome; until it is done nothing but
            `begin_commit` may be asked of this store.

        Raises:
            StaleEpoch, StoreError: as `commit`; the future has them as well.
        """

    def delete(self, seqs: Sequence[int]) -> int:
        """Forget tasks that are over, with all that belongs to them. Returns how many."""

    def declare(self, pools: Sequence[Pool], task_types: Sequence[TaskType]) -> None:
        """Replace the catalogue of pools, and add or replace task types."""

    def keep_sums(self, sums: Sums, until: float) -> None:
        """Save sums of slices, replacing those that are there, and that they reach up to `until`, a
        multiple of the shortest slice; forget those that are kept no longer."""

    def count_ended(self) -> int:
        """How many tasks are over. It looks at each: for a start, not for every turn."""

    def prune(self, now: float, ended_before: float, surplus: int, limit: int) -> Pruned:
        """Delete results past their time to live, and tasks that are over with all they left.

        Args:
            ended_before: tasks that ended before this time go.
            surplus: so many of the oldest go whenever they ended.
            limit: at most so many tasks and so many results in each table, oldest first.
        """

    def prune_workers(self, ended_before: float) -> int:
        """Forget workers that ended before this time. Returns how many."""
