"""Queues: list, pause, resume, purge. And the tasks that can be put into them."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.catalogue import Catalogue
from serve_app.decoding import NoFields, decode_body, decode_query
from serve_app.nearest import hint, shown
from serve_app.operation import Operation
from serve_app.problems import ApiProblem
from serve_app.queue_views import queue_states, queue_view
from task_queue.core.events import QueuePaused
from task_queue.tasks import TaskType
from task_queue.wire import (
    CountAnswer,
    QueuePausedView,
    QueuesAnswer,
    TaskTypesAnswer,
    TaskTypeView,
)

_QUEUE = "/api/v1/queues/{queue:path}"  # a queue may have a slash in its name


class QueueRoutes:
    """Handlers for queues and for what is registered."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        paused: dict[str, Any] = {
            "answer": QueuePausedView,
            "answer_example": examples.QUEUE_PAUSED,
        }
        yield Operation(
            method="GET", path="/api/v1/queues", handler=self.list_queues, tag="queues",
            summary="List the queues with their depths", answer=QueuesAnswer,
            answer_example=examples.QUEUES, problems=(503,),
        )  # fmt: skip
        yield Operation(
            method="POST", path=f"{_QUEUE}/pause", handler=self.pause_queue, tag="queues",
            summary="Hand out no more tasks of a queue", problems=(404, 503), **paused,
        )  # fmt: skip
        yield Operation(
            method="POST", path=f"{_QUEUE}/resume", handler=self.resume_queue, tag="queues",
            summary="Hand out tasks of a paused queue again", problems=(404, 503), **paused,
        )  # fmt: skip
        yield Operation(
            method="POST", path=f"{_QUEUE}/purge", handler=self.purge_queue, tag="queues",
            summary="Cancel every task of a queue that does not run", answer=CountAnswer,
            answer_example=CountAnswer(3), problems=(404, 503, 504),
        )  # fmt: skip
        yield Operation(
            method="GET", path="/api/v1/task-types", handler=self.list_task_types, tag="task types",
            summary="List the tasks that workers know", answer=TaskTypesAnswer,
            answer_example=examples.TASK_TYPES, problems=(503,),
        )  # fmt: skip

    async def list_queues(self, request: Request) -> Response:
        decode_query(request, NoFields)
        reading = await self._context.reading()
        catalogue = await self._context.catalogue.current()
        states = queue_states(reading, catalogue)
        return json_answer(QueuesAnswer([queue_view(s, catalogue, reading.at) for s in states]))

    async def pause_queue(self, request: Request) -> Response:
        return await self._set_paused(request, True)

    async def resume_queue(self, request: Request) -> Response:
        return await self._set_paused(request, False)

    async def purge_queue(self, request: Request) -> Response:
        queue = await self._known_queue(request)
        return json_answer(CountAnswer(await self._context.purge_queue(queue)))

    async def list_task_types(self, request: Request) -> Response:
        decode_query(request, NoFields)
        catalogue = await self._context.catalogue.current()
        types = [_type_view(task_type, catalogue) for task_type in catalogue.types.values()]
        return json_answer(TaskTypesAnswer(types))

    async def _set_paused(self, request: Request, paused: bool) -> Response:
        queue = await self._known_queue(request)
        await self._context.request(QueuePaused(queue, paused))
        return json_answer(QueuePausedView(queue, paused))

    async def _known_queue(self, request: Request) -> str:
        """The queue of the path, if there is one."""
        decode_query(request, NoFields)
        decode_body(await request.body(), NoFields)
        queue: str = request.path_params["queue"]
        catalogue = await self._context.catalogue.current()
        if queue in catalogue.queues():
            return queue
        states = queue_states(await self._context.reading(), catalogue)
        if any(state.queue == queue for state in states):
            return queue
        states = queue_states(await self._context.reading_from_now(), catalogue)
        known = [state.queue for state in states]
        if queue not in known:  # no submit has made it in the last half second either
            raise ApiProblem(
                HTTPStatus.NOT_FOUND, f"no queue {shown(queue)}; {hint(queue, known, 'queues')}"
            )
        return queue


def _type_view(task_type: TaskType, catalogue: Catalogue) -> TaskTypeView:
    options = task_type.options
    return TaskTypeView(
        name=task_type.name,
        signature=task_type.signature,
        doc=task_type.doc,
        queue=options.queue,
        priority=options.priority,
        max_retries=options.max_retries,
        timeout_seconds=options.timeout_seconds,
        executor=options.executor,
        pools=catalogue.pools_with(task_type.name),
    )
