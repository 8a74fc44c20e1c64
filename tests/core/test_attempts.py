"""How an attempt ends and what follows: retries, dead letters, deaths, tasks given back."""

from collections.abc import Callable

import pytest

from task_queue.core import events as ev
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, Status
from task_queue.core.task import Progress, ProgressNote, TaskError
from tests.core.driven_machine import START, DrivenMachine, ended, failed, succeeded

_BACKOFF = {"retry_base_seconds": 4.0, "retry_cap_seconds": 10.0}


# ---- retries -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "draw", "seconds"),
    [(1, 0.0, 2.0), (1, 0.5, 3.0), (2, 0.0, 4.0), (2, 0.5, 6.0), (3, 0.0, 5.0), (3, 0.5, 7.5)],
)
def test_a_failure_waits_between_half_of_the_bound_and_all_of_it(
    machine: DrivenMachine, failures: int, draw: float, seconds: float
) -> None:
    lease = machine.start(max_retries=5, **_BACKOFF)
    for _ in range(failures - 1):
        machine.report(failed(lease, retry_after_seconds=0.0))
        lease = machine.lease()
    machine.random = draw
    machine.report(failed(lease))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.failures) == (Status.RETRYING, failures)
    assert task.due_at == machine.now + seconds


def test_a_retry_runs_when_it_is_due_as_the_next_attempt(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1, **_BACKOFF)
    machine.report(failed(lease))
    assert machine.leases() == []
    machine.tick(3.0)  # draws are 0.5: three quarters of 4 s
    grant = machine.grant()
    assert grant is not None
    (again,) = grant.leases
    assert (again.task_id, again.attempt, again.failures) == (lease.task_id, 2, 1)
    assert machine.tallies["retried"] == 1


def test_a_task_runs_once_more_than_max_retries_and_is_a_dead_letter_then(
    machine: DrivenMachine,
) -> None:
    lease = machine.start(max_retries=2)
    for _ in range(2):
        machine.report(failed(lease, retry_after_seconds=0.0))
        lease = machine.lease()
    machine.report(failed(lease))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.in_dlq, task.failures, task.attempt) == (Status.FAILED, True, 3, 3)
    assert task.error == TaskError("ValueError", "no")
    assert machine.story(lease.task_id) == ["attempt_failed"] * 3
    assert machine.over == [(lease.task_id, Status.FAILED)]


def test_an_error_that_is_not_retryable_ends_the_task(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=5)
    machine.report(failed(lease, retryable=False))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.in_dlq) == (Status.FAILED, True)


def test_a_wait_that_the_task_asks_for_replaces_the_back_off(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1, **_BACKOFF)
    machine.report(failed(lease, retry_after_seconds=77.0))
    assert machine.tasks[lease.task_id].due_at == machine.now + 77.0


def test_asking_for_a_retry_does_not_lift_max_retries(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=0)
    machine.report(failed(lease, retry_after_seconds=1.0))
    assert machine.status(lease.task_id) is Status.FAILED


def test_success_after_failures_leaves_no_error(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1)
    machine.report(failed(lease, retry_after_seconds=0.0))
    machine.report(succeeded(machine.lease()))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.error, task.in_dlq) == (Status.COMPLETED, None, False)


def test_a_timeout_is_a_failure_of_its_own_kind(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1, timeout_seconds=3.0)
    machine.report(ended(lease, Outcome.TIMED_OUT, error=TaskError("Timeout", "3 s")))
    assert machine.status(lease.task_id) is Status.RETRYING
    assert machine.story(lease.task_id) == ["attempt_timed_out"]
    assert machine.tallies["timed_out"] == 1

    machine.tick(60)
    machine.register("w2")
    machine.report(ended(machine.lease("w2"), Outcome.TIMED_OUT), worker_id="w2")
    assert machine.status(lease.task_id) is Status.FAILED


def test_a_retry_whose_expiry_passed_meanwhile_is_not_started(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=3, expires_at=START + 5)
    machine.pull()
    machine.tick(6)
    assert machine.status(lease.task_id) is Status.RUNNING
    machine.report(failed(lease, retry_after_seconds=0.0))
    assert machine.status(lease.task_id) is Status.EXPIRED
    assert machine.leases() == []


def test_an_attempt_that_never_began_has_no_start(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(failed(lease, started_at=0.0))
    assert machine.tasks[lease.task_id].started_at is None


def test_a_failure_in_the_timeline_tells_what_the_row_will_not(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1)
    machine.report(failed(lease))
    (event,) = machine.last.changes.timeline
    assert (event.kind, event.attempt, event.worker_id) == ("attempt_failed", 1, "w1")
    assert (event.started_at, event.duration_seconds) == (START, 2.0)
    assert (event.error_type, event.message) == ("ValueError", "no")


# ---- deaths --------------------------------------------------------------------------------


def test_a_death_is_not_a_failure_of_the_task(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=0, **_BACKOFF)
    machine.report(ended(lease, Outcome.DIED, error=TaskError("ExecutorDied", "signal 11")))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.failures, task.deaths) == (Status.RETRYING, 0, 1)
    assert task.error == TaskError("ExecutorDied", "signal 11")
    assert task.due_at == machine.now + 3.0
    assert machine.story(lease.task_id) == ["attempt_died"]
    assert machine.tallies["died"] == 1


@pytest.mark.parametrize("max_deaths", [1, 2, 4])
def test_a_task_is_quarantined_at_its_last_death(
    make_machine: Callable[[Rules], DrivenMachine], max_deaths: int
) -> None:
    machine = make_machine(Rules(max_deaths=max_deaths))
    task_id = machine.submit(max_retries=9)
    machine.register()
    for death in range(1, max_deaths + 1):
        assert machine.status(task_id) is Status.QUEUED
        machine.report(ended(machine.lease(), Outcome.DIED))
        assert machine.tasks[task_id].deaths == death
        machine.tick(4)
        machine.tick(4)
        machine.pull(want=0)
        machine.tick(1)
    task = machine.tasks[task_id]
    assert (task.status, task.in_dlq) == (Status.FAILED, True)
    assert task.error is not None
    assert task.error.type == "Quarantined"
    assert "ExecutorDied" in task.error.message
    assert machine.story(task_id) == ["attempt_died"] * max_deaths + ["quarantined"]
    assert machine.tallies["failed"] == 1


def test_deaths_by_worker_and_by_executor_count_together(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(ended(lease, Outcome.DIED))
    machine.tick(1)
    machine.lease()
    machine.handle(ev.WorkerLost("w1", "a", "node died"))
    assert machine.tasks[lease.task_id].deaths == 2


# ---- given back ----------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [Outcome.RELEASED, Outcome.CANCELLED])
def test_a_task_given_back_costs_nothing_and_is_next(
    machine: DrivenMachine, outcome: Outcome
) -> None:
    lease = machine.start(max_retries=0)
    later = machine.submit()
    machine.report(ended(lease, outcome))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.failures, task.deaths) == (Status.QUEUED, 0, 0)
    assert (task.worker_id, task.claimed_at, task.started_at) == (None, None, None)
    machine.register("w2", slots=2)
    given = [(x.task_id, x.attempt) for x in machine.leases("w2", want=2)]
    assert given == [(lease.task_id, 2), (later, 1)]


def test_only_what_had_begun_is_told_in_the_timeline(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(ended(lease, Outcome.RELEASED, started_at=0.0))
    assert machine.story(lease.task_id) == []
    machine.report(ended(machine.lease(), Outcome.RELEASED))
    assert machine.story(lease.task_id) == ["attempt_released"]


@pytest.mark.parametrize("backwards", [False, True])
def test_several_given_back_keep_their_order(machine: DrivenMachine, backwards: bool) -> None:
    machine.register(slots=4)
    ids = machine.submit_all(*[{}] * 6)
    leases = machine.leases(want=4)
    reports = [ended(lease, Outcome.RELEASED, started_at=0.0) for lease in leases]
    machine.report(*(reversed(reports) if backwards else reports))
    machine.register("w2", slots=6)
    assert [lease.task_id for lease in machine.leases("w2", want=6)] == ids


def test_a_task_given_back_after_its_expiry_is_not_started_again(machine: DrivenMachine) -> None:
    lease = machine.start(expires_at=START + 5)
    machine.tick(6)
    machine.report(ended(lease, Outcome.RELEASED))
    assert machine.status(lease.task_id) is Status.EXPIRED


# ---- stale and repeated reports ------------------------------------------------------------


def test_a_report_for_an_attempt_that_is_not_current_is_refused_and_counted(
    machine: DrivenMachine,
) -> None:
    old = machine.start(max_retries=1)
    machine.report(failed(old, retry_after_seconds=0.0))
    current = machine.lease()
    machine.report(succeeded(old))
    assert machine.status(old.task_id) is Status.RUNNING
    assert machine.machine.refused_reports == 1
    machine.report(succeeded(current))
    assert machine.status(old.task_id) is Status.COMPLETED
    assert machine.machine.refused_reports == 1


def test_a_report_that_comes_twice_counts_once(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(succeeded(lease), succeeded(lease))
    machine.report(failed(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED
    assert machine.over == [(lease.task_id, Status.COMPLETED)]
    assert machine.machine.refused_reports == 2


def test_a_report_of_another_worker_is_refused(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.register("w2")
    machine.report(succeeded(lease), worker_id="w2")
    assert machine.status(lease.task_id) is Status.RUNNING
    assert machine.machine.refused_reports == 1


def test_a_report_on_a_task_that_nobody_knows_is_refused(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(succeeded(lease))
    machine.restart()
    machine.report(succeeded(lease))
    assert machine.machine.refused_reports == 1


def test_a_worker_is_credited_for_what_it_ended(machine: DrivenMachine) -> None:
    machine.register(slots=3)
    machine.submit_all({}, {}, {})
    one, two, three = machine.leases(want=3)
    machine.report(succeeded(one), failed(two), ended(three, Outcome.RELEASED))
    worker = machine.machine.workers["w1"]
    assert (worker.ended, worker.failed, worker.busy_seconds) == (3, 1, 6.0)


# ---- progress ------------------------------------------------------------------------------


def test_progress_of_the_current_attempt_is_kept_until_the_next_one(
    machine: DrivenMachine,
) -> None:
    lease = machine.start(max_retries=1)
    half = Progress(0.5, "half")
    machine.pull(want=1, progress=[ProgressNote(lease.task_id, 1, half)])
    assert machine.tasks[lease.task_id].progress == half
    machine.report(failed(lease, retry_after_seconds=0.0))
    machine.lease()
    assert machine.tasks[lease.task_id].progress is None
    machine.pull(want=1, progress=[ProgressNote(lease.task_id, 1, half)])
    assert machine.tasks[lease.task_id].progress is None
