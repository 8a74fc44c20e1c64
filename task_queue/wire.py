"""The shapes of the HTTP API: what the API reads and the clients send, and the other way round.

One definition serves both sides, the checks, and the OpenAPI document. Request shapes refuse
unknown fields by name. Times are RFC 3339 with milliseconds and Z, durations are seconds.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from task_queue.clock import to_rfc3339
from task_queue.core.effects import TimelineEvent
from task_queue.core.status import TERMINAL, Status
from task_queue.core.task import Task, TaskError

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Tag = Annotated[str, Meta(min_length=1, max_length=100)]
Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86_400)]
PositiveSeconds = Annotated[float, Meta(gt=0, le=10 * 365 * 86_400)]


# Thousands come and go at a time. Without a place in the garbage collector's lists, and without an
# empty list in each field that is left out, that costs a sixth.
class SubmitRequest(Struct, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One task to be done. What is left out is taken from the task's own options."""

    name: Name
    args: Sequence[Raw] = ()
    kwargs: dict[str, Raw] = {}
    queue: Name | None = None
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    delay_seconds: Seconds | None = None
    run_at: str | None = None
    timeout_seconds: PositiveSeconds | None = None
    max_retries: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    expires_at: str | None = None
    idempotency_key: Name | None = None
    tags: Annotated[Sequence[Tag], Meta(max_length=20)] = ()


class BatchRequest(Struct, forbid_unknown_fields=True):
    """Several tasks: all are accepted or none."""

    tasks: Annotated[list[SubmitRequest], Meta(min_length=1)]


class BatchAnswer(Struct):
    task_ids: list[str]


class ErrorView(Struct):
    type: str
    message: str
    traceback: str = ""


class ProgressView(Struct):
    fraction: float
    message: str


class TaskView(Struct):
    """A task as the API shows it. Arguments and result are not part of it."""

    task_id: str
    name: str
    queue: str
    priority: int
    status: str
    attempt: int
    failures: int
    max_retries: int
    submitted_at: str
    run_at: str | None
    next_attempt_at: str | None
    expires_at: str | None
    started_at: str | None
    finished_at: str | None
    timeout_seconds: float | None
    worker_id: str | None
    cancel_requested: bool
    in_dlq: bool
    idempotency_key: str | None
    tags: list[str]
    error: ErrorView | None
    progress: ProgressView | None


class TaskPage(Struct):
    """Newest first. A page may be short, or empty, before the end of the list: a search that must
    look at very many tasks answers after some 50 ms. Go on until `next_cursor` is null."""

    tasks: list[TaskView]
    next_cursor: str | None
    #: If the time was up: what was submitted after it was looked at, the next page looks further.
    searched_until: str | None = None


class ResultView(Struct, omit_defaults=True):
    """How a task ended. `result` is there only if it COMPLETED, until its time to live is over:
    a result that is null is written out, one that is gone is left out."""

    task_id: str
    status: str
    result: Raw | None = None
    error: ErrorView | None = None


class ResultsRequest(Struct, forbid_unknown_fields=True):
    """Wait for any of these tasks to end, at most `wait_seconds`."""

    task_ids: Annotated[list[str], Meta(min_length=1, max_length=10_000)]
    wait_seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0


class ResultsAnswer(Struct):
    """Those that are over, in the order asked for; the rest is pending."""

    results: list[ResultView]
    pending: list[str]


class TimelineView(Struct):
    at: str
    kind: str
    attempt: int
    worker_id: str | None = None
    duration_seconds: float | None = None
    message: str = ""


class TimelineAnswer(Struct):
    events: list[TimelineView]


class LogView(Struct):
    attempt: int
    text: str


class LogsAnswer(Struct):
    logs: list[LogView]


class TaskFilter(Struct, forbid_unknown_fields=True, omit_defaults=True, frozen=True):
    """Which tasks: all conditions that are given must hold."""

    status: str | None = None
    queue: str | None = None
    name: str | None = None
    in_dlq: bool | None = None
    worker_id: str | None = None
    tag: str | None = None
    error: str | None = None  #: part of the error's type or message
    q: str | None = None  #: part of the id, name, tag or error
    submitted_from: str | None = None
    submitted_to: str | None = None


class DlqReplayRequest(Struct, forbid_unknown_fields=True):
    filter: TaskFilter = TaskFilter()
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    dry_run: bool = False


class DlqPurgeRequest(Struct, forbid_unknown_fields=True):
    filter: TaskFilter


class CountAnswer(Struct):
    """How many tasks a request moved, or would move."""

    count: int
    dry_run: bool = False
    #: Why it ended before all were moved that match. The rest is as it was: ask again later.
    incomplete: str | UnsetType = UNSET


class QueueView(Struct):
    queue: str
    paused: bool
    queued: int
    delayed: int  #: SCHEDULED and RETRYING
    running: int
    by_priority: dict[str, int]  #: QUEUED tasks, keys "0".."9", zeros left out
    oldest_wait_seconds: float | None
    pools: list[str]  #: worker pools that serve it


class QueuesAnswer(Struct):
    queues: list[QueueView]


class QueuePausedView(Struct):
    """Whether a queue hands out tasks, after a person's request."""

    queue: str
    paused: bool


class WorkerView(Struct):
    """A worker, or the last that was seen of one."""

    worker_id: str
    status: str  #: active, paused, draining, lost, or "ended" after an orderly end
    pool: str
    queues: list[str]
    hostname: str
    pid: int
    capacity: int
    current_load: int
    tasks_ended: int
    tasks_failed: int
    busy_seconds: float
    restarts: int
    uptime_seconds: float
    last_heartbeat_at: str
    running: list[str]  #: ids of the tasks it holds
    ended_at: str | None = None  #: with lost and ended
    end_cause: str = ""


class WorkersAnswer(Struct):
    workers: list[WorkerView]


class WorkerStatusView(Struct):
    """A worker's status, after a person's request."""

    worker_id: str
    status: str


class ScheduleRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A task that the clock submits. Exactly one of `cron` and `interval_seconds`."""

    task: SubmitRequest
    id: Name | None = None  #: made up if left out; the same id again replaces the schedule
    cron: str | None = None
    interval_seconds: Annotated[float, Meta(ge=1, le=10 * 365 * 86_400)] | None = None
    timezone: str = "UTC"
    overlap: Annotated[str, Meta(pattern="^(skip|allow)$")] = "skip"
    missed: Annotated[str, Meta(pattern="^(run_once|skip)$")] = "run_once"


class ScheduleView(Struct):
    id: str
    name: str
    queue: str
    cron: str | None
    interval_seconds: float | None
    timezone: str
    overlap: str
    missed: str
    next_run_at: str
    last_run_at: str | None
    last_task_id: str | None
    runs: int
    skips: int


class SchedulesAnswer(Struct):
    schedules: list[ScheduleView]


class TaskTypeView(Struct):
    name: str
    signature: str
    doc: str
    queue: str
    priority: int
    max_retries: int
    timeout_seconds: float | None
    executor: str
    pools: list[str]  #: worker pools that have it


class TaskTypesAnswer(Struct):
    task_types: list[TaskTypeView]


class Problem(Struct, omit_defaults=True):
    """RFC 9457 problem details."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    task_status: str | None = None  #: with 409: where the task is
    errors: list[str] = []  #: the faults of `detail` one by one, if there are several


def task_view(task: Task) -> TaskView:
    """A task as the API shows it."""
    spec, error, progress = task.spec, task.error, task.progress
    waits = task.status in ("SCHEDULED", "RETRYING")
    return TaskView(
        task_id=spec.id,
        name=spec.name,
        queue=spec.queue,
        priority=spec.priority,
        status=task.status.value,
        attempt=task.attempt_shown,
        failures=task.failures,
        max_retries=spec.max_retries,
        submitted_at=to_rfc3339(task.submitted_at),
        run_at=_time(spec.run_at),
        next_attempt_at=_time(task.due_at) if waits else None,
        expires_at=_time(task.expires_at),
        started_at=_time(task.started_at),
        finished_at=_time(task.finished_at),
        timeout_seconds=spec.timeout_seconds,
        worker_id=task.worker_id,
        cancel_requested=task.cancel_requested,
        in_dlq=task.in_dlq,
        idempotency_key=spec.idempotency_key,
        tags=list(spec.tags),
        error=ErrorView(error.type, error.message, error.traceback) if error else None,
        progress=ProgressView(progress.fraction, progress.message) if progress else None,
    )


def result_view(
    task_id: str, status: Status, error: TaskError | None, result: bytes | None
) -> ResultView:
    """How a task ended; `result` is its JSON as stored, None if it has none."""
    told = error if status in TERMINAL else None
    return ResultView(
        task_id,
        status.value,
        Raw(result) if result is not None else None,
        ErrorView(told.type, told.message, told.traceback) if told else None,
    )


def timeline_view(task: Task, events: list[TimelineEvent]) -> list[TimelineView]:
    """A task's life in order: what its row tells of the ends, what was noted in between."""
    views = [TimelineView(to_rfc3339(task.submitted_at), "submitted", 0)]
    for event in events:
        message = f"{event.error_type}: {event.message}" if event.error_type else event.message
        views.append(
            TimelineView(
                to_rfc3339(event.at), event.kind, event.attempt, event.worker_id,
                event.duration_seconds, message,
            )
        )  # fmt: skip
    if task.claimed_at is not None and task.status.value in ("RUNNING", "COMPLETED"):
        views.append(
            TimelineView(to_rfc3339(task.claimed_at), "claimed", task.attempt_shown, task.worker_id)
        )
    if task.started_at is not None and task.status.value == "COMPLETED":
        started = to_rfc3339(task.started_at)
        views.append(TimelineView(started, "started", task.attempt_shown, task.worker_id))
    if task.finished_at is not None:
        kind = task.status.value.lower()
        if kind in ("completed", "failed"):
            views.append(
                TimelineView(to_rfc3339(task.finished_at), kind, task.attempt_shown, task.worker_id)
            )
    return sorted(views, key=lambda view: view.at)


def _time(seconds: float | None) -> str | None:
    return to_rfc3339(seconds) if seconds is not None else None
