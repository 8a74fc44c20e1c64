"""Tasks that the clock submits, and the calendar behind it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from task_queue.core import events as ev
from task_queue.core.effects import Done
from task_queue.core.schedule import Schedule
from task_queue.core.settings import Rules
from task_queue.core.status import Status
from task_queue.core.task import TaskSpec
from task_queue.next_firing import cron_problem, next_firing
from tests.core.driven_machine import START, DrivenMachine, refusal, succeeded

_TEMPLATE = TaskSpec("", "report.daily", "default", 5, b"{}")


def _every(seconds: float, **fields: Any) -> Schedule:
    return Schedule("s", _TEMPLATE, START + seconds, interval_seconds=seconds, **fields)


def _tasks(machine: DrivenMachine) -> list[str]:
    return [i for i, task in machine.tasks.items() if task.spec.name == "report.daily"]


def test_a_schedule_submits_its_task_when_it_is_due(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    assert machine.machine.next_time() == START + 60
    machine.tick(59.9)
    assert _tasks(machine) == []
    machine.tick(0.1)
    (task_id,) = _tasks(machine)
    schedule = machine.schedules["s"]
    assert (schedule.last_task_id, schedule.last_run_at) == (task_id, START + 60)
    assert (schedule.runs, schedule.skips, schedule.next_run_at) == (1, 0, START + 120)
    assert machine.status(task_id) is Status.QUEUED


def test_an_interval_keeps_its_phase_however_late_the_scheduler_is(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    machine.tick(60 + 17)
    assert machine.schedules["s"].next_run_at == START + 120


@pytest.mark.parametrize(("overlap", "tasks", "skips"), [("skip", 1, 1), ("allow", 2, 0)])
def test_overlap(machine: DrivenMachine, overlap: str, tasks: int, skips: int) -> None:
    machine.handle(ev.ScheduleSaved(_every(60, overlap=overlap)))
    machine.tick(60)
    machine.tick(60)
    assert len(_tasks(machine)) == tasks
    assert machine.schedules["s"].skips == skips


def test_a_save_that_is_repeated_fires_no_due_time_twice(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    machine.tick(60 + 1)
    machine.handle(ev.ScheduleSaved(_every(60)))  # its answer was lost
    machine.tick(1)
    (task_id,) = _tasks(machine)
    schedule = machine.schedules["s"]
    assert (schedule.last_task_id, schedule.runs) == (task_id, 1)
    assert schedule.next_run_at == START + 120


def test_a_schedule_that_is_changed_knows_its_last_task(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    machine.tick(60)
    machine.handle(ev.ScheduleSaved(_every(90)))
    machine.tick(30)
    assert len(_tasks(machine)) == 1, "it overlaps with the task of before"
    assert machine.schedules["s"].skips == 1


def test_there_are_no_more_schedules_than_allowed(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(max_schedules=1))
    machine.handle(ev.ScheduleSaved(_every(60)))
    machine.handle(ev.ScheduleSaved(_every(90)))  # it is the same one
    refused = machine.ask(ev.ScheduleSaved(replace(_every(60), id="other")))
    assert refusal(refused) == "queue_full"
    machine.handle(ev.ScheduleDeleted("s"))
    assert machine.ask(ev.ScheduleSaved(replace(_every(60), id="other"))) == Done()


def test_a_firing_after_the_last_task_ended_is_no_overlap(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    machine.tick(60)
    machine.register()
    machine.report(succeeded(machine.lease()))
    machine.tick(60)
    assert len(_tasks(machine)) == 2


@pytest.mark.parametrize(("missed", "tasks"), [("run_once", 1), ("skip", 0)])
def test_an_outage_of_a_day_is_not_answered_by_a_burst(
    machine: DrivenMachine, missed: str, tasks: int
) -> None:
    machine.handle(ev.ScheduleSaved(_every(60, missed=missed, overlap="allow")))
    machine.restart()
    machine.tick(86_400)
    machine.tick(1)
    assert len(_tasks(machine)) == tasks
    assert machine.schedules["s"].next_run_at == START + 86_400 + 60


def test_a_firing_that_is_merely_late_is_not_missed(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(3_600, missed="skip")))
    machine.tick(3_600 + 60)
    assert len(_tasks(machine)) == 1


def test_schedules_survive_a_restart(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    machine.tick(60)
    machine.restart()
    machine.tick(60)
    assert machine.schedules["s"].skips == 1  # it still knows its last task


def test_a_deleted_schedule_fires_no_more(machine: DrivenMachine) -> None:
    machine.handle(ev.ScheduleSaved(_every(60)))
    assert machine.ask(ev.ScheduleDeleted("s")) == Done()
    machine.tick(60)
    assert _tasks(machine) == []
    assert refusal(machine.ask(ev.ScheduleDeleted("s"))) == "not_live"
    machine.restart()
    assert machine.machine.schedules == {}


def test_each_firing_is_a_task_of_its_own_even_with_a_key(machine: DrivenMachine) -> None:
    schedule = _every(60, overlap="allow")
    schedule.template.idempotency_key = "k"
    try:
        machine.handle(ev.ScheduleSaved(schedule))
        machine.tick(60)
        machine.tick(60)
    finally:
        schedule.template.idempotency_key = None
    keys = [machine.tasks[i].spec.idempotency_key for i in _tasks(machine)]
    assert keys == [None, None]


# ---- the calendar --------------------------------------------------------------------------


@given(
    start=st.floats(0, 4e9),
    step=st.floats(0.001, 1e7),
    late=st.floats(0, 1e8),
)
def test_an_interval_fires_strictly_later_and_not_a_period_too_late(
    start: float, step: float, late: float
) -> None:
    schedule = Schedule("s", _TEMPLATE, start, interval_seconds=step)
    after = start + late
    moment = next_firing(schedule, after)
    assert after < moment
    assert moment - after <= step * (1 + 1e-6) + 1e-5


def _cron(cron: str, timezone: str, after: str) -> str:
    schedule = Schedule("s", _TEMPLATE, 0.0, cron=cron, timezone=timezone)
    zone = ZoneInfo(timezone)
    moment = next_firing(schedule, datetime.fromisoformat(after).replace(tzinfo=zone).timestamp())
    return datetime.fromtimestamp(moment, zone).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("cron", "timezone", "after", "expected"),
    [
        ("0 6 * * 1-5", "UTC", "2026-01-02 06:00", "2026-01-05 06:00"),  # strictly after, weekend
        ("0 6 * * *", "Asia/Tokyo", "2026-01-02 05:59", "2026-01-02 06:00"),
        # Berlin leaves 02:30 out on 29 March 2026, and has it twice on 25 October.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 03:00"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29 12:00", "2026-03-30 02:30"),
        ("0 4 * * *", "Europe/Berlin", "2026-10-24 12:00", "2026-10-25 04:00"),
    ],
)
def test_cron_is_read_in_its_own_time_zone(
    cron: str, timezone: str, after: str, expected: str
) -> None:
    assert _cron(cron, timezone, after) == expected


@pytest.mark.parametrize(
    ("cron", "timezone", "word"),
    [
        ("0 6 * * *", "Mars/Olympus", "timezone"),
        ("0 6 * * *", "", "timezone"),
        ("0 6 * * *", "../etc/passwd", "timezone"),
        ("61 * * * *", "UTC", "cron"),
        ("* * *", "UTC", "cron"),
        ("0 0 31 2 *", "UTC", "cron"),
        ("", "UTC", "cron"),
    ],
)
def test_a_schedule_that_cannot_fire_is_refused_in_words(
    cron: str, timezone: str, word: str
) -> None:
    problem = cron_problem(cron, timezone)
    assert problem is not None
    assert problem.startswith(word)


def test_a_schedule_that_can_fire_has_no_problem() -> None:
    assert cron_problem("*/5 * * * *", "Europe/Berlin") is None
    assert cron_problem("0 0 29 2 *", "UTC") is None
