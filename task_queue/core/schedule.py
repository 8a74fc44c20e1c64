"""Tasks that are submitted by the clock: cron and interval schedules.

Two policies are stated for each schedule. *Overlap*: with "skip" (default) a firing is left out
while the task of the last firing has not ended; with "allow" it is submitted all the same. *Missed
runs*: firings whose time passed while no scheduler ran. With "run_once" (default) one task makes up
for all of them, with "skip" none does; never more than one, so a day's outage is not answered by a
burst.
"""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from task_queue.core.task import TaskSpec

#: A firing later than this was missed, not merely late. Seconds.
MISSED_AFTER_SECONDS = 60.0


class Schedule(Struct):
    """One schedule. Exactly one of `cron` and `interval_seconds` is set."""

    id: str
    template: TaskSpec  #: what is submitted; its id is empty
    next_run_at: float
    cron: str | None = None  #: five fields, or six with seconds first
    interval_seconds: float | None = None
    timezone: str = "UTC"
    overlap: Literal["skip", "allow"] = "skip"
    missed: Literal["run_once", "skip"] = "run_once"
    created_at: float = 0.0
    last_run_at: float | None = None
    last_task_id: str | None = None
    runs: int = 0
    skips: int = 0


#: When a schedule fires next, strictly after a time. Cron needs a calendar, which lives outside.
NextFiring = Callable[[Schedule, float], float]

#: The W3C trace context of a task, by its id, that a schedule submits at a time; None: no trace.
TraceFiring = Callable[[str, float], str | None]


def untraced(_task_id: str, _now: float) -> None:
    """A TraceFiring that gives no task a trace."""


def fires(schedule: Schedule, now: float, last_task_is_live: bool) -> bool:
    """Whether a schedule that is due at `now` submits a task, by its two policies."""
    if schedule.missed == "skip" and now - schedule.next_run_at > MISSED_AFTER_SECONDS:
        return False
    return schedule.overlap == "allow" or not last_task_is_live


def take_over_history(schedule: Schedule, older: Schedule, next_firing: NextFiring) -> None:
    """Let a schedule that is saved again go on where it was.

    Above all it knows which task it last submitted, without which it could overlap with that. A
    call that is repeated asks for a due time that may have fired meanwhile: the next one follows.
    """
    schedule.created_at = older.created_at
    schedule.last_run_at = older.last_run_at
    schedule.last_task_id = older.last_task_id
    schedule.runs = older.runs
    schedule.skips = older.skips
    if older.last_run_at is not None and schedule.next_run_at <= older.last_run_at:
        schedule.next_run_at = next_firing(schedule, older.last_run_at)
