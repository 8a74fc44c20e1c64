"""Lists of tasks: by simple conditions, and by search."""

from collections.abc import Iterable
from functools import partial
from typing import Any

from fastapi import Request, Response

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.bounded_search import bounded_search
from serve_app.decoding import decode_query
from serve_app.operation import Operation
from serve_app.page_cursor import cursor_of
from serve_app.task_filters import ListQuery, SearchQuery, list_question
from task_queue.clock import Clock, to_rfc3339
from task_queue.store.protocol import Reader
from task_queue.store.query import TaskQuery
from task_queue.wire import TaskPage, task_view


class SearchRoutes:
    """Handlers for lists of tasks, newest first, page by page."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        page: dict[str, Any] = {
            "answer": TaskPage,
            "answer_example": examples.TASK_PAGE,
            "problems": (422, 503),
        }
        yield Operation(
            method="GET", path="/api/v1/tasks", handler=self.list_tasks, tag="tasks",
            summary="List tasks, newest first", query=ListQuery, **page,
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/search/tasks", handler=self.search_tasks, tag="tasks",
            summary="Search tasks, newest first", query=SearchQuery, **page,
        )  # fmt: skip

    async def list_tasks(self, request: Request) -> Response:
        return await self._page(decode_query(request, ListQuery))

    async def search_tasks(self, request: Request) -> Response:
        return await self._page(decode_query(request, SearchQuery))

    async def _page(self, query: ListQuery) -> Response:
        question = list_question(query)
        if question is None:
            return json_answer(TaskPage([], None))
        context = self._context
        ask = partial(_read_page, question, query.limit, context.clock)
        return json_answer(await context.readers.scan(ask))


def _read_page(question: TaskQuery, limit: int, clock: Clock, reader: Reader) -> TaskPage:
    tasks, next_seq, until = bounded_search(reader, question, limit, clock)
    return TaskPage(
        [task_view(task) for task in tasks],
        None if next_seq is None else cursor_of(next_seq),
        None if until is None else to_rfc3339(until),
    )
