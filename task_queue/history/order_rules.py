"""The promises about tasks beside each other: keys, priorities, first in first out.

Why orders have bounds. The queue claims tasks strictly in order. A worker that holds a claimed task
starts it when a slot is free, so tasks that other workers hold may start before it: no more than
the leases that all workers hold together (slots and read-ahead), while nothing fails. A worker that
is silent keeps what it holds until its lease is over, so under faults a task may besides be
overtaken by any number of others for as long as that. Only first attempts are compared: a task
that is tried again waits for its back-off.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping

from msgspec import Struct

from task_queue.history.bounds import Bounds
from task_queue.history.life import Life
from task_queue.history.life_rules import Finding
from task_queue.history.record import Record


class FirstStart(Struct, frozen=True):
    """A task that was accepted and whose first attempt began."""

    sent: Record
    accepted: Record
    started: Record


def duplicate_key(lives: Mapping[str, Life]) -> Iterator[Finding]:
    """One idempotency key, one task, as long as the task is kept."""
    owners: dict[str, Record] = {}
    for life in lives.values():
        for place, record in life.accepted:
            if record.key:
                owner = owners.setdefault(record.key, record)
                was_pruned = any(at < place for at, _ in lives[owner.task_id].pruned)
                if owner.task_id != record.task_id and not was_pruned:
                    yield f"key '{record.key}' has two tasks", [owner, record]


def priority_inverted(lives: Mapping[str, Life], bounds: Bounds) -> Iterator[Finding]:
    """A task waits behind no more than `read_ahead` starts of lower priority in its queue."""
    for starts in _by_queue(lives).values():
        times = [start.started.at for start in starts]
        for task in starts:
            passed = [
                other for other in _between(starts, times, task, bounds)
                if other.sent.priority < task.sent.priority
            ]  # fmt: skip
            if len(passed) > bounds.read_ahead:
                yield _overtaken(task, passed, "of lower priority")


def fifo_inverted(lives: Mapping[str, Life], bounds: Bounds) -> Iterator[Finding]:
    """A task is overtaken by no more than `read_ahead` that were submitted after it was accepted,
    in its queue and of its priority."""
    for starts in _by_queue(lives).values():
        times = [start.started.at for start in starts]
        for task in starts:
            passed = [
                other for other in _between(starts, times, task, bounds)
                if other.sent.priority == task.sent.priority and other.sent.at > task.accepted.at
            ]  # fmt: skip
            if len(passed) > bounds.read_ahead:
                yield _overtaken(task, passed, "that were submitted later")


def _by_queue(lives: Mapping[str, Life]) -> dict[str, list[FirstStart]]:
    """First attempts of tasks that were ready when they were accepted, in the order of start."""
    queues: dict[str, list[FirstStart]] = defaultdict(list)
    for life in lives.values():
        if not (life.sent and life.accepted and life.started) or life.reruns:
            continue  # one that runs again has another place in line
        sent, accepted, started = life.sent[0][1], life.accepted[0][1], life.started[0][1]
        if started.attempt == 1 and not sent.delayed:
            queues[sent.queue].append(FirstStart(sent, accepted, started))
    for starts in queues.values():
        starts.sort(key=lambda start: start.started.at)
    return queues


def _between(
    starts: list[FirstStart], times: list[float], task: FirstStart, bounds: Bounds
) -> list[FirstStart]:
    """What started after `task` was accepted and long enough before it started itself."""
    last = bisect_right(times, task.started.at - bounds.held_seconds)
    chosen = starts[bisect_right(times, task.accepted.at) : last]
    return [start for start in chosen if start.started.at < task.started.at]


def _overtaken(task: FirstStart, passed: list[FirstStart], which: str) -> Finding:
    proof = [task.accepted, *(other.started for other in passed), task.started]
    return f"{task.sent.task_id} started after {len(passed)} {which}", proof
