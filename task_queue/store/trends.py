"""From ended tasks to trends: the one computation that all stores share.

A store selects the tasks that ended in the window; counting and percentiles are done here, so that
two stores cannot disagree about what a percentile is (nearest rank: the smallest value that is not
below p per cent of the values).
"""

import math
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from task_queue.core.status import Status
from task_queue.core.task import Task
from task_queue.store.query import Bucket, FailurePattern, Trends


class EndedTask(Struct, gc=False):
    """What trends need to know of a task that is over."""

    task_id: str
    name: str
    status: Status
    submitted_at: float
    started_at: float | None
    finished_at: float
    error_type: str
    error_message: str

    @classmethod
    def of(cls, task: Task) -> "EndedTask":
        """From a task that has a `finished_at`."""
        error = task.error
        assert task.finished_at is not None
        return cls(
            task.spec.id, task.spec.name, task.status, task.submitted_at, task.started_at,
            task.finished_at, error.type if error else "", error.message if error else "",
        )  # fmt: skip


def trends_of(
    ended: Iterable[EndedTask], since: float, until: float, bucket_seconds: float
) -> Trends:
    """Buckets of `bucket_seconds` from `since` to `until`, empty ones included, and failures."""
    tasks = list(ended)
    slices: list[list[EndedTask]] = [
        [] for _ in range(max(1, math.ceil((until - since) / bucket_seconds)))
    ]
    for task in tasks:
        slices[int((task.finished_at - since) // bucket_seconds)].append(task)
    buckets = [_bucket(since + i * bucket_seconds, part) for i, part in enumerate(slices)]
    return Trends(buckets, _failures(tasks))


def _bucket(start: float, tasks: list[EndedTask]) -> Bucket:
    completed = [t for t in tasks if t.status is Status.COMPLETED]
    failed = sum(t.status is Status.FAILED for t in tasks)
    started = [(t, t.started_at) for t in completed if t.started_at is not None]
    waits = sorted(max(0.0, at - t.submitted_at) for t, at in started)
    runs = sorted(max(0.0, t.finished_at - at) for t, at in started)
    return Bucket(
        start, len(completed), failed, len(tasks) - len(completed) - failed,
        percentile(waits, 50), percentile(runs, 50), percentile(runs, 95), percentile(runs, 99),
    )  # fmt: skip


def percentile(ordered: list[float], percent: float) -> float | None:
    """Nearest-rank percentile of an ascending list; None of an empty one."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _failures(tasks: list[EndedTask]) -> list[FailurePattern]:
    groups: dict[tuple[str, str], list[EndedTask]] = {}
    for task in tasks:
        if task.status is Status.FAILED:
            groups.setdefault((task.name, task.error_type), []).append(task)
    patterns = []
    for (name, error_type), group in groups.items():
        last = max(group, key=lambda t: t.finished_at)
        patterns.append(
            FailurePattern(
                name, error_type, len(group), last.finished_at, last.error_message, last.task_id
            )
        )
    return most_frequent(patterns)


def most_frequent(patterns: Iterable[FailurePattern]) -> list[FailurePattern]:
    """One pattern for each task and type of error, whatever the slices; most frequent first."""
    sums: dict[tuple[str, str], FailurePattern] = {}
    for pattern in patterns:
        key = pattern.name, pattern.error_type
        other = sums.get(key, pattern)
        last = max(other, pattern, key=lambda p: p.last_at)
        count = pattern.count if other is pattern else other.count + pattern.count
        sums[key] = msgspec.structs.replace(last, count=count)
    return sorted(sums.values(), key=lambda p: (-p.count, p.name, p.error_type))
