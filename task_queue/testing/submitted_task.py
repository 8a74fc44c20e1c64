"""From what a client sends to what the machine is told: look-up, defaults, times.

What the API refuses beyond that (types of arguments, sizes, times far away) needs settings and
pools, which a test has not; docs/testing.md names the differences.
"""

import inspect
from typing import Any, Literal, NoReturn, cast

import msgspec
from msgspec.structs import replace

from task_queue.clock import from_rfc3339
from task_queue.core.schedule import Schedule
from task_queue.core.task import TaskSpec
from task_queue.errors import InvalidRequest
from task_queue.ids import new_task_id
from task_queue.next_firing import cron_problem, next_firing
from task_queue.requested_spec import requested_spec
from task_queue.tasks import TaskFunction, TaskRegistry
from task_queue.wire import ScheduleRequest, SubmitRequest

_ONCE_ONLY = ("run_at", "delay_seconds", "expires_at", "idempotency_key")


def submitted_task(request: SubmitRequest, registry: TaskRegistry, now: float) -> TaskSpec:
    """The spec of one task, with a fresh id.

    Raises:
        InvalidRequest: a field is not as `wire.SubmitRequest` wants it, no task has the name, or
            the arguments do not fit it.
    """
    _check_shape(request, SubmitRequest)
    function = registry.get(request.name)
    if function is None:
        _refuse(
            f"name: no task is called '{request.name}' in this process: import the module that "
            "defines it"
        )
    _check_arguments(function, request)
    if request.delay_seconds is not None and request.run_at is not None:
        _refuse("run_at: is given beside delay_seconds: give one")
    return _spec(request, function, now)


def submitted_schedule(request: ScheduleRequest, registry: TaskRegistry, now: float) -> Schedule:
    """The schedule, with a fresh id unless it has one.

    Raises:
        InvalidRequest: as `submitted_task`, or there is no such time.
    """
    _check_shape(request, ScheduleRequest)
    if (request.cron is None) == (request.interval_seconds is None):
        _refuse("cron: give exactly one of cron and interval_seconds")
    problem = cron_problem(request.cron or "* * * * *", request.timezone)
    if problem is not None:
        _refuse(problem)
    for field in _ONCE_ONLY:
        if getattr(request.task, field) is not None:
            _refuse(f"task.{field}: belongs to one task, and a schedule submits many: leave it out")
    schedule = Schedule(
        id=request.id or new_task_id(now),
        template=replace(submitted_task(request.task, registry, now), id=""),
        next_run_at=now,
        cron=request.cron,
        interval_seconds=request.interval_seconds,
        timezone=request.timezone,
        overlap=cast("Literal['skip', 'allow']", request.overlap),
        missed=cast("Literal['run_once', 'skip']", request.missed),
        created_at=now,
    )
    schedule.next_run_at = next_firing(schedule, now)
    return schedule


def _spec(request: SubmitRequest, function: TaskFunction[..., Any], now: float) -> TaskSpec:
    options = function.task_options
    run_at = _moment("run_at", request.run_at)
    if request.delay_seconds:
        run_at = now + request.delay_seconds
    arguments = msgspec.json.encode({"args": request.args, "kwargs": request.kwargs})
    return requested_spec(
        request, options, new_task_id(now), request.queue or options.queue, arguments, run_at,
        _moment("expires_at", request.expires_at),
    )  # fmt: skip


def _check_shape(request: msgspec.Struct, shape: type[msgspec.Struct]) -> None:
    """A struct made in Python is not checked by msgspec until it was JSON once."""
    try:
        msgspec.json.decode(msgspec.json.encode(request), type=shape)
    except msgspec.ValidationError as error:
        _refuse(str(error))


def _check_arguments(function: TaskFunction[..., Any], request: SubmitRequest) -> None:
    try:
        inspect.signature(function.function).bind(*request.args, **request.kwargs)
    except TypeError as error:
        _refuse(f"args: {function.name}{inspect.signature(function.function)}: {error}")


def _moment(field: str, text: str | None) -> float | None:
    try:
        return None if text is None else from_rfc3339(text)
    except ValueError as error:
        _refuse(f"{field}: {error}")


def _refuse(detail: str) -> NoReturn:
    raise InvalidRequest(422, detail)
