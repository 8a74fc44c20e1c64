"""Accepted tasks as rows of the SQLite file.

Tasks of one call are often the same but for their ids. One statement for all of them takes half of
what a statement for each takes, most of it in making and binding the same values again and again.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import apsw
from msgspec.structs import astuple

from task_queue.core.task import Task, TaskSpec
from task_queue.store.task_row import FIXED, fixed_columns

_COLUMNS = (*FIXED, "arguments")
_INSERT = f"INSERT INTO tasks ({', '.join(_COLUMNS)})"
_ONE = f"{_INSERT} VALUES ({', '.join('?' * len(_COLUMNS))})"
_ALIKE = f"{_INSERT} SELECT ? + rowid, value, {', '.join('?' * (len(_COLUMNS) - 2))} FROM carray(?)"
#: Fewer are written one by one.
_FEW = 8
#: Longer arguments are kept apart from their task's row.
_SHORT_ARGUMENTS_BYTES = 256

assert TaskSpec.__struct_fields__[0] == "id"  # `_alike` leaves it out


def insert_tasks(connection: apsw.Connection, tasks: Sequence[Task]) -> None:
    """Write what was asked for, inside a transaction."""
    one_by_one: list[Task] = []
    long: list[Task] = []
    for alike in _alike(tasks):
        ids = tuple([task.spec.id for task in alike])
        if not _is_short(alike[0].spec.arguments):
            long += alike
        # An array of texts is one of C: each ends at its first U+0000.
        if len(alike) < _FEW or "\0" in "".join(ids) or not _came_together(alike):
            one_by_one += alike
            continue
        seq, _, *fixed = _row(alike[0])
        connection.execute(_ALIKE, (seq - 1, *fixed, apsw.carray(ids)))
    connection.executemany(_ONE, map(_row, one_by_one))
    connection.executemany(
        "INSERT INTO arguments VALUES (?, ?)", ((t.seq, t.spec.arguments) for t in long)
    )


def _alike(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Parts of the tasks, in order, that differ in nothing but their ids."""
    begin = 0
    for _, alike in groupby([astuple(task.spec)[1:] for task in tasks]):
        end = begin + len(list(alike))
        yield list(tasks[begin:end])
        begin = end


def _came_together(tasks: Sequence[Task]) -> bool:
    first = tasks[0]
    seqs = [task.seq for task in tasks]
    times = [task.submitted_at for task in tasks]
    return seqs == list(range(first.seq, first.seq + len(tasks))) and (
        times.count(first.submitted_at) == len(times)
    )


def _row(task: Task) -> tuple[Any, ...]:
    arguments = task.spec.arguments
    return *fixed_columns(task), arguments if _is_short(arguments) else None


def _is_short(arguments: bytes) -> bool:
    return len(arguments) <= _SHORT_ARGUMENTS_BYTES
