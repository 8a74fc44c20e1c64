"""Workers: list, look at one, pause, resume, drain."""

from collections.abc import Iterable
from http import HTTPStatus

from fastapi import Request, Response

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.decoding import NoFields, decode_body, decode_query
from serve_app.fleet import ended_view, living_view, without_living
from serve_app.nearest import hint, shown
from serve_app.operation import Operation
from serve_app.problems import ApiProblem, refusal
from task_queue.core.effects import Refused
from task_queue.core.events import WorkerStatusWanted
from task_queue.core.status import WorkerStatus
from task_queue.core.worker import WorkerInfo
from task_queue.wire import WorkersAnswer, WorkerStatusView, WorkerView

_WORKER = "/api/v1/workers/{worker_id:path}"


class WorkerRoutes:
    """Handlers for workers."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        yield Operation(
            method="GET", path="/api/v1/workers", handler=self.list_workers, tag="workers",
            summary="List the living workers, and those lost in the last 15 minutes",
            answer=WorkersAnswer, answer_example=examples.WORKERS, problems=(503,),
        )  # fmt: skip
        yield Operation(
            method="GET", path=f"{_WORKER}/status", handler=self.get_worker, tag="workers",
            summary="Look at a worker, also one that has ended", answer=WorkerView,
            answer_example=examples.WORKER, problems=(404, 503),
        )  # fmt: skip
        changes = (
            ("pause", self.pause_worker, "Give a worker nothing new; it ends what it holds"),
            ("resume", self.resume_worker, "Give a paused worker tasks again"),
            ("drain", self.drain_worker, "Let a worker end what it holds, and go"),
        )
        for verb, handler, summary in changes:
            yield Operation(
                method="POST", path=f"{_WORKER}/{verb}", handler=handler, tag="workers",
                summary=summary, answer=WorkerStatusView, answer_example=examples.WORKER_STATUS,
                problems=(404, 409, 503),
            )  # fmt: skip

    async def list_workers(self, request: Request) -> Response:
        decode_query(request, NoFields)
        reading, lost = await self._context.reading(), await self._context.lost_workers()
        views = [living_view(worker, reading.at) for worker in reading.workers]
        views += [ended_view(info) for info in without_living(lost, reading)]
        return json_answer(WorkersAnswer(views))

    async def get_worker(self, request: Request) -> Response:
        decode_query(request, NoFields)
        worker_id = _id(request)
        reading = await self._context.reading()
        for worker in reading.workers:
            if worker.info.worker_id == worker_id:
                return json_answer(living_view(worker, reading.at))
        return json_answer(ended_view(await self._ended(worker_id)))

    async def pause_worker(self, request: Request) -> Response:
        return await self._set_status(request, WorkerStatus.PAUSED)

    async def resume_worker(self, request: Request) -> Response:
        return await self._set_status(request, WorkerStatus.ACTIVE)

    async def drain_worker(self, request: Request) -> Response:
        return await self._set_status(request, WorkerStatus.DRAINING)

    async def _set_status(self, request: Request, status: WorkerStatus) -> Response:
        decode_query(request, NoFields)
        decode_body(await request.body(), NoFields)
        worker_id = _id(request)
        answer = await self._context.request_or_refusal(WorkerStatusWanted(worker_id, status))
        if isinstance(answer, Refused):
            if answer.reason == "unknown_worker":
                ended = ended_view(await self._ended(worker_id))
                detail = f"worker '{worker_id}' is no more: {ended.status} at {ended.ended_at}"
                raise ApiProblem(HTTPStatus.CONFLICT, detail)
            raise refusal(answer)
        return json_answer(WorkerStatusView(worker_id, status.value))

    async def _ended(self, worker_id: str) -> WorkerInfo:
        """The last that is known of a worker that does not live.

        Raises:
            ApiProblem: 404, there never was one.
        """
        workers = await self._context.readers.scan(lambda reader: reader.workers())
        for info in workers:
            if info.worker_id == worker_id:
                return info
        known = [worker.info.worker_id for worker in (await self._context.reading()).workers]
        cure = hint(worker_id, known, "workers")
        raise ApiProblem(HTTPStatus.NOT_FOUND, f"no worker {shown(worker_id)}; {cure}")


def _id(request: Request) -> str:
    worker_id: str = request.path_params["worker_id"]
    return worker_id
