"""Which tasks and worker pools there are, as the scheduler declared them to the store.

Read again at most every two seconds, and at once when a name is asked for that is not known, so
that a task can be submitted in the moment after its pool was declared.
"""

from serve_app.readers import Readers
from task_queue.clock import Clock
from task_queue.store.query import Pool
from task_queue.tasks import TaskType

_MAX_AGE_SECONDS = 2.0


class Catalogue:
    """Task types and pools. Every method may raise StoreError."""

    def __init__(self, readers: Readers, clock: Clock) -> None:
        self._readers = readers
        self._clock = clock
        self._read_at: float | None = None
        self._readings = 0
        self._types: dict[str, TaskType] = {}
        self._pools: list[Pool] = []

    def reading(self) -> int:
        """The number of the last reading, none older than two seconds: it tells others how long
        they may keep what they have made of it."""
        self._refresh_if_old()
        return self._readings

    def task_type(self, name: str) -> TaskType | None:
        """A registered task."""
        self._refresh_if_old()
        if name not in self._types:
            self.refresh()
        return self._types.get(name)

    def task_types(self) -> list[TaskType]:
        """All registered tasks, by name."""
        self._refresh_if_old()
        return list(self._types.values())

    def pools(self) -> list[Pool]:
        """All worker pools, by name."""
        self._refresh_if_old()
        return self._pools

    def pools_serving(self, queue: str) -> list[Pool]:
        """The pools whose workers take tasks from the queue."""
        self._refresh_if_old()
        return [pool for pool in self._pools if pool.serves(queue)]

    def pools_with(self, name: str) -> list[str]:
        """The names of the pools that have the task."""
        return [pool.name for pool in self.pools() if name in pool.task_names]

    def queues(self) -> list[str]:
        """Every queue that a pool names, or a task has as its default and some pool serves."""
        named = {queue for pool in self.pools() for queue in pool.queues if queue != "*"}
        defaults = {task_type.options.queue for task_type in self._types.values()}
        return sorted(named | {queue for queue in defaults if self.pools_serving(queue)})

    def refresh(self) -> None:
        """Read the store again."""
        reader = self._readers.point
        self._types = {task_type.name: task_type for task_type in reader.task_types()}
        self._pools = reader.pools()
        self._read_at = self._clock.monotonic()
        self._readings += 1

    def _refresh_if_old(self) -> None:
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= _MAX_AGE_SECONDS:
            self.refresh()
