"""Workers come, pull, fall silent, come back, are paused and drained."""

from collections.abc import Callable
from itertools import takewhile

import pytest

from task_queue.core import events as ev
from task_queue.core.effects import Done, Grant, Refused, Registered
from task_queue.core.settings import Rules
from task_queue.core.status import Outcome, Status, WorkerStatus
from tests.core.driven_machine import DrivenMachine, ended, failed, refusal, succeeded

# ---- registration --------------------------------------------------------------------------


def test_a_worker_is_welcomed_with_the_periods_it_must_keep(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(lease_seconds=30.0, poll_seconds=7.0))
    assert machine.register() == Registered(30.0, 7.0)
    assert machine.infos["w1"].registered_at == machine.now


def test_registering_again_changes_nothing(machine: DrivenMachine) -> None:
    lease = machine.start()
    assert isinstance(machine.register(), Registered)
    assert not machine.last.changes
    assert machine.holds() == {lease.task_id}


def test_a_worker_that_registers_again_lives_and_drains_on(machine: DrivenMachine) -> None:
    """Its answer is lost on the way, and it has not pulled yet."""
    lease_seconds = machine.machine.rules.lease_seconds
    machine.register()
    machine.tick(0.6 * lease_seconds)
    machine.register()
    machine.handle(ev.WorkerStatusWanted("w1", WorkerStatus.DRAINING))
    machine.tick(0.6 * lease_seconds)
    machine.register()
    assert machine.infos["w1"].status is WorkerStatus.DRAINING
    assert machine.infos["w1"].ended_at is None


def test_a_second_worker_under_a_living_worker_s_id_is_refused(machine: DrivenMachine) -> None:
    lease = machine.start()
    answer = machine.register(incarnation="b")
    assert isinstance(answer, Refused)
    assert answer.reason == "duplicate_worker"
    assert "'w1'" in answer.detail
    assert machine.holds() == {lease.task_id}


@pytest.mark.parametrize("restarts", [False, True])
def test_a_worker_that_was_lost_before_it_heard_that_it_is_registered_is_gone(
    machine: DrivenMachine, restarts: bool
) -> None:
    machine.register()
    machine.want_status(WorkerStatus.DRAINING)
    machine.now += machine.rules.lease_seconds
    machine.handle(ev.Ticked())
    if restarts:
        machine.restart()
    answer = machine.register()  # it would have forgotten that it drains
    assert isinstance(answer, Refused)
    assert answer.reason == "unknown_worker"
    assert "silent" in answer.detail and "start a new one" in answer.detail
    assert isinstance(machine.register(incarnation="b"), Registered)


def test_a_new_process_may_take_the_id_of_one_that_is_gone(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.handle(ev.WorkerLost("w1", "a", "process died"))
    assert isinstance(machine.register(incarnation="b"), Registered)
    assert machine.tasks[lease.task_id].deaths == 1
    assert machine.infos["w1"].incarnation == "b"
    assert machine.infos["w1"].ended_at is None


def test_after_a_restart_a_new_process_need_not_wait_for_the_old_one(
    machine: DrivenMachine,
) -> None:
    lease = machine.start()
    machine.restart()
    assert isinstance(machine.register(incarnation="b"), Registered)
    assert machine.tasks[lease.task_id].deaths == 1
    assert machine.status(lease.task_id) is Status.RETRYING
    assert machine.infos["w1"].restarts == 1


# ---- pulls ---------------------------------------------------------------------------------


def test_a_pull_with_nothing_to_say_is_answered_after_the_poll_period(
    machine: DrivenMachine,
) -> None:
    machine.register()
    assert machine.pull() is None
    assert machine.tick(4.9).grants == []
    assert machine.tick(0.1).grants == [Grant("w1", "a", 1)]
    assert machine.tick(1).grants == []


def test_a_parked_pull_is_answered_by_the_task_that_comes(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull()
    task_id = machine.submit()
    grant = machine.grant()
    assert grant is not None
    assert [lease.task_id for lease in grant.leases] == [task_id]


def test_a_newer_pull_answers_the_older_one_empty_and_takes_its_place(
    machine: DrivenMachine,
) -> None:
    machine.register()
    machine.pull()
    assert machine.pull() is None
    assert machine.last.grants == [Grant("w1", "a", 1)]
    task_id = machine.submit()
    grant = machine.grant(seq=2)
    assert grant is not None
    assert [lease.task_id for lease in grant.leases] == [task_id]


def test_a_pull_that_is_repeated_while_parked_stays_parked(machine: DrivenMachine) -> None:
    machine.register()
    event = machine.pull_event()
    machine.handle(event)
    assert machine.handle(event).grants == []
    machine.submit()
    assert machine.grant(seq=event.seq) is not None


def test_a_pull_that_was_overtaken_is_answered_empty_and_its_reports_count(
    machine: DrivenMachine,
) -> None:
    lease = machine.start()
    waiting = machine.submit()
    late = machine.pull_event(want=5, reports=[succeeded(lease)])
    newest = machine.pull_event(want=0)
    machine.handle(newest)
    machine.handle(late)
    assert machine.status(lease.task_id) is Status.COMPLETED
    assert machine.last.grants == [Grant("w1", "a", late.seq)]
    # The newest pull wants nothing, and is still open.
    assert machine.status(waiting) is Status.QUEUED
    assert machine.tick(5).grants == [Grant("w1", "a", newest.seq)]


def test_a_pull_of_a_worker_that_is_not_known_is_told_so(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull(incarnation="zombie")
    assert machine.last.grants == [Grant("w1", "zombie", 1, order="gone")]
    machine.pull("nobody")
    assert machine.last.grants == [Grant("nobody", "a", 1, order="gone")]


# ---- read-ahead and spread -----------------------------------------------------------------


def test_a_worker_holds_no_more_leases_than_it_wants(machine: DrivenMachine) -> None:
    machine.register(slots=4)
    machine.submit_all(*[{}] * 9)
    assert len(machine.leases(want=6)) == 6
    assert machine.leases(want=6) == []
    assert machine.leases(want=4) == []
    assert len(machine.leases(want=8)) == 2


def test_what_ended_makes_room_in_the_same_pull(machine: DrivenMachine) -> None:
    lease = machine.start()
    following = machine.submit()
    grant = machine.pull(want=1, reports=[succeeded(lease)])
    assert grant is not None
    assert [x.task_id for x in grant.leases] == [following]


def test_slots_of_all_workers_are_filled_before_anybody_reads_ahead(
    machine: DrivenMachine,
) -> None:
    for worker_id in ("w1", "w2", "w3"):
        machine.register(worker_id, slots=2)
        machine.pull(worker_id, want=4)
    machine.submit_all(*[{}] * 6)
    assert [len(machine.holds(w)) for w in ("w1", "w2", "w3")] == [2, 2, 2]


def test_read_ahead_is_filled_when_all_slots_are(machine: DrivenMachine) -> None:
    for worker_id in ("w1", "w2"):
        machine.register(worker_id, slots=2)
        machine.pull(worker_id, want=3)
    machine.submit_all(*[{}] * 9)
    assert [len(machine.holds(w)) for w in ("w1", "w2")] == [3, 3]


def test_one_grant_carries_slots_and_read_ahead(machine: DrivenMachine) -> None:
    machine.register(slots=1)
    ids = machine.submit_all({}, {}, {})
    assert [lease.task_id for lease in machine.leases(want=3)] == ids


# ---- silence and death ---------------------------------------------------------------------


def test_a_silent_worker_is_lost_and_its_tasks_run_again(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.tick(14.9)
    assert machine.status(lease.task_id) is Status.RUNNING
    machine.tick(0.1)
    assert machine.status(lease.task_id) is Status.RETRYING
    assert machine.infos["w1"].status is WorkerStatus.LOST
    assert "silent" in machine.infos["w1"].end_cause
    assert machine.tasks[lease.task_id].deaths == 1
    error = machine.tasks[lease.task_id].error
    assert error is not None
    assert error.type == "WorkerLost"


def test_what_a_lost_worker_had_only_read_ahead_counts_no_death(machine: DrivenMachine) -> None:
    machine.register(slots=2)
    ids = machine.submit_all(*[{}] * 5)
    machine.leases(want=5)
    machine.handle(ev.WorkerLost("w1", "a", "process died"))
    assert [machine.tasks[i].deaths for i in ids] == [1, 1, 0, 0, 0]
    assert [machine.status(i) for i in ids] == [Status.RETRYING] * 2 + [Status.QUEUED] * 3
    # Each of them may have begun all the same: the number of its attempt is not given out again.
    assert [machine.tasks[i].attempt_shown for i in ids] == [1] * 5


def test_a_lease_moves_up_when_one_before_it_ends(machine: DrivenMachine) -> None:
    machine.register(slots=1)
    ids = machine.submit_all({}, {}, {})
    first, _, _ = machine.leases(want=3)
    machine.pull(want=1, reports=[succeeded(first)])
    machine.handle(ev.WorkerLost("w1", "a", "process died"))
    assert [machine.tasks[i].deaths for i in ids] == [0, 1, 0]


def test_a_task_that_kills_its_workers_is_quarantined_and_its_neighbours_are_not(
    make_machine: Callable[[Rules], DrivenMachine],
) -> None:
    machine = make_machine(Rules(max_deaths=3))
    killer, *neighbours = machine.submit_all(*[{}] * 4)
    for life in "abc":
        machine.tick(600)  # every back-off is over
        machine.register(incarnation=life)
        grant = machine.pull(want=4, incarnation=life)
        assert grant is not None
        ran_before = takewhile(lambda lease: lease.task_id != killer, grant.leases)
        machine.pull(incarnation=life, reports=[succeeded(lease) for lease in ran_before])
        machine.handle(ev.WorkerLost("w1", life, "killed by signal 9"))
    assert machine.status(killer) is Status.FAILED
    error = machine.tasks[killer].error
    assert error is not None
    assert error.type == "Quarantined"
    assert "killed by signal 9" in error.message
    assert all(machine.tasks[i].deaths == 0 for i in neighbours)


def test_a_worker_that_went_with_its_machine_costs_nobody_a_death(machine: DrivenMachine) -> None:
    machine.register(slots=2)
    ids = machine.submit_all(*[{}] * 3)
    machine.leases(want=3)
    fx = machine.handle(ev.WorkerLost("w1", "a", "its machine is gone", blameless=True))
    assert [(machine.status(i), machine.tasks[i].deaths) for i in ids] == [(Status.QUEUED, 0)] * 3
    told = [(e.kind, e.worker_id, e.error_type) for e in fx.changes.timeline]
    assert told == [("attempt_released", "w1", "WorkerLost")] * 2  # the third was only read ahead
    machine.register(incarnation="b", slots=2)
    grant = machine.pull(want=3, incarnation="b")
    assert grant is not None
    assert [lease.attempt for lease in grant.leases] == [2, 2, 2]


def test_every_pull_is_a_sign_of_life(machine: DrivenMachine) -> None:
    lease = machine.start()
    for _ in range(6):
        machine.tick(4.9)
        machine.pull()
    assert machine.status(lease.task_id) is Status.RUNNING


def test_the_machine_wants_to_be_called_when_a_worker_may_be_lost(machine: DrivenMachine) -> None:
    machine.start()
    assert machine.machine.next_time() == machine.now + 15.0
    machine.pull()
    assert machine.machine.next_time() == machine.now + 5.0


def test_a_lost_worker_s_open_pull_is_told_so(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull()
    fx = machine.handle(ev.WorkerLost("w1", "a", "process died"))
    assert fx.grants == [Grant("w1", "a", 1, order="gone")]
    assert machine.infos["w1"].ended_at == machine.now
    assert machine.infos["w1"].end_cause == "process died"


def test_reports_of_a_lost_worker_are_void(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.handle(ev.WorkerLost("w1", "a", "silent"))
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.RETRYING
    assert machine.last.grants[0].order == "gone"


def test_the_death_of_an_earlier_incarnation_is_no_news(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.handle(ev.WorkerLost("w1", "earlier", "process died"))
    assert machine.holds() == {lease.task_id}
    machine.handle(ev.WorkerLost("nobody", "a", "process died"))


def test_deregistering_gives_the_tasks_back_in_their_order(machine: DrivenMachine) -> None:
    machine.register(slots=3)
    ids = machine.submit_all({}, {}, {}, {})
    machine.leases(want=3)
    machine.handle(ev.WorkerDeregistered("w1", "a"))
    assert all(machine.tasks[i].deaths == 0 for i in ids)
    machine.register("w2", slots=9)
    assert [lease.task_id for lease in machine.leases("w2", want=9)] == ids
    assert machine.infos["w1"].end_cause == "deregistered"


def test_deregistering_another_incarnation_changes_nothing(machine: DrivenMachine) -> None:
    machine.register()
    assert machine.ask(ev.WorkerDeregistered("w1", "earlier")) == Done()
    assert "w1" in machine.machine.workers


# ---- restart of the scheduler --------------------------------------------------------------


def test_after_a_restart_a_worker_is_asked_what_it_holds_and_gets_nothing_before(
    machine: DrivenMachine,
) -> None:
    machine.start()
    machine.submit()
    machine.restart()
    grant = machine.pull(want=5)
    assert grant is not None
    assert (grant.order, grant.leases) == ("resync", [])


def test_what_the_worker_holds_goes_on(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.restart()
    machine.handle(ev.WorkerResumed("w1", "a", [(lease.task_id, lease.attempt)]))
    assert machine.holds() == {lease.task_id}
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED


def test_what_never_arrived_is_given_to_others(machine: DrivenMachine) -> None:
    machine.register(slots=3)
    ids = machine.submit_all({}, {}, {})
    leases = machine.leases(want=3)
    machine.restart()
    machine.handle(ev.WorkerResumed("w1", "a", [(leases[1].task_id, 1)]))
    assert machine.holds() == {ids[1]}
    machine.register("w2", slots=3)
    given = [(x.task_id, x.attempt) for x in machine.leases("w2", want=3)]
    assert given == [(ids[0], 2), (ids[2], 2)]
    assert all(machine.tasks[i].deaths == 0 for i in ids)


def test_a_lease_is_recognised_beside_an_earlier_attempt_of_its_task(
    machine: DrivenMachine,
) -> None:
    # The report of attempt 1 was taken, its answer lost: the worker names both attempts.
    old = machine.start(max_retries=1)
    machine.report(failed(old, retry_after_seconds=0.0))
    lease = machine.lease()
    machine.restart()
    machine.handle(ev.WorkerResumed("w1", "a", [(lease.task_id, 2), (lease.task_id, 1)]))
    assert machine.holds() == {lease.task_id}


def test_a_resume_that_is_repeated_does_not_take_back_newer_leases(
    machine: DrivenMachine,
) -> None:
    machine.register()
    machine.restart()
    machine.handle(ev.WorkerResumed("w1", "a", holding=[]))
    lease = machine.start()
    machine.handle(ev.WorkerResumed("w1", "a", holding=[]))
    assert machine.holds() == {lease.task_id}


def test_a_report_counts_before_the_worker_has_said_what_it_holds(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.restart()
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED


def test_a_worker_that_does_not_come_back_is_lost_one_lease_period_after_the_restart(
    machine: DrivenMachine,
) -> None:
    lease = machine.start()
    machine.tick(10)
    machine.restart()
    machine.tick(14.9)
    assert machine.status(lease.task_id) is Status.RUNNING
    machine.tick(0.1)
    assert machine.status(lease.task_id) is Status.RETRYING


def test_only_a_known_worker_resumes(machine: DrivenMachine) -> None:
    assert refusal(machine.ask(ev.WorkerResumed("w1", "a", []))) == "unknown_worker"
    machine.register()
    assert refusal(machine.ask(ev.WorkerResumed("w1", "b", []))) == "unknown_worker"


# ---- paused and draining -------------------------------------------------------------------


@pytest.mark.parametrize("status", [WorkerStatus.PAUSED, WorkerStatus.DRAINING])
def test_a_worker_that_is_to_stop_keeps_what_it_holds_and_gets_nothing_new(
    machine: DrivenMachine, status: WorkerStatus
) -> None:
    lease = machine.start()
    machine.want_status(status)
    waiting = machine.submit()
    assert machine.pull(want=9) is None
    assert machine.status(waiting) is Status.QUEUED
    assert machine.holds() == {lease.task_id}
    assert machine.infos["w1"].status is status


def test_a_resumed_worker_gets_work_at_once(machine: DrivenMachine) -> None:
    machine.register()
    machine.want_status(WorkerStatus.PAUSED)
    task_id = machine.submit()
    machine.pull()
    machine.want_status(WorkerStatus.ACTIVE)
    grant = machine.grant()
    assert grant is not None
    assert [lease.task_id for lease in grant.leases] == [task_id]


def test_a_draining_worker_ends_when_it_holds_nothing(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.want_status(WorkerStatus.DRAINING)
    assert machine.pull() is None
    grant = machine.pull(reports=[ended(lease, Outcome.RELEASED)])
    assert grant is not None
    assert grant.order == "end"


def test_an_idle_worker_ends_as_soon_as_it_is_to_drain(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull()
    machine.want_status(WorkerStatus.DRAINING)
    grant = machine.grant()
    assert grant is not None
    assert grant.order == "end"


def test_a_draining_worker_says_what_it_holds_before_it_ends(machine: DrivenMachine) -> None:
    machine.start()
    machine.want_status(WorkerStatus.DRAINING)
    machine.restart()
    grant = machine.pull()
    assert grant is not None
    assert grant.order == "resync"
    machine.handle(ev.WorkerResumed("w1", "a", holding=[]))
    grant = machine.pull()
    assert grant is not None
    assert grant.order == "end"


def test_a_worker_that_has_to_leave_is_told_at_once_and_with_every_later_grant(
    machine: DrivenMachine,
) -> None:
    machine.start()
    machine.pull(want=2)
    machine.want_status(WorkerStatus.DRAINING, within_seconds=7.0)
    grant = machine.grant()
    assert grant is not None
    assert (grant.leave_within, grant.order, grant.leases) == (7.0, "", [])
    assert machine.pull(want=2) is None  # not over and over, whatever it makes of it
    machine.tick(5.0)
    grant = machine.grant()
    assert grant is not None
    assert grant.leave_within == 2.0
    assert machine.pull(want=0) is None
    machine.want_status(WorkerStatus.DRAINING, within_seconds=1.0)
    grant = machine.grant()
    assert grant is not None
    assert grant.leave_within == 1.0


def test_of_two_times_to_leave_the_first_counts(machine: DrivenMachine) -> None:
    machine.start()
    for seconds in (7.0, 2.0, 30.0):
        machine.want_status(WorkerStatus.DRAINING, within_seconds=seconds)
    machine.want_status(WorkerStatus.DRAINING)
    grant = machine.pull()
    assert grant is not None
    assert grant.leave_within == 2.0
    machine.pull()
    machine.tick(5.0)
    grant = machine.grant()
    assert grant is not None
    assert grant.leave_within == 0.0


def test_a_worker_that_has_to_leave_and_holds_nothing_ends_at_once(machine: DrivenMachine) -> None:
    machine.register()
    machine.pull()
    machine.want_status(WorkerStatus.DRAINING, within_seconds=7.0)
    grant = machine.grant()
    assert grant is not None
    assert grant.order == "end"


def test_a_drain_cannot_be_called_off(machine: DrivenMachine) -> None:
    machine.register()
    machine.want_status(WorkerStatus.DRAINING)
    assert refusal(machine.want_status(WorkerStatus.ACTIVE)) == "conflict"
    assert refusal(machine.want_status(WorkerStatus.PAUSED)) == "conflict"
    assert machine.want_status(WorkerStatus.DRAINING) == Done()


def test_the_status_of_a_worker_that_is_not_alive_cannot_be_set(machine: DrivenMachine) -> None:
    assert refusal(machine.want_status(WorkerStatus.PAUSED)) == "unknown_worker"


def test_rules_that_would_lose_healthy_workers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lease_seconds .* twice poll_seconds"):
        Rules(lease_seconds=9.0, poll_seconds=5.0)


def test_the_successor_of_a_dead_worker_counts_as_a_restart(machine: DrivenMachine) -> None:
    machine.register()
    for count, (incarnation, following) in enumerate((("a", "b"), ("b", "c"), ("c", "d")), start=1):
        machine.handle(ev.WorkerLost("w1", incarnation, "process died"))
        if count == 2:
            machine.restart()
        machine.register(incarnation=following)
        assert machine.infos["w1"].restarts == count


# ---- a machine that stood still ------------------------------------------------------------


def test_workers_are_not_blamed_for_a_time_in_which_nobody_could_be_heard(
    machine: DrivenMachine,
) -> None:
    lease = machine.start()
    machine.now += 20.0
    machine.handle(ev.Unheard(20.0))
    assert machine.holds() == {lease.task_id}
    machine.now += machine.rules.lease_seconds
    machine.handle(ev.Ticked())
    assert machine.status(lease.task_id) is Status.RETRYING


# ---- leases that are given back unstarted --------------------------------------------------


def test_a_lease_that_never_started_is_no_attempt_for_people(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(ended(lease, Outcome.RELEASED, started_at=0.0))
    task = machine.tasks[lease.task_id]
    assert (task.status, task.attempt, task.attempt_shown) == (Status.QUEUED, 1, 0)
    again = machine.lease()
    assert (again.attempt, again.attempt - again.unstarted) == (2, 1)
    machine.report(succeeded(again))
    assert machine.tasks[lease.task_id].attempt_shown == 1


def test_an_attempt_that_a_drain_cut_short_stays_an_attempt(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.report(ended(lease, Outcome.RELEASED, started_at=machine.now))
    assert machine.tasks[lease.task_id].attempt_shown == 1


def test_a_late_copy_of_a_resume_is_not_believed(machine: DrivenMachine) -> None:
    lease = machine.start()
    machine.restart()
    machine.handle(ev.WorkerResumed("w1", "a", holding=[], seq=1))  # nothing was asked yet
    assert machine.holds() == {lease.task_id}
    machine.handle(ev.WorkerPulled("w1", "a", 7, 1))
    machine.handle(ev.WorkerResumed("w1", "a", holding=[], seq=6))
    assert machine.holds() == {lease.task_id}
    machine.handle(ev.WorkerResumed("w1", "a", [(lease.task_id, lease.attempt)], seq=7))
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED


def test_a_resume_that_an_earlier_scheduler_asked_for_is_not_believed(
    machine: DrivenMachine,
) -> None:
    lease = machine.start()
    machine.restart()
    machine.handle(ev.WorkerPulled("w1", "a", 7, 1))
    (earlier,) = machine.last.grants
    machine.tick(0.1)
    machine.restart()
    # The pull arrives here too, late: so this scheduler has asked, but nothing of it was heard.
    machine.handle(ev.WorkerPulled("w1", "a", 7, 1))
    (grant,) = machine.last.grants
    assert (earlier.order, grant.order) == ("resync", "resync")
    machine.handle(ev.WorkerResumed("w1", "a", [], seq=7, asked_by=earlier.asked_by))
    assert machine.holds() == {lease.task_id}
    held = [(lease.task_id, lease.attempt)]
    machine.handle(ev.WorkerResumed("w1", "a", held, seq=7, asked_by=grant.asked_by))
    machine.report(succeeded(lease))
    assert machine.status(lease.task_id) is Status.COMPLETED


def test_a_pull_from_before_a_resume_gets_no_lease(machine: DrivenMachine) -> None:
    machine.register()
    machine.restart()
    machine.handle(ev.WorkerPulled("w1", "a", 7, 1))
    machine.handle(ev.WorkerResumed("w1", "a", holding=[], seq=7))
    machine.submit()
    machine.handle(ev.WorkerPulled("w1", "a", 7, 1))
    assert machine.holds() == set()
    machine.handle(ev.WorkerPulled("w1", "a", 8, 1))
    assert len(machine.holds()) == 1
