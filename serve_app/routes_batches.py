"""Many tasks in one call: submit a batch, wait for any of several."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus

import msgspec
from fastapi import Request, Response
from msgspec import Raw, Struct

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext, unknown_tasks
from serve_app.complaint import Complaint
from serve_app.decoding import NoFields, decode_body, decode_json, decode_query
from serve_app.operation import Operation
from serve_app.problems import ApiProblem, refusal
from serve_app.results import result_of
from task_queue.core.effects import Refused
from task_queue.core.status import TERMINAL
from task_queue.core.task import Task
from task_queue.ids import is_task_id
from task_queue.store.protocol import Reader
from task_queue.wire import (
    BatchAnswer,
    BatchRequest,
    ResultsAnswer,
    ResultsRequest,
    ResultView,
    SubmitRequest,
)

_FEW_IDS = 500


class BatchRoutes:
    """Handlers for many tasks at a time."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._most = context.settings.http.max_batch_tasks

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        yield Operation(
            method="POST", path="/api/v1/tasks/batch", handler=self.submit_batch, tag="tasks",
            summary="Submit several tasks, all or none", body=BatchRequest,
            body_example=examples.BATCH, answer=BatchAnswer, answer_example=examples.BATCH_ANSWER,
            status=201, problems=(400, 413, 422, 429, 503, 504),
        )  # fmt: skip
        yield Operation(
            method="POST", path="/api/v1/tasks/results", handler=self.find_results, tag="tasks",
            summary="Which of these tasks are over, and how; waits for the first of them",
            body=ResultsRequest, body_example=examples.RESULTS_REQUEST, answer=ResultsAnswer,
            answer_example=examples.RESULTS_ANSWER, problems=(400, 404, 422, 503),
        )  # fmt: skip

    async def submit_batch(self, request: Request) -> Response:
        decode_query(request, NoFields)
        wanted = _read_batch(await request.body(), self._most)
        specs = await self._context.submission.specs(wanted, self._context.origin(request))
        answer = await self._context.submit(specs)
        if isinstance(answer, Refused):
            raise refusal(answer)
        return json_answer(BatchAnswer(answer.task_ids), HTTPStatus.CREATED)

    async def find_results(self, request: Request) -> Response:
        decode_query(request, NoFields)
        wanted = decode_body(await request.body(), ResultsRequest)
        ids = list(dict.fromkeys(wanted.task_ids))
        over = await self._over(ids)
        if not over and wanted.wait_seconds > 0:
            await self._context.scheduler.wait_over(ids, wanted.wait_seconds)
            over = await self._over(ids)
        pending = [task_id for task_id in ids if task_id not in over]
        return json_answer(ResultsAnswer(list(over.values()), pending))

    async def _over(self, ids: Sequence[str]) -> dict[str, ResultView]:
        """Those that are over, in the order of `ids`.

        Raises:
            ApiProblem: 404, some are not known.
        """
        now = self._context.clock.now()
        if len(ids) < _FEW_IDS:
            return await self._context.readers.point(lambda reader: _find_over(reader, ids, now))
        return await self._context.readers.scan(lambda reader: _find_over(reader, ids, now))


def _find_over(reader: Reader, ids: Sequence[str], now: float) -> dict[str, ResultView]:
    tasks = reader.find([task_id for task_id in ids if is_task_id(task_id)])
    unknown = [task_id[:100] for task_id in ids if task_id not in tasks]
    if unknown:
        raise unknown_tasks(unknown)
    over: list[Task] = [tasks[i] for i in ids if tasks[i].status in TERMINAL]
    results = reader.results([task.seq for task in over])
    return {task.spec.id: result_of(task, results.get(task.seq), now) for task in over}


class _AnyTask(Struct, gc=False):
    """Takes any JSON object and keeps nothing of it: for counting."""


class _CountedBatch(Struct):
    tasks: list[_AnyTask]


class _RawBatch(Struct, forbid_unknown_fields=True):
    tasks: list[Raw]


def _read_batch(body: bytes, most: int) -> Sequence[SubmitRequest | Complaint]:
    """The tasks of a batch; a Complaint where one is of another shape.

    Raises:
        ApiProblem: 413, more than `most` tasks; 400 or 422, the batch as a whole is wrong.
    """
    if body.count(b"{") > most:  # with fewer it cannot hold too many: each task begins with one
        _refuse_if_too_many(_count(body), most)
    try:
        tasks = decode_json(body, BatchRequest).tasks
    except ApiProblem:
        return _read_one_by_one(body, most)  # for the places of all the errors
    _refuse_if_too_many(len(tasks), most)
    return tasks


def _read_one_by_one(body: bytes, most: int) -> list[SubmitRequest | Complaint]:
    raw_tasks = decode_body(body, _RawBatch).tasks
    if not raw_tasks:
        decode_body(body, BatchRequest)
    _refuse_if_too_many(len(raw_tasks), most)
    tasks: list[SubmitRequest | Complaint] = []
    for position, raw in enumerate(raw_tasks):
        try:
            tasks.append(decode_json(bytes(raw), SubmitRequest, f"tasks[{position}]"))
        except ApiProblem as problem:
            field, _, text = problem.detail.partition(": ")
            tasks.append(Complaint(field, text, problem.status))
    return tasks


def _count(body: bytes) -> int:
    """How many tasks a batch has; 0 if it is not a batch, which is found out later."""
    try:
        return len(msgspec.json.decode(body, type=_CountedBatch).tasks)
    except (msgspec.DecodeError, RecursionError):
        return 0


def _refuse_if_too_many(count: int, most: int) -> None:
    if count > most:
        raise ApiProblem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"tasks: {count:,} in one batch, and {most:,} are allowed: send several batches, or "
            "raise http.max_batch_tasks",
        )
