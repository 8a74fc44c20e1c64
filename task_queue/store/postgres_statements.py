"""The changes of one turn as statements of PostgreSQL, one for each kind of change, not of row."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from task_queue.core.effects import Changes
from task_queue.core.task import Task
from task_queue.store.placement import NO_RESULT, Placement, Placements
from task_queue.store.postgres_column import Column, Kind
from task_queue.store.postgres_paging import paging_statements
from task_queue.store.postgres_pipeline import Statement
from task_queue.store.postgres_text import joined, stored, stored_or_none
from task_queue.store.seq_ranges import ranges_of
from task_queue.store.task_row import MOVING, encode_options, moving_columns, options_of

_MOVING_KINDS: tuple[Kind, ...] = (
    "text", "integer", "integer", "integer", "double precision", "double precision", "text",
    "double precision", "double precision", "double precision", "boolean", "boolean", "text",
    "text", "text", "bytea", "integer",
)  # fmt: skip
_RESULT_KINDS: tuple[Kind, ...] = ("double precision", "bytea")
#: More ranges than these are deleted row by row.
_FEW_RANGES = 4


def _insert(table: str, columns: Sequence[str], ending: str = "") -> str:
    # Not `FROM unnest(...)`, which first writes each array into a table of its own: a tenth dearer.
    arrays = ", ".join(["unnest(%s)"] * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {arrays} {ending}"


_STATE = ("seq", *MOVING, "result_until", "result")
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in _STATE[1:])
_INSERT_STATES = _insert("states", _STATE, f"ON CONFLICT (seq) DO UPDATE SET {_REPLACE}")


class _Told(NamedTuple):
    """One column of new rows."""

    name: str
    kind: Kind
    values: list[Any]
    as_stored: Callable[[Any], Any] | None = None


_encode = msgspec.msgpack.Encoder().encode


def statements_of(changes: Changes, placements: Placements) -> Iterator[Statement]:
    """All that saves them, in order, each with its values."""
    yield from _tasks(changes, placements.of(changes))
    yield from _attempts(changes)
    yield from _others(changes)


def _tasks(changes: Changes, placed: Placement) -> Iterator[Statement]:
    if changes.inserted:
        yield _insert_told("tasks", _told_of_new(changes.inserted))
    if placed.waiting:
        yield _insert("waiting", ("seq",)), (Column("bigint", placed.waiting),)
    yield from _delete_from("waiting", placed.not_waiting)
    yield from _delete_from("leased", placed.not_leased)
    if placed.leased:
        yield _insert_told("leased", _told_of_leased(placed.leased))
    yield from paging_statements(changes)
    yield from _ended(placed)


def _ended(placed: Placement) -> Iterator[Statement]:
    result_of = placed.results.get
    yield from _delete_from("states", placed.not_in_states)
    if placed.completed:
        yield _insert_told("completed", _told_of_completed(placed))
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


def _insert_told(table: str, columns: Sequence[_Told]) -> Statement:
    """New rows, of which the first column differs. What is the same in all of them is sent once,
    which saves a third of the work at both ends where a batch is of one task."""
    parts, values = [], []
    for _, kind, told, as_stored in columns:
        first = told[0]
        if first == told[-1] and told.count(first) == len(told):
            parts.append(f"%s::{kind}")
            values.append(as_stored(first) if as_stored else first)
        else:
            parts.append("unnest(%s)")
            values.append(Column(kind, list(map(as_stored, told)) if as_stored else told))
    names = ", ".join(column.name for column in columns)
    return f"INSERT INTO {table} ({names}) SELECT {', '.join(parts)}", tuple(values)


def _told_of_new(tasks: Sequence[Task]) -> tuple[_Told, ...]:
    specs = [task.spec for task in tasks]
    return (
        _Told("seq", "bigint", [task.seq for task in tasks]),
        _Told("id", "text", [spec.id for spec in specs], stored),
        _Told("name", "text", [spec.name for spec in specs], stored),
        _Told("queue", "text", [spec.queue for spec in specs], stored),
        _Told("priority", "integer", [spec.priority for spec in specs]),
        _Told("submitted_at", "double precision", [task.submitted_at for task in tasks]),
        _Told("idempotency_key", "text", [s.idempotency_key for s in specs], stored_or_none),
        _Told("tags", "text", [spec.tags for spec in specs], joined),
        _Told("options", "bytea", list(map(options_of, specs)), encode_options),
        _Told("arguments", "bytea", [spec.arguments for spec in specs]),
    )


def _told_of_leased(tasks: Sequence[Task]) -> tuple[_Told, ...]:
    return (
        _Told("seq", "bigint", [task.seq for task in tasks]),
        _Told("attempt", "integer", [task.attempt for task in tasks]),
        _Told("worker_id", "text", [task.worker_id for task in tasks], stored_or_none),
        _Told("claimed_at", "double precision", [task.claimed_at for task in tasks]),
    )


def _told_of_completed(placed: Placement) -> tuple[_Told, ...]:
    tasks, result_of = placed.completed, placed.results.get
    results = [result_of(task.seq, NO_RESULT) for task in tasks]
    return (
        _Told("seq", "bigint", [task.seq for task in tasks]),
        _Told("attempt", "integer", [task.attempt for task in tasks]),
        _Told("worker_id", "text", [task.worker_id for task in tasks], stored_or_none),
        _Told("claimed_at", "double precision", [task.claimed_at for task in tasks]),
        _Told("started_at", "double precision", [task.started_at for task in tasks]),
        _Told("finished_at", "double precision", [task.finished_at for task in tasks]),
        _Told("result_until", "double precision", [until for until, _ in results]),
        _Told("result", "bytea", [result for _, result in results]),
    )


def _delete_from(table: str, seqs: list[int]) -> Iterator[Statement]:
    ranges = ranges_of(seqs)
    if len(ranges) > _FEW_RANGES:
        yield f"DELETE FROM {table} WHERE seq = ANY (%s)", (Column("bigint", seqs),)
    else:  # half the price of looking each row up
        for bounds in ranges:
            yield f"DELETE FROM {table} WHERE seq BETWEEN %s AND %s", bounds


def _moving(task: Task) -> tuple[Any, ...]:
    """The values of MOVING, as they are stored here."""
    return tuple(stored(v) if isinstance(v, str) else v for v in moving_columns(task))
