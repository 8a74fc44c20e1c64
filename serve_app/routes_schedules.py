"""Schedules: tasks that the clock submits."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Literal, cast
from urllib.parse import quote

from fastapi import Request, Response
from msgspec.structs import replace

from serve_app import examples
from serve_app.answers import json_answer
from serve_app.api_context import ApiContext
from serve_app.complaint import Complaint, problem_of
from serve_app.decoding import NoFields, decode_body, decode_query
from serve_app.nearest import hint, shown
from serve_app.operation import Operation
from serve_app.problems import ApiProblem, refusal
from serve_app.submission import Origin
from task_queue.core.effects import Refused
from task_queue.core.events import ScheduleDeleted, ScheduleSaved
from task_queue.core.schedule import Schedule, take_over_history
from task_queue.core.task import TaskSpec
from task_queue.ids import new_task_id
from task_queue.next_firing import cron_problem, next_firing
from task_queue.schedule_view import schedule_view
from task_queue.wire import ScheduleRequest, SchedulesAnswer, ScheduleView, SubmitRequest

_SCHEDULES = "/api/v1/schedules"
_SCHEDULE = f"{_SCHEDULES}/{{schedule_id:path}}"

#: What makes no sense for a task that is submitted again and again.
_ONCE_ONLY = ("run_at", "delay_seconds", "expires_at", "idempotency_key")


class ScheduleRoutes:
    """Handlers for schedules."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def operations(self) -> Iterable[Operation]:
        """What is offered."""
        yield Operation(
            method="GET", path=_SCHEDULES, handler=self.list_schedules, tag="schedules",
            summary="List the schedules", answer=SchedulesAnswer,
            answer_example=examples.SCHEDULES, problems=(503,),
        )  # fmt: skip
        yield Operation(
            method="POST", path=_SCHEDULES, handler=self.save_schedule, tag="schedules",
            summary="Save a schedule, new or in the place of the one with its id",
            body=ScheduleRequest, body_example=examples.SCHEDULE_REQUEST, answer=ScheduleView,
            answer_example=examples.SCHEDULE, status=201, also={200: "It replaced an older one"},
            problems=(400, 422, 429, 503),
        )  # fmt: skip
        yield Operation(
            method="GET", path=_SCHEDULE, handler=self.get_schedule, tag="schedules",
            summary="Look at a schedule", answer=ScheduleView, answer_example=examples.SCHEDULE,
            problems=(404, 503),
        )  # fmt: skip
        yield Operation(
            method="DELETE", path=_SCHEDULE, handler=self.delete_schedule, tag="schedules",
            summary="Delete a schedule; tasks that it submitted stay", status=204,
            problems=(404, 503),
        )  # fmt: skip

    async def list_schedules(self, request: Request) -> Response:
        decode_query(request, NoFields)
        return json_answer(
            SchedulesAnswer([schedule_view(schedule) for schedule in await self._all()])
        )

    async def get_schedule(self, request: Request) -> Response:
        decode_query(request, NoFields)
        schedule_id = request.path_params["schedule_id"]
        for schedule in await self._all():
            if schedule.id == schedule_id:
                return json_answer(schedule_view(schedule))
        raise await self._unknown(schedule_id)

    async def save_schedule(self, request: Request) -> Response:
        decode_query(request, NoFields)
        wanted = decode_body(await request.body(), ScheduleRequest)
        schedule = await self._made(wanted, self._context.origin(request))
        older = next((s for s in await self._all() if s.id == schedule.id), None)
        await self._context.request(ScheduleSaved(replace(schedule)))
        if older is not None:  # as the scheduler has done with its own copy
            take_over_history(schedule, older, next_firing)
        status = HTTPStatus.CREATED if older is None else HTTPStatus.OK
        return json_answer(
            schedule_view(schedule), status, {"Location": f"{_SCHEDULES}/{quote(schedule.id)}"}
        )

    async def delete_schedule(self, request: Request) -> Response:
        decode_query(request, NoFields)
        schedule_id = request.path_params["schedule_id"]
        answer = await self._context.request_or_refusal(ScheduleDeleted(schedule_id))
        if isinstance(answer, Refused):
            if answer.reason == "not_live":
                raise await self._unknown(schedule_id)
            raise refusal(answer)
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _all(self) -> list[Schedule]:
        return await self._context.readers.point(lambda reader: reader.schedules())

    async def _unknown(self, schedule_id: str) -> ApiProblem:
        cure = hint(schedule_id, [s.id for s in await self._all()], "schedules")
        return ApiProblem(HTTPStatus.NOT_FOUND, f"no schedule {shown(schedule_id)}; {cure}")

    async def _made(self, wanted: ScheduleRequest, origin: Origin) -> Schedule:
        """The schedule, or an ApiProblem that says what is wrong with it."""
        now = self._context.clock.now()
        complaints = [*_times_complaints(wanted), *_once_only_complaints(wanted.task)]
        if wanted.id is not None and not wanted.id.isprintable():
            complaints.append(Complaint("id", "has control characters: leave them out"))
        if complaints:
            raise problem_of(complaints)
        schedule = Schedule(
            id=wanted.id or new_task_id(now),
            template=await self._template(wanted.task, origin),
            next_run_at=now,
            cron=wanted.cron,
            interval_seconds=wanted.interval_seconds,
            timezone=wanted.timezone,
            overlap=cast("Literal['skip', 'allow']", wanted.overlap),
            missed=cast("Literal['run_once', 'skip']", wanted.missed),
            created_at=now,
        )
        schedule.next_run_at = next_firing(schedule, now)
        return schedule

    async def _template(self, wanted: SubmitRequest, origin: Origin) -> TaskSpec:
        """What will be submitted: checked like a submit, but without an id, and with no trace:
        its firings are not part of the caller's."""
        try:
            spec = await self._context.submission.spec(wanted, origin)
        except ApiProblem as problem:
            errors = [f"task.{error}" for error in problem.errors or [problem.detail]]
            told = errors if len(errors) > 1 else []
            raise ApiProblem(problem.status, "; ".join(errors), errors=told) from None
        return replace(spec, id="", traceparent=None)


def _times_complaints(wanted: ScheduleRequest) -> list[Complaint]:
    if (wanted.cron is None) == (wanted.interval_seconds is None):
        return [Complaint("cron", "give exactly one of cron and interval_seconds")]
    anything = "* * * * *"  # the time zone is checked in any case
    problem = cron_problem(anything if wanted.cron is None else wanted.cron, wanted.timezone)
    if problem is None:
        return []
    field = "timezone" if problem.startswith("timezone") else "cron"
    return [Complaint(field, problem)]


def _once_only_complaints(task: SubmitRequest) -> list[Complaint]:
    return [
        Complaint(f"task.{field}", "belongs to one task, and a schedule submits many: leave it out")
        for field in _ONCE_ONLY
        if getattr(task, field) is not None
    ]
