"""Where a submit goes: the task that it names, its queue, and whether workers there have the task.

What is found for a name and a queue is kept until the catalogue is read again. Faults are not kept:
each is looked at anew in a fresh catalogue, because the pool may have been declared a moment ago.
"""

from msgspec import Struct

from serve_app.argument_checks import ArgumentChecks
from serve_app.catalogue import Catalogue
from serve_app.catalogue_source import CatalogueSource
from serve_app.complaint import Complaint
from serve_app.nearest import hint, shown
from task_queue.queue_name import queue_name_fault
from task_queue.tasks import TaskType

#: A pool of "*" serves any queue that callers make up.
_MOST_KEPT = 10_000


class Destination(Struct, frozen=True):
    """What all submits of one task to one queue share."""

    task_type: TaskType
    queue: str
    checks: ArgumentChecks
    complaints: list[Complaint]  #: what is wrong with the queue for this task


#: The name and the queue that a submit gives; None: that of the task.
_Key = tuple[str, str | None]


class Destinations:
    """Looks names and queues up in the catalogue. Every coroutine may raise StoreError."""

    def __init__(self, source: CatalogueSource) -> None:
        self._source = source
        self._catalogue = Catalogue({}, [])  #: that all which is kept comes from
        self._good: dict[_Key, Destination] = {}

    async def refresh(self) -> None:
        """Forget what is too old. For one submit, or before many of the same moment."""
        self._use(await self._source.current())

    def known(self, name: str, queue: str | None) -> Destination | None:
        """Where it goes, if that is kept here; if not, ask `find`."""
        return self._good.get((name, queue))

    async def find(self, name: str, queue: str | None) -> Destination | Complaint:
        """Where it goes; a Complaint if no worker knows the task."""
        good = self.known(name, queue)
        if good is not None:
            return good
        self._use(await self._source.current())
        found = self._look(name, queue)
        if isinstance(found, Complaint) or found.complaints:
            self._use(await self._source.fresh())
            found = self._look(name, queue)
        if isinstance(found, Destination) and not found.complaints:
            self._good[name, queue] = found
        return found

    def _use(self, catalogue: Catalogue) -> None:
        if catalogue is not self._catalogue or len(self._good) >= _MOST_KEPT:
            self._catalogue, self._good = catalogue, {}

    def _look(self, name: str, queue: str | None) -> Destination | Complaint:
        task_type = self._catalogue.types.get(name)
        if task_type is None:
            cure = hint(name, list(self._catalogue.types), "tasks")
            return Complaint("name", f"no worker knows a task {shown(name)}; {cure}")
        place = queue or task_type.options.queue
        complaints = self._misplaced(name, place)
        return Destination(task_type, place, ArgumentChecks(task_type), complaints)

    def _misplaced(self, name: str, queue: str) -> list[Complaint]:
        """Any worker that serves the queue may get the task, so all their pools must have it."""
        fault = queue_name_fault(queue)
        if fault is not None:
            return [Complaint("queue", fault)]
        pools = self._catalogue.pools_serving(queue)
        if not pools:
            cure = hint(queue, self._catalogue.queues(), "queues")
            return [Complaint("queue", f"no worker pool serves {shown(queue)}; {cure}")]
        without = [pool.name for pool in pools if name not in pool.task_names]
        if not without:
            return []
        having = self._catalogue.pools_with(name)
        queues = sorted({q for p in self._catalogue.pools if p.name in having for q in p.queues})
        cure = f"queues whose pools have it: {', '.join(queues)}" if queues else "no pool has it"
        text = f"'{queue}' is served by pool {', '.join(without)}, which lacks task {name}; {cure}"
        return [Complaint("queue", text)]
