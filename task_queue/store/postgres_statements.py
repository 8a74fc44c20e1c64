"""The changes of one turn as statements of PostgreSQL, one for each kind of change, not of row."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from task_queue.core.effects import Changes
from task_queue.core.task import Task
from task_queue.store.placement import NO_RESULT, Placement, placement_of
from task_queue.store.postgres_column import Column, Kind
from task_queue.store.postgres_pipeline import Statement
from task_queue.store.postgres_text import joined, stored, stored_or_none
from task_queue.store.task_row import (
    FIXED,
    MOVING,
    fixed_columns,
    moving_columns,
)

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


def _insert(table: str, columns: Sequence[str], ending: str = "") -> str:
    # Not `FROM unnest(...)`, which first writes each array into a table of its own: a tenth dearer.
    arrays = ", ".join(["unnest(%s)"] * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {arrays} {ending}"


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

_PAGE_IN = "DELETE FROM paged_out WHERE queue = %s AND priority = %s AND seq BETWEEN %s AND %s"

_encode = msgspec.msgpack.Encoder().encode


def statements_of(changes: Changes) -> Iterator[Statement]:
    """All that saves them, in order, each with its values."""
    yield from _tasks(changes)
    yield from _attempts(changes)
    yield from _others(changes)


def _tasks(changes: Changes) -> Iterator[Statement]:
    if changes.inserted:
        rows = [(*_fixed(task), task.spec.arguments) for task in changes.inserted]
        yield _INSERT_TASKS, _columns((*_FIXED_KINDS, "bytea"), rows)
    placed = placement_of(changes)
    if placed.waiting:
        yield _insert("waiting", ("seq",)), (Column("bigint", placed.waiting),)
    if placed.not_waiting:
        yield _delete_from("waiting", placed.not_waiting)
    if placed.not_leased:
        yield _delete_from("leased", placed.not_leased)
    if placed.leased:
        rows = [
            (t.seq, t.attempt, stored_or_none(t.worker_id), t.claimed_at) for t in placed.leased
        ]
        yield _INSERT_LEASED, _columns(("bigint", "integer", "text", "double precision"), rows)
    yield from _paging(changes)
    yield from _ended(placed)


def _paging(changes: Changes) -> Iterator[Statement]:
    if changes.paged_out:
        rows = [(stored(t.spec.queue), t.spec.priority, t.seq) for t in changes.paged_out]
        sql = _insert("paged_out", ("queue", "priority", "seq"))
        yield sql, _columns(("text", "integer", "bigint"), rows)
    for queue, *line in changes.paged_in:
        yield _PAGE_IN, (stored(queue), *line)


def _ended(placed: Placement) -> Iterator[Statement]:
    result_of = placed.results.get
    if placed.completed:
        yield _delete_from("states", [task.seq for task in placed.completed])
        rows = [
            (t.seq, t.attempt, stored_or_none(t.worker_id), t.claimed_at, t.started_at,
             t.finished_at, *result_of(t.seq, NO_RESULT)) for t in placed.completed
        ]  # fmt: skip
        yield _INSERT_COMPLETED, _columns((*_COMPLETED_KINDS, *_RESULT_KINDS), rows)
    if placed.states:
        rows = [(t.seq, *_moving(t), *result_of(t.seq, NO_RESULT)) for t in placed.states]
        yield _INSERT_STATES, _columns(("bigint", *_MOVING_KINDS, *_RESULT_KINDS), rows)


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
        yield "DELETE FROM queues WHERE NOT paused", ()
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
