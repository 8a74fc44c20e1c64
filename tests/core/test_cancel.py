"""Cancelling, purging, and running again by hand."""

import pytest

from task_queue.core import events as ev
from task_queue.core.effects import Counted, Moved
from task_queue.core.status import Outcome, Status, WorkerStatus
from tests.core.driven_machine import START, DrivenMachine, ended, failed, refusal, succeeded


@pytest.mark.parametrize("fields", [{}, {"run_at": START + 9}], ids=["queued", "scheduled"])
def test_a_task_that_waits_is_cancelled_at_once(
    machine: DrivenMachine, fields: dict[str, float]
) -> None:
    task_id = machine.submit(**fields)
    assert machine.cancel(task_id) == Moved(task_id, Status.CANCELLED, cancel_requested=False)
    assert machine.over == [(task_id, Status.CANCELLED)]
    assert machine.story(task_id) == ["cancelled"]
    machine.tick(10)
    machine.register()
    assert machine.leases() == []


def test_a_task_that_waits_for_its_retry_is_cancelled_at_once(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1)
    machine.report(failed(lease))
    machine.cancel(lease.task_id)
    machine.tick(10)
    assert machine.status(lease.task_id) is Status.CANCELLED


def test_a_running_task_is_over_when_its_worker_says_so(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.pull()  # parked
    answer = machine.cancel(lease.task_id)
    assert answer == Moved(lease.task_id, Status.RUNNING, cancel_requested=True)
    grant = machine.grant()
    assert grant is not None
    assert grant.cancels == [(lease.task_id, 1)]

    machine.report(ended(lease, Outcome.CANCELLED))
    assert machine.status(lease.task_id) is Status.CANCELLED
    assert machine.story(lease.task_id) == ["cancel_requested", "cancelled"]


def test_a_worker_that_is_away_is_told_at_its_next_pull_and_once(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    assert machine.last.grants == []
    grant = machine.pull()
    assert grant is not None
    assert grant.cancels == [(lease.task_id, 1)]
    assert machine.pull() is None


def test_cancelling_twice_asks_once(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.cancel(lease.task_id)
    grant = machine.pull()
    assert grant is not None
    assert grant.cancels == [(lease.task_id, 1)]
    assert machine.story(lease.task_id) == ["cancel_requested"]


def test_a_running_task_that_completes_first_is_completed(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED


def test_a_worker_is_not_told_to_stop_what_it_has_ended(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    assert machine.pull(want=1, reports=[succeeded(lease)]) is None


@pytest.mark.parametrize(
    "outcome", [o for o in Outcome if o is not Outcome.SUCCEEDED], ids=lambda o: str(o)
)
def test_however_a_cancelled_attempt_ends_it_does_not_run_again(
    machine: DrivenMachine, outcome: Outcome
) -> None:
    lease = machine.start(max_retries=9)
    machine.cancel(lease.task_id)
    machine.report(ended(lease, outcome))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.in_dlq) == (Status.CANCELLED, False)
    assert machine.leases() == []


def test_a_cancelled_task_whose_worker_is_lost_is_cancelled(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.handle(ev.WorkerLost("w1", "a", "node died"))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.deaths) == (Status.CANCELLED, 0)


def test_a_cancelled_task_whose_worker_deregisters_is_cancelled(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.handle(ev.WorkerDeregistered("w1", "a"))
    assert machine.status(lease.task_id) is Status.CANCELLED


def test_a_cancel_survives_a_restart(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.restart()
    grant = machine.pull()
    assert grant is not None
    assert (grant.order, grant.cancels) == ("resync", [(lease.task_id, 1)])


def test_a_cancelled_task_whose_grant_never_arrived_is_cancelled(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.restart()
    machine.handle(ev.WorkerResumed("w1", "a", holding=[]))
    assert machine.status(lease.task_id) is Status.CANCELLED


def test_what_is_over_or_unknown_cannot_be_cancelled(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(succeeded(lease))
    assert refusal(machine.cancel(lease.task_id)) == "not_live"
    assert refusal(machine.cancel("nobody")) == "not_live"


# ---- purge ---------------------------------------------------------------------------------


def test_a_purge_cancels_what_does_not_run_in_that_queue(machine: DrivenMachine) -> None:
    running = machine.start().task_id
    retrying = machine.start(max_retries=1)
    machine.report(failed(retrying))
    queued = machine.submit()
    scheduled = machine.submit(run_at=START + 9)
    elsewhere = machine.submit(queue="other")
    assert machine.ask(ev.QueuePurged("default")) == Counted(3)
    for task_id in (retrying.task_id, queued, scheduled):
        assert machine.status(task_id) is Status.CANCELLED
    assert machine.status(running) is Status.RUNNING
    assert machine.status(elsewhere) is Status.QUEUED
    assert machine.ask(ev.QueuePurged("default")) == Counted(0)
    assert machine.ask(ev.QueuePurged("unknown")) == Counted(0)


def test_a_purge_of_many_is_done_in_parts(
    machine: DrivenMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("task_queue.core.machine._MOST_PURGED", 2)
    ids = [machine.submit() for _ in range(5)]
    counts = [machine.ask(ev.QueuePurged("default")) for _ in range(4)]
    assert counts == [Counted(2), Counted(2), Counted(1), Counted(0)]
    assert {machine.status(task_id) for task_id in ids} == {Status.CANCELLED}


# ---- by hand -------------------------------------------------------------------------------


def test_a_dead_letter_runs_again_with_a_clean_slate(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=0)
    machine.report(failed(lease))
    assert machine.replay(lease.task_id) == Counted(1)
    task = machine.tasks[lease.task_id]
    assert (task.status, task.failures, task.deaths) == (Status.QUEUED, 0, 0)
    assert (task.in_dlq, task.error, task.finished_at) == (False, None, None)
    again = machine.lease()
    assert (again.task_id, again.attempt) == (lease.task_id, 2)  # the fencing number goes on
    machine.report(succeeded(again))
    assert machine.over == [(lease.task_id, Status.FAILED), (lease.task_id, Status.COMPLETED)]
    assert machine.story(lease.task_id) == ["attempt_failed", "replayed"]


def test_a_replayed_task_has_its_retries_again(machine: DrivenMachine) -> None:
    lease = machine.start(max_retries=1)
    machine.report(failed(lease, retryable=False))
    machine.replay(lease.task_id)
    machine.report(failed(machine.lease(), retry_after_seconds=0.0))
    assert machine.status(lease.task_id) is not Status.FAILED


def test_a_cancelled_task_can_be_run_again(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.report(ended(lease, Outcome.CANCELLED))
    machine.replay(lease.task_id)
    task = machine.tasks[lease.task_id]
    assert (task.status, task.cancel_requested) == (Status.QUEUED, False)


def test_an_expired_task_that_a_person_wants_does_not_expire_again(
    machine: DrivenMachine,
) -> None:
    task_id = machine.submit(expires_at=START + 1)
    machine.tick(1)
    machine.replay(task_id)
    machine.tick(1)
    assert machine.status(task_id) is Status.QUEUED
    assert machine.tasks[task_id].expires_at is None
    assert machine.tasks[task_id].spec.expires_at == START + 1  # what was asked for stays


def test_an_expiry_that_is_still_ahead_holds_for_the_replay(machine: DrivenMachine) -> None:
    lease = machine.start(expires_at=START + 10)
    machine.report(failed(lease))
    machine.replay(lease.task_id)
    machine.tick(10)
    assert machine.status(lease.task_id) is Status.EXPIRED


def test_a_replay_that_comes_twice_counts_once(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(failed(lease))
    copy = machine.saved(lease.task_id)
    assert machine.ask(ev.TasksReplayed([copy, machine.saved(lease.task_id)])) == Counted(1)
    assert machine.ask(ev.TasksReplayed([machine.saved(lease.task_id)])) == Counted(0)
    machine.register("w2", slots=2)
    assert len(machine.leases("w2", want=2)) == 1


def test_a_replayed_task_owns_its_idempotency_key_again(machine: DrivenMachine) -> None:
    lease = machine.start(idempotency_key="k")
    machine.report(failed(lease))
    machine.replay(lease.task_id)
    assert machine.submit(idempotency_key="k") == lease.task_id


def test_a_late_report_on_a_replayed_task_is_refused(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.handle(ev.WorkerLost("w1", "a", "silent"))
    machine.cancel(lease.task_id)
    machine.replay(lease.task_id)
    machine.register("w1", incarnation="b")
    machine.pull(want=1, incarnation="b")
    machine.pull(want=1, reports=[succeeded(lease)], incarnation="b")
    assert machine.status(lease.task_id) is Status.RUNNING
    assert machine.machine.refused_reports == 1


def test_a_drained_worker_is_told_nothing_about_cancels_it_does_not_hold(
    machine: DrivenMachine,
) -> None:
    lease = machine.start()
    machine.cancel(lease.task_id)
    machine.want_status(WorkerStatus.DRAINING)
    grant = machine.pull(want=0, reports=[ended(lease, Outcome.CANCELLED)])
    assert grant is not None
    assert (grant.order, grant.cancels) == ("end", [])
