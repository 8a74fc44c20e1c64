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
    completed: list[Task]
    states: list[Task]
    not_in_states: list[int]  #: seqs to be removed
    #: By seq: until when the result is kept, and the result.
    results: dict[int, tuple[float, bytes]]


class Placements:
    """Where the tasks of each turn stand, for one writer.

    It remembers which tasks have a row in `leased` and in no other of these tables: when such a
    task ends, nothing is to be looked for elsewhere. Of others, after a start or a commit that
    failed, all tables are looked at.
    """

    def __init__(self) -> None:
        self._only_leased: set[int] = set()

    def forget(self) -> None:
        """What was placed last was not saved, or another writer may have been there since."""
        self._only_leased.clear()

    def of(self, changes: Changes) -> Placement:
        """Where the tasks of a turn stand after it."""
        touched, leased = changes.touched, changes.leased
        waiting: list[int] = []
        told: list[Task] = []
        for task in changes.inserted:
            if _is_waiting(task):
                waiting.append(task.seq)
            elif not (task.seq in leased and _is_plain(task)):
                told.append(task)
        not_leased = [seq for seq in touched if seq not in leased] if leased else list(touched)
        told += map(touched.__getitem__, not_leased)
        completed = [task for task in told if _has_simply_completed(task)]
        states: list[Task] = []
        if len(completed) < len(told):
            states = [task for task in told if not _has_simply_completed(task)]
        plain = {seq for seq, task in leased.items() if _is_plain(task)}
        known = self._only_leased
        placed = Placement(
            waiting=waiting,
            not_waiting=[seq for seq in touched if seq not in known],
            leased=[task for seq, task in leased.items() if seq in touched or seq in plain],
            not_leased=not_leased,
            completed=completed,
            states=states,
            not_in_states=[*plain, *[task.seq for task in completed if task.seq not in known]],
            results=_results(changes) if told else {},
        )
        known.difference_update(touched)
        known.update(plain)
        return placed


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
