"""The spans `task:wait` and `task:execute`, from committed turns: they never tell of what was not
saved, and executors that were killed and workers that were lost have theirs too.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import Event
from opentelemetry.trace import SpanKind

from monitoring.spans import Place, Spans, Told, nanoseconds
from task_queue.core.effects import Changes, Effects, TimelineEvent
from task_queue.core.status import Outcome
from task_queue.core.task import Lease, Report, Task, TaskError
from task_queue.tracing.span_ids import attempt_span_id, submit_span_id, wait_span_id
from task_queue.tracing.traceparent import is_sampled


class AttemptSpans:
    """Tells of tasks that are traced; a look at each other task is all that those cost."""

    def __init__(self, spans: Spans) -> None:
        self._spans = spans

    def take(self, fx: Effects, now: float) -> None:
        """Tell of one committed turn; `now` in seconds since the epoch."""
        changes = fx.changes
        for grant in fx.grants:
            for lease in [x for x in grant.leases if x.traceparent is not None]:
                if _is_traced(lease.traceparent):
                    self._tell_wait(lease, _claimed(lease.seq, changes), now)
        for task, report in [e for e in changes.ended if e[0].spec.traceparent is not None]:
            if _is_traced(task.spec.traceparent) and report.started_at:
                self._tell_attempt(task, report, _worker_of(task, fx))
        for event in changes.timeline:
            if event.kind == "attempt_died" and event.started_at is None:
                self._tell_lost(changes.touched[event.seq], event)

    def _tell_wait(self, lease: Lease, task: Task, now: float) -> None:
        attempt = lease.attempt - lease.unstarted
        if attempt > 1 and not task.failures + task.deaths:
            return  # it was replayed or handed back: since when it waits is not known any more
        told = Told(
            name="task:wait", begun=max(task.submitted_at, task.due_at), ended=now,
            attributes={"task.id": lease.task_id, "queue.name": lease.queue},
        )  # fmt: skip
        self._tell(task, wait_span_id(lease.task_id, attempt), told)

    def _tell_attempt(self, task: Task, report: Report, worker_id: str | None) -> None:
        ended = report.started_at + report.duration_seconds
        error = None if report.outcome is Outcome.SUCCEEDED else report.error
        attempt = report.attempt - task.unstarted
        attributes = _attributes(task, attempt, worker_id, report.duration_seconds)
        self._tell_execute(task, attempt, report.started_at, ended, attributes, error)

    def _tell_lost(self, task: Task, event: TimelineEvent) -> None:
        """Of an attempt without a report: its worker is gone."""
        if not _is_traced(task.spec.traceparent):
            return
        begun = event.at if task.claimed_at is None else min(task.claimed_at, event.at)
        attributes = _attributes(task, event.attempt, event.worker_id, event.at - begun)
        error = TaskError(event.error_type, event.message)
        self._tell_execute(task, event.attempt, begun, event.at, attributes, error)

    def _tell_execute(
        self, task: Task, attempt: int, begun: float, ended: float,
        attributes: Mapping[str, Any], error: TaskError | None,
    ) -> None:  # fmt: skip
        task_id = task.spec.id
        told = Told(
            name="task:execute", begun=begun, ended=ended, attributes=attributes,
            kind=SpanKind.CONSUMER,
            error=None if error is None else f"{error.type}: {error.message}",
            events=() if error is None else (_exception(error, ended),),
            linked=attempt_span_id(task_id, attempt - 1) if attempt > 1 else None,
        )  # fmt: skip
        self._tell(task, attempt_span_id(task_id, attempt), told)

    def _tell(self, task: Task, span_id: int, told: Told) -> None:
        trace_id = int((task.spec.traceparent or "").split("-")[1], 16)
        self._spans.tell(Place(trace_id, span_id, submit_span_id(task.spec.id)), told)


def _claimed(seq: int, changes: Changes) -> Task:
    """The task of a lease of this turn; one that was accepted in it as well is not touched."""
    for tasks in (changes.touched, changes.leased):
        if seq in tasks:
            return tasks[seq]
    return next(task for task in changes.inserted if task.seq == seq)


def _is_traced(text: str | None) -> bool:
    return text is not None and is_sampled(text)


def _attributes(
    task: Task, attempt: int, worker_id: str | None, seconds: float
) -> dict[str, str | int | float]:
    return {
        "task.id": task.spec.id,
        "task.name": task.spec.name,
        "task.status": task.status.value,
        "task.attempt": attempt,
        "queue.name": task.spec.queue,
        "worker.id": worker_id or "",
        "duration_ms": round(seconds * 1e3, 3),
    }


def _worker_of(task: Task, fx: Effects) -> str | None:
    """Who ran the attempt that ended: a task that was handed back does not tell any more."""
    if task.worker_id is not None:
        return task.worker_id
    events = (event for event in fx.changes.timeline if event.seq == task.seq)
    return next((event.worker_id for event in events if event.worker_id), None)


def _exception(error: TaskError, at: float) -> Event:
    said = {
        "exception.type": error.type,
        "exception.message": error.message,
        "exception.stacktrace": error.traceback,
    }
    return Event("exception", {k: v for k, v in said.items() if v}, nanoseconds(at))
