"""The schedules, and their firing when they are due."""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from task_queue.core import events as ev
from task_queue.core.effects import Answer, Done, Effects, Refused
from task_queue.core.schedule import NextFiring, Schedule, TraceFiring, fires, take_over_history
from task_queue.core.settings import Rules
from task_queue.core.task_book import TaskBook


class ScheduleBook:
    """All schedules."""

    def __init__(
        self, book: TaskBook, rules: Rules, schedules: Iterable[Schedule],
        new_id: Callable[[float], str], next_firing: NextFiring, trace_firing: TraceFiring,
    ) -> None:  # fmt: skip
        self._book = book
        self._rules = rules
        self.schedules: dict[str, Schedule] = {s.id: s for s in schedules}
        self._new_id = new_id
        self._next_firing = next_firing
        self._trace_firing = trace_firing

    def next_time(self) -> float | None:
        """When one of them is due next."""
        return min((s.next_run_at for s in self.schedules.values()), default=None)

    def save(self, event: ev.ScheduleSaved, now: float, fx: Effects) -> Answer:
        schedule = event.schedule
        older = self.schedules.get(schedule.id)
        if older is None and len(self.schedules) >= self._rules.max_schedules:
            return Refused(
                "queue_full",
                f"there are {self._rules.max_schedules} schedules already; delete some first",
            )
        if older is not None:
            take_over_history(schedule, older, self._next_firing)
        self.schedules[schedule.id] = fx.changes.schedules[schedule.id] = schedule
        return Done()

    def delete(self, event: ev.ScheduleDeleted, now: float, fx: Effects) -> Answer:
        if self.schedules.pop(event.schedule_id, None) is None:
            return Refused("not_live", f"no schedule has the id '{event.schedule_id}'")
        fx.changes.schedules[event.schedule_id] = None
        return Done()

    def pass_time(self, now: float, fx: Effects) -> None:
        """Fire what is due."""
        for schedule in self.schedules.values():
            if schedule.next_run_at <= now:
                self._fire(schedule, now, fx)

    def _fire(self, schedule: Schedule, now: float, fx: Effects) -> None:
        if fires(schedule, now, schedule.last_task_id in self._book.live):
            # Each firing is a task of its own: a key would make the second one a duplicate.
            task_id = self._new_id(now)
            trace = self._trace_firing(task_id, now)
            spec = replace(schedule.template, id=task_id, idempotency_key=None, traceparent=trace)
            self._book.accept([spec], now, fx, stay=True)
            schedule.last_task_id = task_id
            schedule.last_run_at = now
            schedule.runs += 1
        else:
            schedule.skips += 1
        schedule.next_run_at = self._next_firing(schedule, now)
        fx.changes.schedules[schedule.id] = schedule
