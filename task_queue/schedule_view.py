"""A schedule as the API shows it."""

from task_queue.clock import to_rfc3339
from task_queue.core.schedule import Schedule
from task_queue.wire import ScheduleView


def schedule_view(schedule: Schedule) -> ScheduleView:
    """Times as text, and the task's name and queue from the template."""
    last = schedule.last_run_at
    return ScheduleView(
        id=schedule.id,
        name=schedule.template.name,
        queue=schedule.template.queue,
        cron=schedule.cron,
        interval_seconds=schedule.interval_seconds,
        timezone=schedule.timezone,
        overlap=schedule.overlap,
        missed=schedule.missed,
        next_run_at=to_rfc3339(schedule.next_run_at),
        last_run_at=None if last is None else to_rfc3339(last),
        last_task_id=schedule.last_task_id,
        runs=schedule.runs,
        skips=schedule.skips,
    )
