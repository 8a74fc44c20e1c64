"""The changes of one turn as statements of PostgreSQL, one for each kind of change, not of row."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.postgres_column import Column, Kind
from task_queue.store.postgres_text import joined, stored, stored_or_none
from task_queue.store.task_row import (
    FIXED,
    MOVING,
    fixed_columns,
    has_simply_completed,
    is_plain,
    moving_columns,
)

Statement = tuple[str, tuple[Any, ...]]

_FIXED_KINDS: tuple[Kind, ...] = (
    "bigint", "text", "text", "text", "integer", "double precision", "text", "text", "bytea",
)  # fmt: skip
_MOVING_KINDS: tuple[Kind, ...] = (
    "text", "integer", "integer", "integer", "double precision", "double precision", "text",
    "double precision", "double precision", "double precision", "boolean", "boolean", "text",
    "text", "text", "bytea", "integer",
)  # fmt: skip
_RESULT_KINDS: tuple[Kind, ...] = ("double precision", "bytea")
_COMPLETED_KINDS: tuple[Kind, ...] = (
    "bigint", "integer", "text", "double precision", "double precision", "double precision",
)  # fmt: skip
_NO_RESULT = (None, None)


def _insert(table: str, columns: Sequence[str], ending: str = "") -> str:
    arrays = ", ".join(["%s"] * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) {ending}"


_STATE = ("seq", *MOVING, "result_until", "result")
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in _STATE[1:])
_INSERT_TASKS = _insert("tasks", (*FIXED, "arguments"))
_INSERT_STATES = _insert("states", _STATE, f"ON CONFLICT (seq) DO UPDATE SET {_REPLACE}")
_INSERT_LEASED = _insert("leased", ("seq", "attempt", "worker_id", "claimed_at"))
_INSERT_COMPLETED = _insert(
    "completed",
    ("seq", "attempt", "worker_id", "claimed_at", "started_at", "finished_at", "result_until",
     "result"),
)  # fmt: skip

_encode = msgspec.msgpack.Encoder().encode


def statements_of(changes: Changes) -> Iterator[Statement]:
    """All that saves them, in order, each with its values."""
    yield from _accepted(changes)
    yield from _moved(changes)
    yield from _attempts(changes)
    yield from _others(changes)


def _accepted(changes: Changes) -> Iterator[Statement]:
    inserted, touched, leased = changes.inserted, changes.touched, changes.leased
    if inserted:
        rows = [(*_fixed(task), task.spec.arguments) for task in inserted]
        yield _INSERT_TASKS, _columns((*_FIXED_KINDS, "bytea"), rows)
    waiting = [task.seq for task in inserted if _is_waiting(task)]
    if waiting:
        yield _insert("waiting", ("seq",)), (Column("bigint", waiting),)
    if touched:
        yield _delete_from("waiting", list(touched))
    over = [seq for seq in touched if seq not in leased]
    if over:
        yield _delete_from("leased", over)


def _moved(changes: Changes) -> Iterator[Statement]:
    inserted, touched, leased = changes.inserted, changes.touched, changes.leased
    simply = [task for task in leased.values() if task.seq in touched or is_plain(task)]
    if simply:
        rows = [(t.seq, t.attempt, stored_or_none(t.worker_id), t.claimed_at) for t in simply]
        yield _INSERT_LEASED, _columns(("bigint", "integer", "text", "double precision"), rows)
    told = [t for t in inserted if not (_is_waiting(t) or (t.seq in leased and is_plain(t)))]
    told += [task for seq, task in touched.items() if seq not in leased]
    results = _results(changes)
    completed = [task for task in told if has_simply_completed(task)]
    if completed:
        yield _delete_from("states", [task.seq for task in completed])
        rows = [
            (t.seq, t.attempt, stored_or_none(t.worker_id), t.claimed_at, t.started_at,
             t.finished_at, *results.get(t.seq, _NO_RESULT)) for t in completed
        ]  # fmt: skip
        yield _INSERT_COMPLETED, _columns((*_COMPLETED_KINDS, *_RESULT_KINDS), rows)
    others = [
        (t.seq, *_moving(t), *results.get(t.seq, _NO_RESULT))
        for t in told
        if not has_simply_completed(t)
    ]
    if others:
        yield _INSERT_STATES, _columns(("bigint", *_MOVING_KINDS, *_RESULT_KINDS), others)


def _attempts(changes: Changes) -> Iterator[Statement]:
    logs = {
        (task.seq, task.attempt_shown): stored(report.logs)
        for task, report in changes.ended
        if report.logs
    }
    if logs:
        sql = _insert(
            "logs", ("seq", "attempt", "text"),
            "ON CONFLICT (seq, attempt) DO UPDATE SET text = excluded.text",
        )  # fmt: skip
        rows = [(*key, text) for key, text in logs.items()]
        yield sql, _columns(("bigint", "integer", "text"), rows)
    if changes.timeline:
        events = [(event.seq, _encode(event)) for event in changes.timeline]
        yield _insert("timeline", ("seq", "event")), _columns(("bigint", "bytea"), events)
    if changes.tallies:
        sql = _insert(
            "tallies", ("queue", "name", "kind", "count"),
            "ON CONFLICT (queue, name, kind) DO UPDATE SET count = tallies.count + excluded.count",
        )  # fmt: skip
        counts = [(stored(q), stored(n), kind, c) for (q, n, kind), c in changes.tallies.items()]
        yield sql, _columns(("text", "text", "text", "bigint"), counts)


def _others(changes: Changes) -> Iterator[Statement]:
    if changes.requests:
        answers = list(changes.requests.items())
        yield _insert("requests", ("id", "count")), _columns(("text", "integer"), answers)
    if changes.queues:
        sql = _insert(
            "queues", ("queue", "paused"),
            "ON CONFLICT (queue) DO UPDATE SET paused = excluded.paused",
        )  # fmt: skip
        paused = [(stored(queue), paused) for queue, paused in changes.queues.items()]
        yield sql, _columns(("text", "boolean"), paused)
    if changes.workers:
        sql = _insert(
            "workers", ("worker_id", "info", "ended"),
            "ON CONFLICT (worker_id) DO UPDATE SET info = excluded.info, ended = excluded.ended",
        )  # fmt: skip
        workers = [
            (stored(worker_id), _encode(info), info.ended_at is not None)
            for worker_id, info in changes.workers.items()
        ]
        yield sql, _columns(("text", "bytea", "boolean"), workers)
    deleted = [stored(i) for i, schedule in changes.schedules.items() if schedule is None]
    if deleted:
        yield "DELETE FROM schedules WHERE id = ANY (%s)", (Column("text", deleted),)
    kept = [(stored(i), _encode(s)) for i, s in changes.schedules.items() if s is not None]
    if kept:
        sql = _insert(
            "schedules", ("id", "schedule"),
            "ON CONFLICT (id) DO UPDATE SET schedule = excluded.schedule",
        )  # fmt: skip
        yield sql, _columns(("text", "bytea"), kept)


def _columns(kinds: tuple[Kind, ...], rows: list[tuple[Any, ...]]) -> tuple[Column, ...]:
    return tuple(map(Column, kinds, zip(*rows, strict=True)))


def _delete_from(table: str, seqs: list[int]) -> Statement:
    return f"DELETE FROM {table} WHERE seq = ANY (%s)", (Column("bigint", seqs),)


def _fixed(task: Task) -> tuple[Any, ...]:
    """The values of FIXED, as they are stored here."""
    seq, task_id, name, queue, priority, submitted_at, key, _, options = fixed_columns(task)
    return (
        seq, stored(task_id), stored(name), stored(queue), priority, submitted_at,
        stored_or_none(key), joined(task.spec.tags), options,
    )  # fmt: skip


def _moving(task: Task) -> tuple[Any, ...]:
    """The values of MOVING, as they are stored here."""
    return tuple(stored(v) if isinstance(v, str) else v for v in moving_columns(task))


def _is_waiting(task: Task) -> bool:
    """Whether a new task is told of by a row in `waiting`."""
    return (
        task.status is Status.QUEUED
        and not (task.attempt or task.worker_id or task.claimed_at)
        and is_plain(task)
    )


def _results(changes: Changes) -> dict[int, tuple[float, bytes]]:
    """Until when it is kept, and the result, of the tasks that have one, by seq."""
    return {
        task.seq: (task.finished_at + task.spec.result_ttl_seconds, report.result)
        for task, report in changes.ended
        if report.result is not None and task.finished_at is not None
    }
