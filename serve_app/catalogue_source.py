"""Where the catalogue comes from: the store, read at most every two seconds for all callers.

Whoever misses something in it can have it read at once, so that a task can be submitted in the
moment after its pool was declared.
"""

from serve_app.catalogue import Catalogue
from serve_app.readers import Readers
from serve_app.reading_cache import ReadingCache
from task_queue.clock import Clock
from task_queue.store.protocol import Reader

_MAX_AGE_SECONDS = 2.0


class CatalogueSource:
    """Every method may raise StoreError."""

    def __init__(self, readers: Readers, clock: Clock) -> None:
        self._readers = readers
        self._cache: ReadingCache[Catalogue] = ReadingCache(self._read, _MAX_AGE_SECONDS, clock)

    async def current(self) -> Catalogue:
        """The catalogue, at most two seconds ago; the same object until it is read again."""
        return await self._cache.get()

    async def fresh(self) -> Catalogue:
        """The catalogue, now."""
        self._cache.forget()
        return await self._cache.get()

    async def _read(self) -> Catalogue:
        return await self._readers.point(_catalogue)


def _catalogue(reader: Reader) -> Catalogue:
    types = {task_type.name: task_type for task_type in reader.task_types()}
    return Catalogue(types, reader.pools())
