"""Which table tells where a task stands, for each task of a turn: the same in every database.

The tables are described in sql/sqlite_schema.sql.
"""

from typing import NamedTuple

from task_queue.core.effects import Changes
from task_queue.core.status import Status
from task_queue.core.task import Task

#: Of a task without a result, or whose result is not kept.
NO_RESULT = (None, None)


class Placement(NamedTuple):
    """The rows of one turn, by table."""

    waiting: list[int]  #: seqs to be added
    not_waiting: list[int]  #: seqs to be removed
    leased: list[Task]
    not_leased: list[int]  #: seqs to be removed
    completed: list[Task]  #: in `states` they are no more
    states: list[Task]
    #: By seq: until when the result is kept, and the result.
    results: dict[int, tuple[float, bytes]]


def placement_of(changes: Changes) -> Placement:
    """Where the tasks of a turn stand after it."""
    touched, leased = changes.touched, changes.leased
    waiting: list[int] = []
    completed: list[Task] = []
    states: list[Task] = []
    told: list[Task] = []
    for task in changes.inserted:
        if _is_waiting(task):
            waiting.append(task.seq)
        elif not (task.seq in leased and _is_plain(task)):
            told.append(task)
    not_leased = [seq for seq in touched if seq not in leased]
    told += [touched[seq] for seq in not_leased]
    for task in told:
        (completed if _has_simply_completed(task) else states).append(task)
    simply = [task for task in leased.values() if task.seq in touched or _is_plain(task)]
    results = _results(changes) if told else {}
    return Placement(waiting, list(touched), simply, not_leased, completed, states, results)


def _is_waiting(task: Task) -> bool:
    """Whether a new task is told of by a row in `waiting`."""
    return (
        task.status is Status.QUEUED
        and not (task.attempt or task.worker_id or task.claimed_at)
        and _is_plain(task)
    )


def _is_plain(task: Task) -> bool:
    """Whether nothing is to be told of a task but that it was accepted, or was and is leased."""
    return not (
        task.unstarted or task.failures or task.deaths or task.due_at or task.expires_at
        or task.started_at or task.finished_at or task.cancel_requested or task.in_dlq
        or task.error or task.progress
    )  # fmt: skip


def _has_simply_completed(task: Task) -> bool:
    """Whether nothing is to be told of a task but when and where it completed."""
    return task.status is Status.COMPLETED and not (
        task.unstarted or task.failures or task.deaths or task.due_at or task.expires_at
        or task.cancel_requested or task.in_dlq or task.error or task.progress
    )  # fmt: skip


def _results(changes: Changes) -> dict[int, tuple[float, bytes]]:
    return {
        task.seq: (task.finished_at + task.spec.result_ttl_seconds, report.result)
        for task, report in changes.ended
        if report.result is not None and task.finished_at is not None
    }
