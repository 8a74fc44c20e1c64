"""When a schedule fires next: the calendar that the pure core is given."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from task_queue.core.schedule import Schedule


def next_firing(schedule: Schedule, after: float) -> float:
    """The first firing strictly after `after`, in seconds since the epoch.

    Intervals keep their phase: they are counted from `next_run_at`, not from the late moment at
    which a busy scheduler got to them. Cron is read in the schedule's own time zone; a time that
    daylight saving leaves out fires at the next one there is.
    """
    if schedule.interval_seconds is not None:
        step = schedule.interval_seconds
        missed = max(0, int((after - schedule.next_run_at) // step))
        following = schedule.next_run_at + (missed + 1) * step
        return following if following > after else following + step  # fractions are rounded
    assert schedule.cron is not None
    start = datetime.fromtimestamp(after, UTC).astimezone(ZoneInfo(schedule.timezone))
    moment = next(CronSim(schedule.cron, start))
    return moment.timestamp()


def cron_problem(cron: str, timezone: str) -> str | None:
    """What is wrong with a cron expression or its time zone, in words; None if nothing is."""
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return f"timezone '{timezone}' is not known: give an IANA name such as Europe/Berlin"
    try:
        next(CronSim(cron, datetime.now(zone) - timedelta(minutes=1)))
    except (CronSimError, StopIteration) as error:
        return f"cron '{cron}': {error or 'it never fires'}; give five fields such as '0 6 * * 1-5'"
    return None
