"""Which tasks and worker pools there are, as the scheduler had declared them at one moment."""

from msgspec import Struct

from task_queue.store.query import Pool
from task_queue.tasks import TaskType


class Catalogue(Struct, frozen=True):
    """Task types and pools."""

    types: dict[str, TaskType]  #: by name, in the order of names
    pools: list[Pool]  #: by name

    def pools_serving(self, queue: str) -> list[Pool]:
        """The pools whose workers take tasks from the queue."""
        return [pool for pool in self.pools if pool.serves(queue)]

    def pools_with(self, name: str) -> list[str]:
        """The names of the pools that have the task."""
        return [pool.name for pool in self.pools if name in pool.task_names]

    def queues(self) -> list[str]:
        """Every queue that a pool names, or a task has as its default and some pool serves."""
        named = {queue for pool in self.pools for queue in pool.queues if queue != "*"}
        defaults = {task_type.options.queue for task_type in self.types.values()}
        return sorted(named | {queue for queue in defaults if self.pools_serving(queue)})

    def tasks(self) -> list[tuple[str, str]]:
        """(its default queue, name) of each task whose default queue some pool serves."""
        served = set(self.queues())
        types = self.types.values()
        return [(t.options.queue, t.name) for t in types if t.options.queue in served]
