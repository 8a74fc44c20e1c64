"""Dead letters that match: found here, in the store, and moved by the scheduler in small pieces.

To look for them may mean to look at every dead letter there is, and to run 100,000 of them again
takes seconds: neither may hold up the scheduler, whose loop answers nobody meanwhile. So the search
is the bounded one of all lists, and a piece is what takes the scheduler some milliseconds: its size
follows how long the one before took.
"""

from collections.abc import AsyncIterator
from functools import partial

from msgspec.structs import replace

from serve_app.api_context import ApiContext
from serve_app.bounded_search import Found, bounded_search
from serve_app.problems import refusal
from task_queue.clock import Clock
from task_queue.core.effects import Refused
from task_queue.scheduler_api import DeadLetter, SchedulerUnavailable
from task_queue.store.protocol import Reader
from task_queue.store.query import TaskQuery
from task_queue.wire import CountAnswer

_PAGE = 1_000  #: dead letters found in one search
_SMALLEST, _LARGEST = 20, 200  #: of a piece; a smaller one only if its arguments are too large
_WANTED_SECONDS = 0.008  #: of a piece, with the way to the scheduler and back


class DeadLetters:
    """What a person does with all that match."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    async def count(self, query: TaskQuery, limit: int) -> CountAnswer:
        """How many of the newest `limit` match."""
        count = 0
        async for letters in self._pages(query, limit):
            count += len(letters)
        return CountAnswer(count, dry_run=True)

    async def replay(self, query: TaskQuery, limit: int) -> CountAnswer:
        """Run the newest `limit` again that match, in the order of their acceptance.

        Raises:
            ApiProblem: 429, there is no room for a single one.
            SchedulerUnavailable: none was begun, or it is not known.
        """
        letters = [letter async for page in self._pages(query, limit) for letter in page]
        letters.reverse()
        count = begin = 0
        size, most = _SMALLEST, _LARGEST
        while begin < len(letters):
            piece = letters[begin : begin + size]
            began = self._context.clock.monotonic()
            try:
                answer = await self._context.replay(piece)
            except SchedulerUnavailable as error:
                if not count:
                    raise
                return CountAnswer(count, incomplete=f"{error}; call again for the rest")
            if not isinstance(answer, Refused):
                count += answer.count
                begin += len(piece)
                size = min(most, _fitting(size, self._context.clock.monotonic() - began))
            elif size > 1:
                size = most = min(size, len(piece)) // 2 or 1
            elif count:
                return CountAnswer(count, incomplete=answer.detail)
            else:
                raise refusal(answer)
        return CountAnswer(count)

    async def purge(self, query: TaskQuery) -> CountAnswer:
        """Delete all that match.

        Raises:
            SchedulerUnavailable: none was deleted, or it is not known.
        """
        count, size, clock = 0, _SMALLEST, self._context.clock
        async for page in self._pages(query):
            while page:
                piece, page = page[:size], page[size:]
                began = clock.monotonic()
                try:
                    count += await self._context.scheduler.purge_dlq(piece)
                except SchedulerUnavailable as error:
                    if not count:
                        raise
                    return CountAnswer(count, incomplete=f"{error}; call again for the rest")
                size = _fitting(size, clock.monotonic() - began)
        return CountAnswer(count)

    async def _pages(
        self, query: TaskQuery, limit: int | None = None
    ) -> AsyncIterator[list[DeadLetter]]:
        """Those that match, newest first, `limit` at most; others may ask in between."""
        readers, clock = self._context.readers, self._context.clock
        query = await readers.scan(lambda reader: reader.bounded(query))
        left = limit
        while True:
            most = _PAGE if left is None else min(_PAGE, left)
            found = await readers.scan(partial(_search, query, most, clock))
            yield [DeadLetter(task.spec.id, task.attempt) for task in found.tasks]
            if left is not None:
                left -= len(found.tasks)
            if found.next_seq is None or left == 0:
                return
            query = replace(query, before_seq=found.next_seq)


def _search(query: TaskQuery, most: int, clock: Clock, reader: Reader) -> Found:
    return bounded_search(reader, query, most, clock)


def _fitting(size: int, took: float) -> int:
    if took > _WANTED_SECONDS:
        return min(size, max(_SMALLEST, size // 2))
    return min(_LARGEST, size * 5 // 4 + 1) if took < _WANTED_SECONDS / 2 else size
