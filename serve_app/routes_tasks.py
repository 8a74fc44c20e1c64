"""Single tasks: submit, run, look, wait, result, timeline, output, cancel, retry."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Request, Response
from msgspec import Meta, Struct

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext, unknown_tasks
from serve_app.decoding import NoFields, decode_body, decode_query
from serve_app.operation import Operation
from serve_app.problems import ApiProblem, refusal, unavailable
from serve_app.results import end_view, result_of
from serve_app.submit_and_wait import submit_and_wait
from serve_app.submit_coalescer import Submitted
from task_queue.core.effects import Moved, Refused
from task_queue.core.events import CancelRequested
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task, TaskSpec
from task_queue.scheduler_api import SchedulerUnavailable
from task_queue.store.protocol import StoreError
from task_queue.stream.outcome import CallFailed
from task_queue.wire import (
    LogsAnswer,
    LogView,
    ResultView,
    SubmitRequest,
    TaskView,
    TimelineAnswer,
    task_view,
    timeline_view,
)

_TASKS = "/api/v1/tasks"
_TASK = f"{_TASKS}/{{task_id}}"


class WaitQuery(Struct, forbid_unknown_fields=True):
    """Query parameters of a look at one task."""

    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0


class RunQuery(Struct, forbid_unknown_fields=True):
    """Query parameters of a submit that waits."""

    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 30.0


class TaskRoutes:
    """Handlers for one task at a time."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        view: dict[str, Any] = {"tag": "tasks", "answer": TaskView, "answer_example": examples.TASK}
        yield Operation(
            method="POST", path=_TASKS, handler=self.submit_task, summary="Submit a task",
            body=SubmitRequest, body_example=examples.SUBMIT, status=201,
            also={200: "The idempotency_key is known: the task that has it"},
            problems=(400, 413, 422, 429, 503, 504), **view,
        )  # fmt: skip
        yield Operation(
            method="POST", path=f"{_TASKS}/run", handler=self.run_task, query=RunQuery, tag="tasks",
            summary="Submit a task and wait up to wait_seconds for its end, in one request",
            body=SubmitRequest, body_example=examples.SUBMIT, status=201, answer=ResultView,
            answer_example=examples.RESULT,
            also={200: "The idempotency_key is known: how the task that has it ended"},
            problems=(400, 413, 422, 429, 503, 504),
        )  # fmt: skip
        yield Operation(
            method="GET", path=_TASK, handler=self.get_task, query=WaitQuery,
            summary="Look at a task; waits up to wait_seconds for its end",
            problems=(404, 422, 503), **view,
        )  # fmt: skip
        yield Operation(
            method="GET", path=f"{_TASK}/result", handler=self.get_result, tag="tasks",
            summary="The result, or the error, of a task that is over",
            answer=ResultView, answer_example=examples.RESULT, problems=(404, 409, 410, 503),
        )  # fmt: skip
        yield Operation(
            method="GET", path=f"{_TASK}/events", handler=self.get_timeline, tag="tasks",
            summary="What happened to a task, in order",
            answer=TimelineAnswer, answer_example=examples.TIMELINE, problems=(404, 503),
        )  # fmt: skip
        yield Operation(
            method="GET", path=f"{_TASK}/logs", handler=self.get_logs, tag="tasks",
            summary="What a task's attempts wrote to stdout and stderr",
            answer=LogsAnswer, answer_example=examples.LOGS, problems=(404, 503),
        )  # fmt: skip
        yield Operation(
            method="POST", path=f"{_TASK}/cancel", handler=self.cancel_task,
            summary="Cancel a task", also={202: "It runs, and its worker will be told to stop it"},
            problems=(404, 409, 503), **view,
        )  # fmt: skip
        yield Operation(
            method="POST", path=f"{_TASK}/retry", handler=self.retry_task,
            summary="Run a task again that FAILED, EXPIRED or was CANCELLED",
            problems=(404, 409, 429, 503), **view,
        )  # fmt: skip

    async def submit_task(self, request: Request) -> Response:
        decode_query(request, NoFields)
        wanted = decode_body(await request.body(), SubmitRequest)
        spec = await self._context.submission.spec(wanted, self._context.origin(request))
        submitted = await self._context.coalescer.submit(spec)
        headers = {"Location": f"{_TASKS}/{submitted.task_id}"}
        if not submitted.duplicate:
            view = task_view(_fresh(spec, self._context.clock.now()))
            return json_answer(view, HTTPStatus.CREATED, headers)
        older = await self._find(submitted.task_id)
        return json_answer(task_view(older), HTTPStatus.OK, headers)

    async def run_task(self, request: Request) -> Response:
        wait_seconds = decode_query(request, RunQuery).wait_seconds
        wanted = decode_body(await request.body(), SubmitRequest)
        spec = await self._context.submission.spec(wanted, self._context.origin(request))
        now = asyncio.get_running_loop().time
        until = now() + wait_seconds
        run = await submit_and_wait(
            self._context.coalescer, self._context.scheduler, spec, wait_seconds
        )
        if run.end is not None:
            view = end_view(spec, run.end, self._context.clock.now())
        else:
            left = until - now() if run.can_wait else 0.0
            view = await self._end_in_store(run.submitted, spec, left)
        status = HTTPStatus.OK if run.submitted.duplicate else HTTPStatus.CREATED
        return json_answer(view, status, {"Location": f"{_TASKS}/{run.submitted.task_id}"})

    async def _end_in_store(
        self, submitted: Submitted, spec: TaskSpec, wait_seconds: float
    ) -> ResultView:
        """How a task that was accepted ended, or where it stands when the time is up."""
        task_id, now = submitted.task_id, self._context.clock.now
        try:
            task = await self._find(task_id)
            if wait_seconds > 0 and task.status not in TERMINAL:
                with suppress(SchedulerUnavailable, CallFailed):  # the store tells what it knows
                    await self._context.scheduler.wait_over([task_id], wait_seconds)
                task = await self._find(task_id)
            return result_of(task, await self._result(task), now())
        except (StoreError, ApiProblem):
            if submitted.duplicate:
                raise
            # A 503 would say that nothing was accepted.
            return result_of(_fresh(spec, now()), None, now())

    async def _find(self, task_id: str) -> Task:
        """A task that was accepted a moment ago.

        Raises:
            ApiProblem: 503, it was deleted since; its idempotency key is free again.
        """
        found = await self._context.readers.point(lambda reader: reader.find([task_id]))
        task = found.get(task_id)
        if task is None:
            raise unavailable(f"task {task_id} was deleted at this very moment")
        return task

    async def _result(self, task: Task) -> bytes | None:
        """The stored result of a task, as JSON."""
        results = await self._context.readers.point(lambda reader: reader.results([task.seq]))
        return results.get(task.seq)

    async def get_task(self, request: Request) -> Response:
        wait_seconds = decode_query(request, WaitQuery).wait_seconds
        task = await self._context.task(_id(request))
        if wait_seconds > 0 and task.status not in TERMINAL:
            await self._context.scheduler.wait_over([task.spec.id], wait_seconds)
            task = await self._context.task(task.spec.id)
        return json_answer(task_view(task))

    async def get_result(self, request: Request) -> Response:
        decode_query(request, NoFields)
        task = await self._context.task(_id(request))
        if task.status not in TERMINAL:
            raise _conflict(
                task, f"task {task.spec.id} is {task.status.value}, not over: ask again later, or "
                "wait with POST /api/v1/tasks/results",
            )  # fmt: skip
        stored = await self._result(task)
        view = result_of(task, stored, self._context.clock.now())
        if task.status is Status.COMPLETED and view.result is None:
            raise ApiProblem(
                HTTPStatus.GONE,
                f"the result of task {task.spec.id} was kept for "
                f"{task.spec.result_ttl_seconds:g} seconds after its end and is gone: fetch it "
                "sooner, or raise result_ttl_seconds of the task",
            )
        return json_answer(view)

    async def get_timeline(self, request: Request) -> Response:
        decode_query(request, NoFields)
        task = await self._context.task(_id(request))
        events = await self._context.readers.point(lambda reader: reader.timeline(task.seq))
        return json_answer(TimelineAnswer(timeline_view(task, events)))

    async def get_logs(self, request: Request) -> Response:
        decode_query(request, NoFields)
        task = await self._context.task(_id(request))
        parts = await self._context.readers.point(lambda reader: reader.logs(task.seq))
        return json_answer(LogsAnswer([LogView(attempt, text) for attempt, text in parts]))

    async def cancel_task(self, request: Request) -> Response:
        await _take_nothing(request)
        task_id = (await self._context.task(_id(request))).spec.id
        answer = await self._context.request_or_refusal(CancelRequested(task_id))
        task = await self._context.task(task_id)
        if isinstance(answer, Refused):
            raise _conflict(
                task, f"task {task_id} is {task.status.value}: what is over cannot be cancelled"
            )
        assert isinstance(answer, Moved)
        running = answer.status is Status.RUNNING
        return json_answer(task_view(task), HTTPStatus.ACCEPTED if running else HTTPStatus.OK)

    async def retry_task(self, request: Request) -> Response:
        await _take_nothing(request)
        task_id = (await self._context.task(_id(request))).spec.id
        answer = await self._context.scheduler.retry(task_id, self._context.new_request_id())
        if isinstance(answer, Refused):
            if answer.reason == "not_live":
                raise unknown_tasks([task_id])
            if answer.reason != "conflict":
                raise refusal(answer)
            raise _conflict(await self._context.task(task_id), f"task {task_id} is {answer.detail}")
        return json_answer(task_view(await self._context.task(task_id)))


def _id(request: Request) -> str:
    task_id: str = request.path_params["task_id"]
    return task_id


async def _take_nothing(request: Request) -> None:
    decode_query(request, NoFields)
    decode_body(await request.body(), NoFields)


def _conflict(task: Task, detail: str) -> ApiProblem:
    return ApiProblem(HTTPStatus.CONFLICT, detail, task_status=task.status.value)


def _fresh(spec: TaskSpec, now: float) -> Task:
    """The task as it was at its acceptance, without asking the store for it."""
    task = Task(spec, 0, now, expires_at=spec.expires_at)
    if spec.run_at is not None and spec.run_at > now:
        task.status, task.due_at = Status.SCHEDULED, spec.run_at
    return task
