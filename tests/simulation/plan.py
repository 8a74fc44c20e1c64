"""How hard a simulated world is hit: chances and times, drawn from its seed."""

from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct


class Plan(Struct, frozen=True):
    """Chances are 0..1, rates are events in a virtual second, times are virtual seconds."""

    delay_seconds: float = 0.002  #: mean of the time a message takes, exponentially distributed
    loss: float = 0.0  #: of each request and of each answer
    duplicate: float = 0.0  #: of each request; the copy comes up to five seconds late
    commit_fails: float = 0.0  #: nothing is saved and the store says so
    commit_in_doubt: float = 0.0  #: all is saved and the store says that nothing was
    scheduler_crashes: float = 0.0  #: rate
    scheduler_forks: float = 0.0  #: rate; a second scheduler takes over while the first one lives
    worker_crashes: float = 0.0  #: rate
    worker_pauses: float = 0.0  #: rate; up to three leases long
    clock_jumps: float = 0.0  #: rate; from ten seconds back to a minute ahead
    queue_pauses: float = 0.0  #: rate; each takes up to four seconds, one at a time
    drains: float = 0.0  #: rate; half of them as SIGTERM, which interrupts what runs
    expires: float = 0.0  #: of a task, to have a time after which it may not begin
    schedules: int = 0
    keep_seconds: float = 0.0  #: tasks that are over are deleted later; 0: never
    attempt_fails: float = 0.0
    executor_dies: float = 0.0
    busy_seconds: float = 20.0  #: tasks are submitted and faults happen
    tasks: int = 40
    workers: int = 3
    slots: int = 2
    read_ahead: int = 2


CALM = Plan()
#: Nothing fails, and tasks come faster than they can be run: orders show.
CROWDED = Plan(busy_seconds=3.0, tasks=120, workers=2)
#: Nothing fails, and all that people, calendars and retention do is done.
OPERATED = Plan(queue_pauses=0.5, drains=0.3, expires=0.3, schedules=2, keep_seconds=20.0)
#: Calendars go on under one scheduler after the other.
FOLLOWED = Plan(schedules=2, scheduler_crashes=0.3)
#: Attempts follow each other while copies of earlier reports are still on their way.
LATE_COPIES = Plan(duplicate=0.5, attempt_fails=0.5)


def stormy(random: Random) -> Plan:
    """A plan in which each kind of fault is there or not, and as strong as chance has it."""

    def sometimes(most: float) -> float:
        return random.uniform(0.0, most) if random.random() < 0.6 else 0.0

    clock_jumps = sometimes(0.2)
    return Plan(
        delay_seconds=random.choice((0.001, 0.02, 0.2)),
        loss=sometimes(0.1),
        duplicate=sometimes(0.1),
        commit_fails=sometimes(0.05),
        commit_in_doubt=sometimes(0.05),
        scheduler_crashes=sometimes(0.2),
        scheduler_forks=sometimes(0.1),
        worker_crashes=sometimes(0.2),
        worker_pauses=sometimes(0.3),
        clock_jumps=clock_jumps,
        attempt_fails=sometimes(0.2),
        executor_dies=sometimes(0.05),
        # Retention goes by the wall clock: it keeps nothing that the clock makes old.
        keep_seconds=0.0 if clock_jumps else random.choice((0.0, 20.0)),
        **_operated(random, sometimes),
    )


def _operated(random: Random, sometimes: Callable[[float], float]) -> dict[str, Any]:
    """What people and calendars do besides."""
    return {
        "queue_pauses": sometimes(0.3),
        "drains": sometimes(0.2),
        "expires": sometimes(0.4),
        "schedules": random.choice((0, 0, 1, 2)),
    }
