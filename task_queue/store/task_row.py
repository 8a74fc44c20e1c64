"""A task as rows of the durable stores, and back.

What was asked for is one row, written once. Where the task stands is another; its columns are
written together, in one order, whichever of them a turn changed: one statement serves every move a
task can make.
"""

import json
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import astuple

from task_queue.core.status import Status
from task_queue.core.task import Progress, Task, TaskError, TaskSpec

FIXED = (
    "seq", "id", "name", "queue", "priority", "submitted_at", "idempotency_key", "tags", "options",
)  # fmt: skip
#: Of FIXED, what the tasks of one line do not have in common by what a line is.
OF_LINE = tuple(column for column in FIXED if column not in ("queue", "priority"))
MOVING = (
    "status", "attempt", "failures", "deaths", "due_at", "expires_at", "worker_id", "claimed_at",
    "started_at", "finished_at", "cancel_requested", "in_dlq", "error_type", "error_message",
    "error_traceback", "progress", "unstarted",
)  # fmt: skip


_SEQ, _SUBMITTED_AT = FIXED.index("seq"), FIXED.index("submitted_at")


class RowOptions(msgspec.Struct, gc=False, array_like=True):
    """The part of a spec that no query looks at."""

    max_retries: int
    retry_base_seconds: float
    retry_cap_seconds: float
    timeout_seconds: float | None
    run_at: float | None
    expires_at: float | None
    result_ttl_seconds: float
    traceparent: str | None
    request_id: str | None


#: The values of RowOptions, of a spec.
options_of = attrgetter(*RowOptions.__struct_fields__)
_encode = msgspec.msgpack.Encoder().encode
#: The column `options`, of such values: a tuple is written as a RowOptions is, and made sooner.
encode_options: Callable[[tuple[Any, ...]], bytes] = _encode
_decode_options = msgspec.msgpack.Decoder(RowOptions).decode
_decode_progress = msgspec.msgpack.Decoder(Progress).decode


def fixed_columns(task: Task) -> tuple[Any, ...]:
    """The values of FIXED."""
    s = task.spec
    tags = json.dumps(s.tags) if s.tags else None
    return (
        task.seq, s.id, s.name, s.queue, s.priority, task.submitted_at, s.idempotency_key, tags,
        encode_options(options_of(s)),
    )  # fmt: skip


def moving_columns(task: Task) -> tuple[Any, ...]:
    """The values of MOVING."""
    error = task.error
    return (
        task.status.value, task.attempt, task.failures, task.deaths, task.due_at, task.expires_at,
        task.worker_id, task.claimed_at, task.started_at, task.finished_at, task.cancel_requested,
        task.in_dlq,
        error.type if error else None,
        error.message if error else None,
        error.traceback if error else None,
        _encode(task.progress) if task.progress is not None else None,
        task.unstarted,
    )  # fmt: skip


def task_of(row: tuple[Any, ...], arguments: bytes = b"") -> Task:
    """The task of a row that holds FIXED and then MOVING."""
    spec = _spec_of(row[: len(FIXED)], arguments)
    (status, attempt, failures, deaths, due_at, expires_at, worker_id, claimed_at, started_at,
     finished_at, cancel_requested, in_dlq, error_type, error_message, error_traceback,
     progress, unstarted) = row[len(FIXED) :]  # fmt: skip
    error = None
    if error_type is not None:
        error = TaskError(error_type, error_message, error_traceback)
    return Task(
        spec, row[_SEQ], row[_SUBMITTED_AT], Status(status), attempt, failures, deaths, due_at,
        expires_at, worker_id, claimed_at, started_at, finished_at, bool(cancel_requested),
        bool(in_dlq), error,
        _decode_progress(progress) if progress is not None else None, unstarted,
    )  # fmt: skip


def waiting_tasks_of(
    queue: str, priority: int, rows: Iterable[tuple[Any, ...]], most_bytes: int
) -> list[Task]:
    """The tasks of rows that hold the arguments and OF_LINE: they wait, as they were accepted.

    Args:
        most_bytes: of arguments; the row that goes beyond it ends it, unless it is the first.
    """
    tasks: list[Task] = []
    last_name, last_arguments, last_options = "", b"", b""
    more: tuple[Any, ...] = ()
    for arguments, seq, task_id, name, submitted_at, key, tags, options in rows:
        most_bytes -= len(arguments)
        if most_bytes < 0 and tasks:
            break
        # Most are like the one before, and what is equal need be in memory once.
        last_name = last_name if name == last_name else name
        last_arguments = last_arguments if arguments == last_arguments else arguments
        if options != last_options:
            more, last_options = astuple(_decode_options(options)), options
        retries, base, cap, timeout, run_at, expires_at, ttl, traceparent, request_id = more
        spec = TaskSpec(
            task_id, last_name, queue, priority, last_arguments, retries, base, cap, timeout,
            run_at, expires_at, ttl, key, tuple(json.loads(tags)) if tags else (), traceparent,
            request_id,
        )  # fmt: skip
        tasks.append(Task(spec, seq, submitted_at))
    return tasks


def _spec_of(fixed: tuple[Any, ...], arguments: bytes) -> TaskSpec:
    _, task_id, name, queue, priority, _, key, tags, options = fixed
    o = _decode_options(options)
    return TaskSpec(
        task_id, name, queue, priority, arguments, o.max_retries, o.retry_base_seconds,
        o.retry_cap_seconds, o.timeout_seconds, o.run_at, o.expires_at, o.result_ttl_seconds, key,
        tuple(json.loads(tags)) if tags else (), o.traceparent, o.request_id,
    )  # fmt: skip
